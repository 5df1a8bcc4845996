"""Collect by page and by mail: links, drafts, answers to findings, originals, calls, events."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _written() -> list[sa.Column[object]]:
    """Return the columns that say when, in which run, and for which moment a row was written."""
    return [
        sa.Column("flow_run_id", sa.String(length=36), nullable=True),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
    ]


def upgrade() -> None:
    op.add_column("parties", sa.Column("link_epoch", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("obligations", sa.Column("original_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "answers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("finding_id", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("number", sa.Numeric(precision=20, scale=4, asdecimal=False), nullable=True),
        sa.Column("text", sa.String(length=1000), nullable=False),
        *_written(),
        sa.ForeignKeyConstraint(["finding_id"], ["findings.id"], name=op.f("fk_answers_finding_id_findings")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers")),
        sa.UniqueConstraint("finding_id", name=op.f("uq_answers_finding_id")),
    )
    op.create_table(
        "drafts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("obligation_id", sa.Integer(), nullable=False),
        sa.Column("entries", sa.JSON(), nullable=False),
        *_written(),
        sa.ForeignKeyConstraint(
            ["obligation_id"], ["obligations.id"], name=op.f("fk_drafts_obligation_id_obligations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drafts")),
        sa.UniqueConstraint("obligation_id", name=op.f("uq_drafts_obligation_id")),
    )
    op.create_table(
        "calls",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("party_id", sa.Integer(), nullable=False),
        sa.Column("obligation_id", sa.Integer(), nullable=True),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("called_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("said", sa.String(length=1000), nullable=False),
        *_written(),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"], name=op.f("fk_calls_party_id_parties")),
        sa.ForeignKeyConstraint(["obligation_id"], ["obligations.id"], name=op.f("fk_calls_obligation_id_obligations")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calls")),
    )
    op.create_index(op.f("ix_calls_party_id"), "calls", ["party_id"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        *_written(),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_events_campaign_id_campaigns")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    untold = sa.text("told_at IS NULL")
    op.create_index("ix_events_untold", "events", ["id"], sqlite_where=untold, postgresql_where=untold)


def downgrade() -> None:
    for table in ("events", "calls", "drafts", "answers"):
        op.drop_table(table)
    op.drop_column("obligations", "original_at")
    op.drop_column("parties", "link_epoch")
