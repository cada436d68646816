"""Tables of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Bring the schema up to this revision."""
    op.create_table(
        "catalog_activity",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("ulid", sa.String(length=26), nullable=False),
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("plan", sa.String(length=71), nullable=True),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.Column("started_at", sa.String(length=27), nullable=False),
        sa.Column("ended_at", sa.String(length=27), nullable=False),
        sa.Column("grade", sa.String(length=16), nullable=False),
        sa.Column("experiment", sa.String(length=200), nullable=True),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_activity")),
        sa.UniqueConstraint("ulid", name=op.f("uq_catalog_activity_ulid")),
    )
    op.create_index(
        op.f("ix_catalog_activity_project_experiment_ulid"),
        "catalog_activity",
        ["project", "experiment", "ulid"],
        unique=False,
    )
    op.create_index(
        op.f("ix_catalog_activity_project_kind_ulid"), "catalog_activity", ["project", "kind", "ulid"], unique=False
    )
    op.create_index(op.f("ix_catalog_activity_project_plan"), "catalog_activity", ["project", "plan"], unique=False)
    op.create_table(
        "catalog_edge",
        sa.Column("source", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("target", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("grade", sa.String(length=16), nullable=False),
        sa.Column("record", sa.String(length=71), nullable=True),
        sa.PrimaryKeyConstraint("source", "target", "role", name=op.f("pk_catalog_edge")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_catalog_edge_target_source"), "catalog_edge", ["target", "source"], unique=False)
    op.create_table(
        "catalog_entity",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("grade", sa.String(length=16), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.Column("content_digest", sa.String(length=71), nullable=True),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_entity")),
        sa.UniqueConstraint("project", "digest", name=op.f("uq_catalog_entity_project_digest")),
    )
    op.create_index(
        op.f("ix_catalog_entity_project_content_digest"), "catalog_entity", ["project", "content_digest"], unique=False
    )
    op.create_index(
        op.f("ix_catalog_entity_project_kind_id"), "catalog_entity", ["project", "kind", "id"], unique=False
    )
    op.create_table(
        "catalog_metric",
        sa.Column("activity", sa.String(length=26), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.Column("value", sa.Double(), nullable=True, comment="null stands for NaN, which SQLite cannot hold"),
        sa.PrimaryKeyConstraint("activity", "position", name=op.f("pk_catalog_metric")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "catalog_metric_latest",
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("activity", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.Column("value", sa.Double(), nullable=True, comment="null stands for NaN"),
        sa.PrimaryKeyConstraint("activity", "name", name=op.f("pk_catalog_metric_latest")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_catalog_metric_latest_project_name_value"),
        "catalog_metric_latest",
        ["project", "name", "value"],
        unique=False,
    )
    op.create_table(
        "catalog_name",
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("project", "kind", "name", "version", name=op.f("pk_catalog_name")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_catalog_name_project_digest"), "catalog_name", ["project", "digest"], unique=False)
    op.create_table(
        "catalog_part",
        sa.Column("entity", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.PrimaryKeyConstraint("entity", "digest", name=op.f("pk_catalog_part")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_catalog_part_digest"), "catalog_part", ["digest"], unique=False)
    op.create_table(
        "identity_accounts",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("disabled_at", sa.String(length=27), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_identity_accounts")),
    )
    op.create_table(
        "identity_bootstraps",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("expires_at", sa.String(length=27), nullable=False),
        sa.Column("spent_at", sa.String(length=27), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_bootstraps")),
    )
    op.create_table(
        "identity_grants",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("subject_kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("project", sa.String(length=200), nullable=True),
        sa.Column("since", sa.String(length=27), nullable=False),
        sa.Column("until", sa.String(length=27), nullable=True),
        sa.Column("granted_by", sa.String(length=200), nullable=False),
        sa.Column("revoked_at", sa.String(length=27), nullable=True),
        sa.Column("revoked_by", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_grants")),
    )
    op.create_index("ix_identity_grants_subject", "identity_grants", ["subject"], unique=False)
    op.create_table(
        "identity_groups",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_identity_groups")),
    )
    op.create_table(
        "identity_memberships",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("group", sa.String(length=200), nullable=False),
        sa.Column("member", sa.String(length=200), nullable=False),
        sa.Column("since", sa.String(length=27), nullable=False),
        sa.Column("until", sa.String(length=27), nullable=True),
        sa.Column("added_by", sa.String(length=200), nullable=False),
        sa.Column("ended_at", sa.String(length=27), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_memberships")),
    )
    op.create_index("ix_identity_memberships_group", "identity_memberships", ["group"], unique=False)
    op.create_index("ix_identity_memberships_member", "identity_memberships", ["member"], unique=False)
    op.create_table(
        "identity_passwords",
        sa.Column("account", sa.String(length=200), nullable=False),
        sa.Column("hash", sa.String(length=300), nullable=False),
        sa.Column("changed_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_identity_passwords")),
    )
    op.create_table(
        "identity_projects",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_identity_projects")),
    )
    op.create_table(
        "identity_tokens",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("actions", sa.Text(), nullable=True),
        sa.Column("issued_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.Column("expires_at", sa.String(length=27), nullable=False),
        sa.Column("revoked_at", sa.String(length=27), nullable=True),
        sa.Column("last_used_at", sa.String(length=27), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_tokens")),
    )
    op.create_index("ix_identity_tokens_owner", "identity_tokens", ["owner"], unique=False)
    op.create_table(
        "job_environment",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("python", sa.String(length=200), nullable=False),
        sa.Column("wheels", sa.Text(), nullable=False),
        sa.Column("lock", sa.String(length=71), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_job_environment")),
    )
    op.create_index(op.f("ix_job_environment_digest"), "job_environment", ["digest"], unique=False)
    op.create_table(
        "ledger_checkpoints",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.String(length=71), nullable=False),
        sa.Column("origin", sa.String(length=200), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("time", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_ledger_checkpoints")),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=200), nullable=False),
        sa.Column("time", sa.String(length=27), nullable=False),
        sa.Column("principal", sa.String(length=200), nullable=False),
        sa.Column("project", sa.String(length=200), nullable=True),
        sa.Column("outcome", sa.String(length=200), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entries")),
    )
    op.create_index(
        "ix_ledger_outcome",
        "ledger_entries",
        ["outcome", "idx"],
        unique=False,
        sqlite_where=sa.text("idx is not null"),
        postgresql_where=sa.text("idx is not null"),
    )
    op.create_index(
        "ix_ledger_principal",
        "ledger_entries",
        ["principal", "idx"],
        unique=False,
        sqlite_where=sa.text("idx is not null"),
        postgresql_where=sa.text("idx is not null"),
    )
    op.create_index(
        "ix_ledger_project",
        "ledger_entries",
        ["project", "idx"],
        unique=False,
        sqlite_where=sa.text("idx is not null"),
        postgresql_where=sa.text("idx is not null"),
    )
    op.create_index(
        "ix_ledger_subject",
        "ledger_entries",
        ["subject", "idx"],
        unique=False,
        sqlite_where=sa.text("idx is not null"),
        postgresql_where=sa.text("idx is not null"),
    )
    op.create_index(
        "ix_ledger_time",
        "ledger_entries",
        ["time", "idx"],
        unique=False,
        sqlite_where=sa.text("idx is not null"),
        postgresql_where=sa.text("idx is not null"),
    )
    op.create_index(
        "ix_ledger_type",
        "ledger_entries",
        ["type", "idx"],
        unique=False,
        sqlite_where=sa.text("idx is not null"),
        postgresql_where=sa.text("idx is not null"),
    )
    op.create_index(
        "ix_ledger_waiting",
        "ledger_entries",
        ["time", "id"],
        unique=False,
        sqlite_where=sa.text("idx is null"),
        postgresql_where=sa.text("idx is null"),
    )
    op.create_index(
        "uq_ledger_idx",
        "ledger_entries",
        ["idx"],
        unique=True,
        sqlite_where=sa.text("idx is not null"),
        postgresql_where=sa.text("idx is not null"),
    )
    op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("frontier", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_head")),
    )
    op.create_table(
        "policy_documents",
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_policy_documents")),
    )
    op.create_table(
        "policy_publications",
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.String(length=71), nullable=False),
        sa.Column("published_by", sa.String(length=200), nullable=False),
        sa.Column("published_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("scope", "version", name=op.f("pk_policy_publications")),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("experiment", sa.String(length=200), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("requested_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.Column("plan", sa.String(length=71), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=True),
        sa.Column("leased_until", sa.String(length=27), nullable=True),
        sa.Column("started_at", sa.String(length=27), nullable=True),
        sa.Column("ended_at", sa.String(length=27), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_index(op.f("ix_run_project_id"), "run", ["project", "id"], unique=False)
    op.create_index(op.f("ix_run_project_plan"), "run", ["project", "plan"], unique=False)
    op.create_index(op.f("ix_run_status_id"), "run", ["status", "id"], unique=False)
    op.create_table(
        "vault_project_key",
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kms_key", sa.String(length=400), nullable=False),
        sa.Column("wrapped_kek", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_name_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("project", "version", name=op.f("pk_vault_project_key")),
    )
    op.create_table(
        "run_log",
        sa.Column("run", sa.String(length=26), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("offset", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_run_log_run_run")),
        sa.PrimaryKeyConstraint("run", "attempt", "offset", name=op.f("pk_run_log")),
    )
    op.create_table(
        "vault_sealed_object",
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("kek_version", sa.Integer(), nullable=False),
        sa.Column("format", sa.String(length=80), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "kek_version"],
            ["vault_project_key.project", "vault_project_key.version"],
            name=op.f("fk_vault_sealed_object_project_kek_version_vault_project_key"),
        ),
        sa.PrimaryKeyConstraint("project", "digest", name=op.f("pk_vault_sealed_object")),
    )
