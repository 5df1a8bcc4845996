"""The steps of campaigns that ran before the ledger kept them; mails and attempts found by their run."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

KINDS = ("launch", "collect", "remind", "escalate", "consolidate")
INSTANT = sa.DateTime(timezone=True)
TABLES = ("messages", "attempts")
BY_A_RUN = sa.text("flow_run_id IS NOT NULL")

campaigns = sa.table(
    "campaigns",
    sa.column("id", sa.Integer()),
    sa.column("as_of", INSTANT),
    sa.column("latest_as_of", INSTANT),
    sa.column("recorded_at", INSTANT),
)
messages = sa.table("messages", sa.column("campaign_id"), sa.column("party_id"), sa.column("occasion"))
parties = sa.table("parties", sa.column("id"), sa.column("campaign_id"), sa.column("kind"), sa.column("left_at"))
step_runs = sa.table(
    "step_runs",
    sa.column("campaign_id", sa.Integer()),
    sa.column("kind", sa.String()),
    sa.column("superseded", sa.JSON()),
    sa.column("as_of", INSTANT),
    sa.column("recorded_at", INSTANT),
)


def upgrade() -> None:
    for table in TABLES:
        op.create_index(f"ix_{table}_run", table, ["flow_run_id"], sqlite_where=BY_A_RUN, postgresql_where=BY_A_RUN)
    ran_before = [id_ for (id_,) in op.get_bind().execute(_ran_before())]
    for kind in KINDS:
        done = sa.select(
            campaigns.c.id,
            sa.literal(kind),
            sa.literal([], sa.JSON()),
            _until(kind),
            campaigns.c.recorded_at,
        ).where(campaigns.c.id.in_(ran_before))
        op.execute(step_runs.insert().from_select(list(step_runs.c.keys()), done))


def _ran_before() -> sa.Select[tuple[int]]:
    """Return the campaigns that have told of their launch, and have no step on record."""
    return sa.select(campaigns.c.id).where(
        sa.exists().where(messages.c.campaign_id == campaigns.c.id, messages.c.occasion == "launch"),
        ~sa.exists().where(step_runs.c.campaign_id == campaigns.c.id),
    )


def _until(kind: str) -> sa.ColumnElement[object]:
    """Return the moment until which the steps of a kind count as done: the latest that the campaign had come to.

    Whoever ran it until then saw to its steps, and what they left unsaid the next one says. Only where a unit has
    joined and was not told of the launch, a launch is to come.
    """
    if kind != "launch":
        return campaigns.c.latest_as_of
    told = sa.exists().where(messages.c.party_id == parties.c.id, messages.c.occasion == "launch")
    of_it = (parties.c.campaign_id == campaigns.c.id, parties.c.kind == "unit", parties.c.left_at.is_(None))
    return sa.case((sa.exists().where(*of_it, ~told), campaigns.c.as_of), else_=campaigns.c.latest_as_of)


def downgrade() -> None:
    for table in TABLES:
        op.drop_index(f"ix_{table}_run", table)
