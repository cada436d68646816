"""data, features, tracking, search."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Bring the schema up to this revision."""
    op.create_table(
        "base_root",
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("archive", sa.String(length=71), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_base_root")),
    )
    op.create_table(
        "feature_online",
        sa.Column("table_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=1000), nullable=False),
        sa.Column("event", sa.BigInteger(), nullable=False),
        sa.Column("known", sa.BigInteger(), nullable=False),
        sa.Column("publication", sa.String(length=26), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("table_id", "key", name=op.f("pk_feature_online")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "feature_publication",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("view", sa.String(length=71), nullable=False),
        sa.Column("build", sa.String(length=71), nullable=False),
        sa.Column("as_of", sa.String(length=27), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("key_types", sa.Text(), nullable=False),
        sa.Column("offered", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feature_publication")),
    )
    op.create_index(
        op.f("ix_feature_publication_project_view_at"), "feature_publication", ["project", "view", "at"], unique=False
    )
    op.create_table(
        "feature_table",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("view", sa.String(length=71), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feature_table")),
        sa.UniqueConstraint("project", "view", name=op.f("uq_feature_table_project_view")),
    )
    op.create_table(
        "package_index",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_package_index")),
    )
    op.create_table(
        "run_param",
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("run", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("number", sa.Double(), nullable=True, comment="the value as a number, where it is one"),
        sa.Column(
            "prefix", sa.String(length=64), nullable=False, comment="the first characters, which an index can hold"
        ),
        sa.PrimaryKeyConstraint("run", "name", name=op.f("pk_run_param")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_run_param_project_name_number"), "run_param", ["project", "name", "number"], unique=False)
    op.create_index(op.f("ix_run_param_project_name_prefix"), "run_param", ["project", "name", "prefix"], unique=False)
    op.create_table(
        "run_tag",
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("run", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "prefix", sa.String(length=64), nullable=False, comment="the first characters, which an index can hold"
        ),
        sa.PrimaryKeyConstraint("run", "name", name=op.f("pk_run_tag")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_run_tag_project_name_prefix"), "run_tag", ["project", "name", "prefix"], unique=False)
    op.create_table(
        "search_field",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column(
            "space", sa.String(length=16), nullable=False, comment="metric, param, tag, input, output, fact or column"
        ),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_field")),
        sa.UniqueConstraint("project", "space", "name", name=op.f("uq_search_field_project_space_name")),
    )
    op.create_table(
        "search_object",
        sa.Column("run", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("side", sa.String(length=8), nullable=False, comment="input or output"),
        sa.Column("role", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column(
            "entity",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
            comment="its number, once it is an entity",
        ),
        sa.PrimaryKeyConstraint("run", "side", "role", "digest", name=op.f("pk_search_object")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_search_object_entity_side_run"), "search_object", ["entity", "side", "run"], unique=False)
    op.create_index(
        op.f("ix_search_object_project_digest_side_run"),
        "search_object",
        ["project", "digest", "side", "run"],
        unique=False,
    )
    op.create_table(
        "search_run",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("run", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("experiment", sa.String(length=200), nullable=True),
        sa.Column("trial", sa.String(length=200), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.Column("started_at", sa.String(length=27), nullable=True),
        sa.Column("ended_at", sa.String(length=27), nullable=True),
        sa.Column("duration", sa.Double(), nullable=True, comment="seconds"),
        sa.Column("grade", sa.String(length=16), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("env", sa.String(length=71), nullable=True),
        sa.Column("code", sa.String(length=71), nullable=True),
        sa.Column("commit", sa.String(length=64), nullable=True),
        sa.Column("plan", sa.String(length=71), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_search_run")),
        sa.UniqueConstraint("run", name=op.f("uq_search_run_run")),
    )
    op.create_index(op.f("ix_search_run_project_created_at"), "search_run", ["project", "created_at"], unique=False)
    op.create_index(
        op.f("ix_search_run_project_experiment_status_created_at"),
        "search_run",
        ["project", "experiment", "status", "created_at"],
        unique=False,
    )
    op.create_index(op.f("ix_search_run_project_number"), "search_run", ["project", "number"], unique=False)
    op.create_table(
        "search_saved",
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("project", "name", name=op.f("pk_search_saved")),
    )
    op.create_table(
        "search_value",
        sa.Column("field", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "object",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="the run or the entity by its number",
        ),
        sa.Column("place", sa.Integer(), nullable=False, comment="0, and more for a list"),
        sa.Column("number", sa.Double(), nullable=True, comment="null for what is no number"),
        sa.Column("prefix", sa.String(length=64), nullable=True, comment="the first characters; null for a metric"),
        sa.Column("text", sa.Text(), nullable=True, comment="all of it, where it is longer than the prefix"),
        sa.PrimaryKeyConstraint("field", "object", "place", name=op.f("pk_search_value")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_search_value_field_number_object_place"),
        "search_value",
        ["field", "number", "object", "place"],
        unique=False,
    )
    op.create_index(
        "ix_search_value_field_prefix", "search_value", ["field", "prefix", "object", "place"], unique=False
    )
    op.create_table(
        "study",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("stopped_at", sa.String(length=27), nullable=True),
        sa.Column("resumed", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study")),
        sa.UniqueConstraint("project", "name", name=op.f("uq_study_project_name")),
    )
    op.create_table(
        "tracking_item",
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("shelf", sa.String(length=220), nullable=False, comment="what it belongs to"),
        sa.Column("key", sa.String(length=220), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="canonical JSON"),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.Column("updated_at", sa.String(length=27), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("project", "kind", "key", name=op.f("pk_tracking_item")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "vault_erased_object",
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("decision", sa.String(length=71), nullable=False),
        sa.Column("why", sa.String(length=16), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.Column("blob", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("project", "digest", name=op.f("pk_vault_erased_object")),
    )
    op.create_table(
        "vault_key_end",
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kms_key", sa.String(length=400), nullable=False),
        sa.Column("ordered_at", sa.String(length=27), nullable=False),
        sa.Column("destroyed_at", sa.String(length=27), nullable=True),
        sa.PrimaryKeyConstraint("project", "version", name=op.f("pk_vault_key_end")),
    )
    op.create_table(
        "study_step",
        sa.Column("study", sa.String(length=26), nullable=False),
        sa.Column("do", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("run", sa.String(length=26), nullable=False),
        sa.ForeignKeyConstraint(["study"], ["study.id"], name=op.f("fk_study_step_study_study")),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_study_step_run_run")),
        sa.PrimaryKeyConstraint("study", "do", "number", "attempt", name=op.f("pk_study_step")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tracked_artifact",
        sa.Column("run", sa.String(length=26), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(length=200), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_tracked_artifact_run_run")),
        sa.PrimaryKeyConstraint("run", "path", "version", name=op.f("pk_tracked_artifact")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_tracked_artifact_digest"), "tracked_artifact", ["digest"], unique=False)
    op.create_table(
        "tracked_input",
        sa.Column("run", sa.String(length=26), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_tracked_input_run_run")),
        sa.PrimaryKeyConstraint("run", "position", name=op.f("pk_tracked_input")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tracked_key",
        sa.Column("project", sa.String(length=200), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("run", sa.String(length=26), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_tracked_key_run_run")),
        sa.PrimaryKeyConstraint("project", "agent", "key", name=op.f("pk_tracked_key")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tracked_writer",
        sa.Column("run", sa.String(length=26), nullable=False),
        sa.Column("writer", sa.String(length=200), nullable=False),
        sa.Column("upto", sa.BigInteger(), nullable=False, comment="last record of the stream that is kept"),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_tracked_writer_run_run")),
        sa.PrimaryKeyConstraint("run", "writer", name=op.f("pk_tracked_writer")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_catalog_entity_project_kind_at", "catalog_entity", ["project", "kind", "at"], unique=False)
    op.add_column(
        "catalog_metric",
        sa.Column(
            "told_us", sa.BigInteger(), nullable=True, comment="by the clock of who told it: microseconds since 1970"
        ),
    )
    op.add_column("job_environment", sa.Column("index", sa.String(length=200), nullable=True))
    op.add_column("run", sa.Column("trial", sa.String(length=200), nullable=True))
    op.create_index(op.f("ix_run_project_experiment_id"), "run", ["project", "experiment", "id"], unique=False)
