"""Automatic answers, sparingly: a machine is never answered, and nobody more often than a person would write.

Every answer of ours says itself that it is automatic, and goes to the unit's registered contact, never to whatever
address a mail bears: so no mail makes us write to a stranger, and two programs cannot keep each other talking.
"""

import re
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.outbox import NewMessage, plan_messages
from ledger.tables import IntakeRow, MessageRow, MessageState, PartyKind, PartyRow
from mail.parsing import IncomingMail, is_auto_reply
from office.premises import Premises

ACKNOWLEDGED = "acknowledged"
RETURNED = "returned"
ANSWERS = ("receipt", RETURNED, ACKNOWLEDGED)
HOUR = timedelta(hours=1)
MOST_AN_HOUR = 20  # answers to one unit; what comes beyond is recorded all the same
ROBOT = re.compile(
    r"^(?:no[-_.]?reply|do[-_.]?not[-_.]?reply|noreply\w*|mailer[-_.]?daemon|postmaster|bounces?|majordomo|listserv"
    r"|\w*-(?:owner|request|bounces))(?:[+@]|$)"
)


def is_answerable(mail: IncomingMail, premises: Premises) -> bool:
    """Whether a person may sit behind a mail: no machine, no list, not ourselves."""
    address = mail.from_address.lower()
    if not address or is_auto_reply(mail) or mail.from_list or ROBOT.match(address):
        return False
    local, _, domain = address.partition("@")
    return not (domain == premises.mail_domain and local.partition("+")[0] == premises.mail_box)


def acknowledge(session: Session, premises: Premises, act: Act, row: IntakeRow, mail: IncomingMail) -> str | None:
    """Tell a unit that its letter came and a person will read it, once a sender and hour; return the notice planned."""
    party = session.get_one(PartyRow, row.party_id)
    if party.kind != PartyKind.UNIT or _acknowledged(session, act, row):
        return None
    answer = NewMessage(party_id=party.id, notice=ACKNOWLEDGED, occasion=f"intake:{row.id}")
    silent = answer_mail(session, premises, act, party, answer, answerable=is_answerable(mail, premises))
    return None if silent else ACKNOWLEDGED


def send_back(session: Session, premises: Premises, act: Act, row: IntakeRow, mail: IncomingMail) -> str | None:
    """Tell a unit why nothing of its mail was recorded; return the notice planned."""
    party = session.get_one(PartyRow, row.party_id)
    answer = NewMessage(party_id=party.id, notice=RETURNED, occasion=f"intake:{row.id}")
    silent = answer_mail(session, premises, act, party, answer, answerable=is_answerable(mail, premises))
    return None if silent else RETURNED


def answer_mail(
    session: Session, premises: Premises, act: Act, party: PartyRow, answer: NewMessage, *, answerable: bool
) -> str:
    """Plan an answer to a mail, whichever it is; return why there is none, or nothing.

    Every answer that no person decided on passes here: programs that answer each other must come to rest.
    """
    if not answerable:
        return "from a machine or a list: not answered"
    if has_enough(session, act, party.id):
        return "many answers within the hour: this one is not answered"
    plan_messages(session, act, party.campaign_id, premises.mail_domain, [answer])
    return ""


def has_enough(session: Session, act: Act, party_id: int) -> bool:
    """Whether a party was given so many automatic answers lately that another would be one of a loop."""
    query = select(func.count()).where(
        MessageRow.party_id == party_id, MessageRow.notice.in_(ANSWERS), MessageRow.as_of > act.as_of - HOUR
    )
    return session.scalars(query).one() >= MOST_AN_HOUR


def said_the_same(session: Session, act: Act, row: IntakeRow, problems: tuple[str, ...]) -> bool:
    """Whether a unit was told just these problems, and nothing else, within the hour."""
    lately = select(IntakeRow).where(
        IntakeRow.party_id == row.party_id,
        IntakeRow.id != row.id,
        IntakeRow.kind == "unreadable",
        IntakeRow.as_of > act.as_of - HOUR,
    )
    return any(tuple(one.problems) == problems for one in session.scalars(lately))


def _acknowledged(session: Session, act: Act, row: IntakeRow) -> bool:
    """Whether this sender had such an answer within the hour, as whichever unit."""
    same_sender = select(IntakeRow.id).where(
        func.lower(IntakeRow.from_address) == row.from_address.lower(), IntakeRow.id != row.id
    )
    lately = IntakeRow.as_of > act.as_of - HOUR - HOUR
    occasions = [f"intake:{id_}" for id_ in session.scalars(same_sender.where(lately))]
    query = select(MessageRow.id).where(
        MessageRow.notice == ACKNOWLEDGED,
        MessageRow.occasion.in_(occasions),
        MessageRow.state != MessageState.SUPERSEDED,
        MessageRow.as_of > act.as_of - HOUR,
    )
    return session.scalar(query.limit(1)) is not None
