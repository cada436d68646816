"""registry, signatures, witnesses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Bring the schema up to this revision."""
    op.create_table(
        "identity_links",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("account", sa.String(length=200), nullable=False),
        sa.Column("other", sa.String(length=200), nullable=False),
        sa.Column("since", sa.String(length=27), nullable=False),
        sa.Column("linked_by", sa.String(length=200), nullable=False),
        sa.Column("ended_at", sa.String(length=27), nullable=True),
        sa.Column("ended_by", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_links")),
    )
    op.create_table(
        "identity_signing_keys",
        sa.Column("fingerprint", sa.String(length=71), nullable=False),
        sa.Column("account", sa.String(length=200), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("enrolled_at", sa.String(length=27), nullable=False),
        sa.Column("revoked_at", sa.String(length=27), nullable=True),
        sa.Column("revoked_by", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_identity_signing_keys")),
    )
    op.create_index("ix_identity_signing_keys_account", "identity_signing_keys", ["account"], unique=False)
    op.create_table(
        "identity_stages",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("since", sa.String(length=27), nullable=False),
        sa.Column("set_by", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_stages")),
    )
    op.create_index("ix_identity_stages_project", "identity_stages", ["project"], unique=False)
    op.create_table(
        "inventory_challenge",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("model", sa.String(length=71), nullable=False),
        sa.Column("meaning", sa.String(length=40), nullable=False),
        sa.Column("signer", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=71), nullable=False),
        sa.Column("statement", sa.String(length=71), nullable=False),
        sa.Column("prepared_at", sa.String(length=27), nullable=False),
        sa.Column("expires", sa.String(length=27), nullable=False),
        sa.Column("spent_at", sa.String(length=27), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inventory_challenge")),
    )
    op.create_table(
        "inventory_input",
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("input", sa.String(length=71), nullable=False),
        sa.Column("label", sa.String(length=400), nullable=False),
        sa.PrimaryKeyConstraint("project", "digest", "input", name=op.f("pk_inventory_input")),
    )
    op.create_index(op.f("ix_inventory_input_project_input"), "inventory_input", ["project", "input"], unique=False)
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
        "inventory_version",
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("use_case", sa.String(length=200), nullable=True),
        sa.Column("model_kind", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("algorithm", sa.String(length=200), nullable=False),
        sa.Column("supplier", sa.String(length=200), nullable=True),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("since", sa.String(length=27), nullable=False),
        sa.Column("registered_at", sa.String(length=27), nullable=False),
        sa.Column("approvals", sa.Integer(), nullable=False),
        sa.Column("required", sa.Integer(), nullable=False),
        sa.Column("approved_at", sa.String(length=27), nullable=True),
        sa.Column("expires", sa.String(length=27), nullable=True),
        sa.Column("emergency_until", sa.String(length=27), nullable=True),
        sa.Column("next_review", sa.String(length=10), nullable=True),
        sa.Column("findings_high", sa.Integer(), nullable=False),
        sa.Column("findings_open", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project", "digest", name=op.f("pk_inventory_version")),
    )
    op.create_index(
        op.f("ix_inventory_version_project_registered_at_digest"),
        "inventory_version",
        ["project", "registered_at", "digest"],
        unique=False,
    )
    op.create_index(
        op.f("ix_inventory_version_project_state_tier"), "inventory_version", ["project", "state", "tier"], unique=False
    )
    op.create_index(
        op.f("ix_inventory_version_project_use_case"), "inventory_version", ["project", "use_case"], unique=False
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
