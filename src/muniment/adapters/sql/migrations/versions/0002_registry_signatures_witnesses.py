"""registry, signatures, witnesses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Bring the schema up to this revision."""
    op.create_table(
        "inventory_record",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("grade", sa.String(length=16), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inventory_record")),
    )
    op.create_index(
        op.f("ix_inventory_record_project_kind_id"), "inventory_record", ["project", "kind", "id"], unique=False
    )
    op.create_index(
        op.f("ix_inventory_record_project_subject_id"), "inventory_record", ["project", "subject", "id"], unique=False
    )
    op.create_table(
        "ledger_cosignature",
        sa.Column("key", sa.String(length=400), nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("witness", sa.String(length=200), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("key", "size", name=op.f("pk_ledger_cosignature")),
    )
    op.create_index("ix_ledger_cosignature_size", "ledger_cosignature", ["size"], unique=False)
    op.create_table(
        "ledger_quorum",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("required", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_quorum")),
    )
    op.create_table(
        "ledger_witness",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=400), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("added_at", sa.String(length=27), nullable=False),
        sa.Column("added_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_ledger_witness")),
    )
