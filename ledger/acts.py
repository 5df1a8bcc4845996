"""An act: who does something, at which moment of the campaign, and in which flow run."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime


@dataclass(frozen=True, kw_only=True)
class Act:
    """Accompanies every verb that writes; its three instants and names stand on each row written.

    Attributes:
        actor: ``rule:remind``, ``staff:<name>`` or ``unit:<code>``.
        as_of: the moment for which the decision was made, UTC.
        wall: the moment at which it was made, UTC.
        flow_run_id: the Prefect flow run, if one wrote it.
        asked: where staff asked for it some time before, the wall's moment at which they did. What a colleague has
            decided since about the same thing refuses it.

    """

    actor: str
    as_of: datetime
    wall: datetime
    flow_run_id: str | None = None
    asked: datetime | None = None

    def __post_init__(self) -> None:
        """Bring both instants to UTC; refuse naive ones, which would be read in whatever zone the machine has."""
        for name in ("as_of", "wall"):
            moment: datetime = getattr(self, name)
            if moment.tzinfo is None:
                raise ValueError(f"{name} has no zone; give an aware instant in UTC")
            object.__setattr__(self, name, moment.astimezone(UTC))

    def again(self) -> "Act":
        """Return the same act as time has gone on since, for the wall and for the campaign: a long drain ages."""
        wall = datetime.now(UTC)
        return replace(self, wall=wall, as_of=self.as_of + (wall - self.wall))

    @classmethod
    def now(cls, actor: str, as_of: datetime | None = None, flow_run_id: str | None = None) -> "Act":
        """Return an act that happens now; ``as_of`` is now too unless given."""
        wall = datetime.now(UTC)
        return cls(actor=actor, as_of=as_of or wall, wall=wall, flow_run_id=flow_run_id)
