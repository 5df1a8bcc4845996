"""Account for every message: senders with leases, lanes, holds; exact bytes as skeleton and fields; soft bounces."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PARTIAL = (
    ("ix_messages_queue", ("campaign_id", "priority", "id"), "state IN ('planned', 'deferred')"),
    ("ix_messages_claimed", ("id",), "state = 'claimed'"),
    ("ix_messages_astray", ("campaign_id", "state"), "state IN ('refused', 'bounced', 'ambiguous')"),
    ("ix_messages_caused_by", ("caused_by",), "caused_by IS NOT NULL"),
    ("ix_messages_chased", ("address", "sent_as_of"), "mail_class = 'chase'"),
)

# Written by the ten thousand: a key to a neighbour that is never deleted costs more than it tells.
LET_GO = {
    "attempts": {"message_id": "messages"},
    "items": {"message_id": "messages", "party_id": "parties", "obligation_id": "obligations"},
}


def upgrade() -> None:
    op.create_table(
        "senders",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=200), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("flow_run_id", sa.String(length=36), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at_data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_senders")),
    )
    op.create_table(
        "lane_slots",
        sa.Column("lane", sa.String(length=32), nullable=False),
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("connections", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sender"], ["senders.name"], name=op.f("fk_lane_slots_sender_senders"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("lane", "sender", name=op.f("pk_lane_slots")),
    )
    op.create_table(
        "lanes",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("pace", sa.Double(), nullable=False),
        sa.Column("slowed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lanes")),
    )
    op.create_table(
        "holds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.String(length=100), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("grounds", sa.String(length=1000), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.String(length=100), nullable=False),
        sa.Column("lifted_grounds", sa.String(length=1000), nullable=False),
        sa.Column("flow_run_id", sa.String(length=36), nullable=True),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
    )
    op.create_index(op.f("ix_holds_scope"), "holds", ["scope"], unique=False)
    op.add_column("contacts", sa.Column("soft_bounces", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("contacts", sa.Column("soft_reason", sa.String(length=500), nullable=False, server_default=""))
    op.add_column("attempts", sa.Column("lane", sa.String(length=32), nullable=True))
    for column in (
        sa.Column("lane", sa.String(length=32), nullable=True),
        sa.Column("skeleton_sha256", sa.String(length=64), nullable=True),
        sa.Column("fields", sa.JSON(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
    ):
        op.add_column("messages", column)
    op.drop_column("messages", "lease_until")
    for table, keys in LET_GO.items():
        with op.batch_alter_table(table) as batch:
            for key, other in keys.items():
                batch.drop_constraint(f"fk_{table}_{key}_{other}", type_="foreignkey")
    _guard_attempts()
    op.drop_index("ix_messages_address", "messages")
    op.drop_index("ix_messages_queue", "messages")
    for name, columns, where in PARTIAL:
        op.create_index(name, "messages", list(columns), sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _guard_attempts() -> None:
    """Make attempts append-only anew: SQLite's table was copied, and its triggers were lost with the old one."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER attempts_no_{verb.lower()} BEFORE {verb} ON attempts "
                "BEGIN SELECT RAISE(ABORT, 'attempts is append-only'); END"
            )


def downgrade() -> None:
    for table, keys in LET_GO.items():
        with op.batch_alter_table(table) as batch:
            for key, other in keys.items():
                batch.create_foreign_key(f"fk_{table}_{key}_{other}", other, [key], ["id"])
    _guard_attempts()
    for name, _, _ in PARTIAL:
        op.drop_index(name, "messages")
    op.create_index("ix_messages_queue", "messages", ["campaign_id", "state", "priority"])
    op.create_index("ix_messages_address", "messages", ["address"])
    op.add_column("messages", sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True))
    for table, column in (
        *(("messages", c) for c in ("lane", "skeleton_sha256", "fields", "tries")),
        ("attempts", "lane"),
        ("contacts", "soft_bounces"),
        ("contacts", "soft_reason"),
    ):
        op.drop_column(table, column)
    for table in ("holds", "lanes", "lane_slots", "senders"):
        op.drop_table(table)
