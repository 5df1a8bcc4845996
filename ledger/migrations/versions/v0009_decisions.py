"""Decisions taken back: what each changed, value by value, and the definitions under which a campaign ran."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_FUNCTION = (
    "CREATE FUNCTION changes_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    "$$BEGIN RAISE EXCEPTION 'changes is append-only'; END$$"
)
_TRIGGER = (
    "CREATE TRIGGER changes_append_only BEFORE UPDATE OR DELETE ON changes "
    "FOR EACH ROW EXECUTE FUNCTION changes_append_only()"
)


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("decision_id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("party_id", sa.Integer(), nullable=True),
        sa.Column("obligation_id", sa.Integer(), nullable=True),
        sa.Column("field", sa.String(length=16), nullable=False),
        sa.Column("before", sa.String(length=64), nullable=True),
        sa.Column("after", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name=op.f("fk_changes_decision_id_decisions")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_changes_campaign_id_campaigns")),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"], name=op.f("fk_changes_party_id_parties")),
        sa.ForeignKeyConstraint(
            ["obligation_id"], ["obligations.id"], name=op.f("fk_changes_obligation_id_obligations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_changes")),
    )
    op.create_index(op.f("ix_changes_decision_id"), "changes", ["decision_id"], unique=False)
    op.create_index(op.f("ix_changes_campaign_id"), "changes", ["campaign_id"], unique=False)
    op.create_index("ix_changes_obligation", "changes", ["obligation_id", "field"], unique=False)
    op.create_index("ix_changes_party", "changes", ["party_id", "field"], unique=False)
    op.create_table(
        "definitions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("flow_run_id", sa.String(length=36), nullable=True),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_definitions")),
    )
    for statement in _guards():
        op.execute(statement)


def _guards() -> tuple[str, ...]:
    """Return the statements that make the changes refuse to be changed."""
    if op.get_bind().dialect.name == "postgresql":
        return (_FUNCTION, _TRIGGER)
    return tuple(
        f"CREATE TRIGGER changes_no_{verb.lower()} BEFORE {verb} ON changes "
        "BEGIN SELECT RAISE(ABORT, 'changes is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    )


def downgrade() -> None:
    op.drop_table("definitions")
    op.drop_table("changes")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION changes_append_only()")
