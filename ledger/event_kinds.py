"""The kinds of events that are told to Prefect, each with what it says of its cause: the only place that names them.

`docs/events.md` describes them, automations match them, :func:`ledger.events.note` refuses any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class EventKind(StrEnum):
    """What happened, by the name Prefect knows it by: ``muster.<thing>.<what>``."""

    LAUNCHED = "muster.campaign.launched"
    PLANNED = "muster.messages.planned"
    OPENED = "muster.sending.opened"
    MAIL = "muster.mail.received"
    RECEIVED = "muster.submission.received"
    ACCEPTED = "muster.submission.accepted"
    SUBMITTED = "muster.submission.submitted"
    QUERIED = "muster.submission.queried"
    RETURNED = "muster.submission.returned"
    OVERDUE = "muster.obligation.overdue"
    BOUNCED = "muster.message.bounced"
    EXTENSION = "muster.extension.asked"
    COMPLETE = "muster.campaign.complete"
    CLOSED = "muster.campaign.closed"


class Origin(StrEnum):
    """Whether a flow run caused it, which sends what it planned by itself, or somebody else: page, command, mailbox."""

    FLOW = "flow"
    DESK = "desk"


class Cause(BaseModel):
    """What an event says of one cause; numbers are those of the ledger's rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Launch(Cause):
    """A campaign was frozen."""

    units: int = Field(description="units that take part")
    obligations: int = Field(description="reports they owe")


class Planning(Cause):
    """Mails were written into the outbox together."""

    count: int = Field(description="mails")
    notices: dict[str, int] = Field(description="how many of each notice")


class Opening(Cause):
    """Mail that waited may leave."""

    waiting: int = Field(description="mails of the campaign that waited")
    why: str = Field(description="go_live or released")


class Mail(Cause):
    """A mail was fetched and waits to be taken in."""

    intake: int = Field(description="the mail, as `muster queue` numbers it after `in-`")
    party: int | None = Field(description="who sent it, if that is known")


class Submission(Cause):
    """A version was handed in or judged."""

    submission: int = Field(description="the version")
    obligation: int = Field(description="what it was handed in for")
    version: int = Field(description="counted from 1 for its obligation")
    channel: str = Field(description="mail, portal, or how staff took it in")


class Overdue(Cause):
    """A due instant passed with reports still owed."""

    deliverable: str = Field(description="key of the deliverable")
    due: str = Field(description="the due instant, UTC, ISO 8601")
    count: int = Field(description="units that still owed it at the first step after that instant")


class Bounce(Cause):
    """A mail came back for good."""

    message: int = Field(description="the mail, as `muster mails` numbers it")
    party: int = Field(description="to whom it went")
    notice: str = Field(description="which notice it was")


class Extension(Cause):
    """A unit asks for a later deadline."""

    request: int = Field(description="the request, as `muster grant` wants it")
    party: int = Field(description="who asks")
    obligation: int = Field(description="for what")
    until: str = Field(description="the day it asks for, ISO 8601")


class Completion(Cause):
    """Nothing is owed any more, and all occurrences of every series have been made."""

    obligations: int = Field(description="reports that had been owed, exempt ones left out")


class Closing(Cause):
    """A campaign was closed, by staff or by its final consolidation."""

    decision: int = Field(description="the decision that closed it")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What an event of a kind says of each cause, and when one is written."""

    cause: type[Cause]
    when: str


KINDS: Mapping[EventKind, Kind] = {
    EventKind.LAUNCHED: Kind(cause=Launch, when="A campaign is launched: definition, units and obligations frozen."),
    EventKind.PLANNED: Kind(cause=Planning, when="Mails are planned: by a step, by a decision, as a receipt."),
    EventKind.OPENED: Kind(cause=Opening, when="A campaign goes live, or a stop on sending is lifted."),
    EventKind.MAIL: Kind(cause=Mail, when="A mail was fetched from the mailbox and waits to be taken in."),
    EventKind.RECEIVED: Kind(cause=Submission, when="A version is recorded, whatever the checks say of it."),
    EventKind.ACCEPTED: Kind(cause=Submission, when="A version is accepted, by the checks or by staff."),
    EventKind.SUBMITTED: Kind(cause=Submission, when="A version passed the checks and waits for staff."),
    EventKind.QUERIED: Kind(cause=Submission, when="A version is taken with figures to be confirmed."),
    EventKind.RETURNED: Kind(cause=Submission, when="A version is returned for correction, by the checks or by staff."),
    EventKind.OVERDUE: Kind(cause=Overdue, when="The first step after a due instant finds reports still owed."),
    EventKind.BOUNCED: Kind(cause=Bounce, when="A delivery report says that a mail did not arrive and never will."),
    EventKind.EXTENSION: Kind(cause=Extension, when="A unit asks for a later deadline."),
    EventKind.COMPLETE: Kind(cause=Completion, when="A step finds that everything the campaign is owed is in."),
    EventKind.CLOSED: Kind(cause=Closing, when="A campaign is closed."),
}


class Told(BaseModel):
    """The payload that Prefect gets: events of one kind, campaign and origin that were waiting are told as one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(description="how many causes")
    first_at: datetime = Field(description="when the first of them was written, UTC")
    causes: list[dict[str, Any]] = Field(description="the first 50 causes, each as the kind says")


def checked(kind: EventKind, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a cause as it is kept.

    Raises:
        ValueError: it is not what the kind says.

    """
    try:
        return KINDS[kind].cause.model_validate(dict(payload)).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ValueError(f"{kind} does not say {place!r} so: {first['msg']} (ledger/event_kinds.py)") from None
