"""Intake: mails become rows, rows find their unit; what nobody can place waits for a person, never dropped."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from documents.sniff import sniff
from ledger.acts import Act
from ledger.campaigns import find_campaign, hear_of_contact, written
from ledger.errors import told
from ledger.event_kinds import EventKind
from ledger.events import note
from ledger.submissions import (
    KeptFile,
    fitting,
    is_fetched,
    last_uid,
    record_file,
    settle,
    under_another_number,
    waiting_intake,
)
from ledger.tables import IntakeKind, IntakeRow, IntakeState, PartyKind, PartyRow
from mail.bounces import read_bounce
from mail.mailbox import Fetched, MailboxAway
from mail.parsing import IncomingMail, is_auto_reply, parse_mail
from office import wording
from office.bounces import returned_mail, settle_unknown_bounce, take_bounce
from office.courtesy import acknowledge, is_answerable, said_the_same, send_back
from office.destination import HandIn, IncomingFile
from office.handin import take_in
from office.looking_ahead import glanced_at, looked_at
from office.matching import RETURNED_ID, Match, find_sender
from office.nil import hand_in_nil, which_nil
from office.pending import Pending, documents_asked_about, names_to, subjects_to
from office.premises import Premises
from office.workbooks import NotPlacedError
from rules.subjects import new_words, says_nil

BATCH = 50
FETCHED_AT_ONCE, FETCHED_BYTES = 20, 8 * 1024 * 1024  # mails under one pen
NUMBERED = "in-"  # before the number of an incoming mail, as staff read it
LONGEST_UID = 200  # of a mail's name in its mailbox, as the ledger keeps it
# The ledger or the disk is at fault, not the mail at hand: it waits.
NOT_THE_MAIL = (OperationalError, InterfaceError, InternalError, ProgrammingError, OSError)


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What a collection did: mails by what they turned out to be, and answers planned by notice."""

    mails: Mapping[str, int] = field(default_factory=dict)
    answers: Mapping[str, int] = field(default_factory=dict)


def fetch_mail(premises: Premises, act: Act, stopped: Callable[[], bool] = lambda: False) -> int:
    """Fetch what lies in the mailbox into intake rows, for whichever campaign; return how many were new.

    A mail is marked in its mailbox only after its row is committed; it is never deleted.

    Raises:
        MailboxAway: the mailbox cannot be reached; what was fetched before stands.

    """
    fetched = 0
    mailbox = premises.mailbox

    def last_of(uid_validity: str) -> int:
        with premises.ledger.reading() as session:
            return last_uid(session, mailbox.name, uid_validity)

    for group in _in_groups(mailbox.new(last_of)):
        with glanced_at(premises, group), premises.ledger.writing() as session:
            for mail in group:
                if not is_fetched(session, mailbox.name, mail.uid_validity, _uid(mail)):
                    _record_safely(session, premises, act, mailbox.name, mail)
                    fetched += 1
        for mail in group:
            mailbox.take(mail)
        if stopped():
            break
    return fetched


def _in_groups(mails: Iterator[Fetched]) -> Iterator[list[Fetched]]:
    """Yield mails a few at a time; what came before the mailbox went away comes all the same."""
    group: list[Fetched] = []
    try:
        for mail in mails:
            group.append(mail)
            if len(group) == FETCHED_AT_ONCE or sum(len(one.raw) for one in group) > FETCHED_BYTES:
                yield group
                group = []
    except MailboxAway:
        if group:
            yield group
        raise
    if group:
        yield group


def _uid(fetched: Fetched) -> str:
    """Return a mail's name in its mailbox as the ledger keeps it; of one that is too long or odd, a name made of it."""
    kept = fetched.uid.encode("utf-8", "surrogateescape")
    plain = len(kept) <= LONGEST_UID and kept.decode("utf-8", "replace") == fetched.uid
    return fetched.uid if plain else f"sha256:{sha256(kept).hexdigest()}"


def _record_safely(session: Session, premises: Premises, act: Act, mailbox: str, fetched: Fetched) -> None:
    """Record one mail; one that breaks our own code is kept by its bytes for a person, and does not stop the others."""
    known = {
        "mailbox": mailbox,
        "uid_validity": fetched.uid_validity[:32],
        "uid": _uid(fetched),
        "raw_sha256": premises.files.put(fetched.raw),
        "size": max(fetched.size, len(fetched.raw)),
        "received_at": fetched.received_at,
        "problems": [],
        **written(act),
    }
    try:
        with session.begin_nested():
            _record_fetched(session, premises, act, fetched, known)
    except NOT_THE_MAIL:
        raise
    except Exception as error:  # noqa: BLE001  whatever a mail can break, it is fetched
        row = IntakeRow(**known)
        settle(row, kind=IntakeKind.UNREADABLE, state=IntakeState.QUEUED, reason=_could_not(error))
        session.add(row)


def _record_fetched(session: Session, premises: Premises, act: Act, fetched: Fetched, known: Mapping[str, Any]) -> None:
    """Record a mail; one that could not be fetched or was fetched before is settled at once."""
    if fetched.trouble:
        row = IntakeRow(**known)
        settle(row, kind=IntakeKind.UNREADABLE, state=IntakeState.QUEUED, reason=fetched.trouble)
        session.add(row)
        return
    row = _record_intake(session, premises, act, fetched.raw, known)
    note(session, act, EventKind.MAIL, {"intake": row.id, "party": row.party_id}, row.campaign_id)
    numbering = known["uid_validity"]
    before = under_another_number(session, known["mailbox"], numbering, known["raw_sha256"]) if numbering else None
    if before is not None:
        reason = f"the mailbox was numbered anew; this mail is {NUMBERED}{before.id}"
        settle(row, kind=IntakeKind.DUPLICATE, state=IntakeState.DONE, reason=reason)


def _could_not(error: Exception) -> str:
    return f"could not be read: {told(error)}"


def _record_intake(session: Session, premises: Premises, act: Act, raw: bytes, known: Mapping[str, Any]) -> IntakeRow:
    mail = parse_mail(raw)
    match = find_sender(session, premises, mail)
    bounce = read_bounce(mail, raw) if match.message is None else None
    if bounce is not None and (returned := returned_mail(session, raw)) is not None:
        match = Match(party_id=returned.party_id, message=returned, by=RETURNED_ID)
    party = session.get(PartyRow, match.party_id) if match.party_id is not None else None
    row = IntakeRow(
        **known,
        **fitting(IntakeRow, from_address=mail.from_address, subject=mail.subject, message_id=mail.message_id),
        campaign_id=party.campaign_id if party else None,
        party_id=party.id if party else None,
        matched_by=match.by,
        from_known=party is not None and hear_of_contact(session, party.id, mail.from_address),
    )
    if party is None and bounce is not None:
        settle_unknown_bounce(row, bounce)
    elif party is None:
        settle(row, kind=IntakeKind.UNMATCHED, state=IntakeState.QUEUED, reason="no token and no known sender")
    session.add(row)
    session.flush()
    if party is None:
        _keep_attachments(session, premises, act, row, mail)
    return row


def drain_intake(premises: Premises, act: Act, campaign: str) -> Collected:
    """Look at every mail of a campaign that waits: record, answer, or queue it. A savepoint each.

    What takes long, parsing and opening what is attached, is done before the ledger's one pen is taken, and those that
    are ready by then share a transaction. Where that fails, none of them is settled, and all wait for the next run.
    """
    mails: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    while True:
        with premises.ledger.reading() as session:
            rows = waiting_intake(session, find_campaign(session, campaign).id, BATCH)
            waiting = [(row.raw_sha256, row.size) for row in rows]
            numbers = iter([row.id for row in rows])
        with closing(looked_at(premises, waiting)) as groups:
            for group in groups:
                with premises.ledger.writing() as session:
                    _held = find_campaign(session, campaign)  # or each mail would read the whole definition, and twice
                    for row_id, mail in zip(islice(numbers, len(group)), group, strict=True):
                        row = session.get_one(IntakeRow, row_id)
                        if row.state != IntakeState.WAITING:
                            continue  # another run was faster
                        notice = _handle_safely(session, premises, act, row, mail)
                        mails[row.kind] += 1
                        if notice:
                            answers[notice] += 1
        if not waiting:
            return Collected(mails=mails, answers=answers)


def _handle_safely(
    session: Session, premises: Premises, act: Act, row: IntakeRow, mail: IncomingMail | None
) -> str | None:
    """Settle one mail; one that breaks our own code goes to the staff queue and does not stop the others."""
    try:
        with session.begin_nested():
            return handle_mail(session, premises, act, row, mail)
    except FileNotFoundError as error:
        root = premises.files.root
        if not root.is_dir() or not Path(str(error.filename)).is_relative_to(root):
            raise  # the whole store is away and may come back, or it is a file of ours
        reason = f"a file is missing from the file store: {error.filename}"
        settle(row, kind=IntakeKind.UNREADABLE, state=IntakeState.QUEUED, reason=reason)
        return None
    except NOT_THE_MAIL:
        raise
    except Exception as error:  # noqa: BLE001  whatever a mail can break, nothing of it is recorded
        settle(row, kind=IntakeKind.UNREADABLE, state=IntakeState.QUEUED, reason=_could_not(error))
        return None


def handle_mail(
    session: Session, premises: Premises, act: Act, row: IntakeRow, mail: IncomingMail | None = None
) -> str | None:
    """Settle one fetched mail, read before or now; return the notice planned in answer, if any."""
    raw = premises.files.get(row.raw_sha256)
    mail = mail or parse_mail(raw)
    bounce = read_bounce(mail, raw)
    if bounce is not None:
        take_bounce(session, premises, act, row, mail, bounce)
        return None
    if is_auto_reply(mail):
        _keep_attachments(session, premises, act, row, mail)
        state = IntakeState.QUEUED if mail.attachments or mail.faults else IntakeState.DONE
        reason = f"automatic reply {'with' if mail.attachments else 'without'} attachment"
        settle(row, kind=IntakeKind.AUTO_REPLY, state=state, reason="; ".join((reason, *mail.faults)))
        return None
    if row.size > len(raw):
        return _tell_of_size(session, premises, act, row, mail)
    return _take_letter(session, premises, act, row, mail)


def _take_letter(session: Session, premises: Premises, act: Act, row: IntakeRow, mail: IncomingMail) -> str | None:
    """Settle what a person wrote: a hand-in, a nil return, the answer to our question which it is, or a letter."""
    party = session.get_one(PartyRow, row.party_id)
    words = new_words(mail.subject, subjects_to(session, party.id))
    files = tuple(IncomingFile(name=a.file_name, content=a.content) for a in mail.attachments if not a.is_trimming)
    if files:
        return _take_hand_in(session, premises, act, row, mail, words, files)
    if party.kind == PartyKind.UNIT and says_nil(words, names_to(session, party)):
        return _take_nil(session, premises, act, row, mail, words)
    pending = documents_asked_about(session, premises, party, words)
    if pending is not None:
        return _take_pending(session, premises, act, row, mail, words, pending)
    kind = IntakeKind.UNREADABLE if mail.faults else IntakeKind.QUESTION
    reason = "; ".join(("text without attachment", *mail.faults))
    settle(row, kind=kind, state=IntakeState.QUEUED, reason=reason)
    return acknowledge(session, premises, act, row, mail)


def _tell_of_size(session: Session, premises: Premises, act: Act, row: IntakeRow, mail: IncomingMail) -> str | None:
    """Tell a unit that its mail was too large; the mail waits in the mailbox for a person."""
    problems = (wording.PROBLEM["mail_too_large"],)
    reason = f"{row.size / 1024 / 1024:.0f} MB: only its head was fetched, the mail lies in the mailbox"
    told = said_the_same(session, act, row, problems)
    settle(row, kind=IntakeKind.UNREADABLE, state=IntakeState.QUEUED, reason=reason, problems=problems)
    return None if told else send_back(session, premises, act, row, mail)


def _take_nil(
    session: Session, premises: Premises, act: Act, row: IntakeRow, mail: IncomingMail, words: str
) -> str | None:
    """Take in a nil return: a mail without attachment that says so in the new words of its subject."""
    party = session.get_one(PartyRow, row.party_id)
    try:
        with session.begin_nested():
            taken = hand_in_nil(
                session, premises, act, party, which_nil(session, party, words), channel="mail",
                received_at=row.received_at, entered_by=f"unit:{party.code}", intake=row,
                answerable=is_answerable(mail, premises),
            )  # fmt: skip
    except NotPlacedError as error:
        told = said_the_same(session, act, row, (error.problem,))
        settle(
            row, kind=IntakeKind.UNREADABLE, state=IntakeState.QUEUED, reason=error.reason, problems=(error.problem,)
        )
        return None if told else send_back(session, premises, act, row, mail)
    kind = IntakeKind.HAND_IN if taken.recorded else IntakeKind.DUPLICATE
    settle(row, kind=kind, state=IntakeState.DONE, reason="; ".join(("nil return", *taken.reasons)))
    return taken.notice


def _take_pending(
    session: Session, premises: Premises, act: Act, row: IntakeRow, mail: IncomingMail, words: str, pending: Pending
) -> str | None:
    """Take in the documents of an earlier mail, of which this one says what they are."""
    hand_in = HandIn(
        party=session.get_one(PartyRow, row.party_id),
        channel="mail",
        received_at=pending.row.received_at,
        files=pending.files,
        subject=words,
        intake=row,
        entered_by=f"unit:{pending.code}",
        answerable=is_answerable(mail, premises),
    )
    taken = take_in(session, premises, act, hand_in)
    state = IntakeState.QUEUED if taken.problems else IntakeState.DONE
    settle(
        row,
        kind=IntakeKind.HAND_IN,
        state=state,
        reason=f"says what {NUMBERED}{pending.row.id} holds",
        problems=taken.problems,
    )
    if taken.recorded and pending.nothing_else:
        pending.row.state = IntakeState.DONE
        pending.row.reason = f"{NUMBERED}{row.id} said what it holds; {pending.row.reason}"[:500]
    return taken.notice


def _take_hand_in(
    session: Session,
    premises: Premises,
    act: Act,
    row: IntakeRow,
    mail: IncomingMail,
    words: str,
    files: tuple[IncomingFile, ...],
) -> str | None:
    party = session.get_one(PartyRow, row.party_id)
    hand_in = HandIn(
        party=party,
        channel="mail",
        received_at=row.received_at,
        files=files,
        subject=words,
        intake=row,
        entered_by=f"unit:{party.code}",
        answerable=is_answerable(mail, premises),
    )
    taken = take_in(session, premises, act, hand_in)
    kind, reasons = IntakeKind.HAND_IN if taken.recorded else IntakeKind.UNREADABLE, taken.reasons
    if taken.notice is None and not taken.recorded and not taken.problems:
        kind, reasons = IntakeKind.DUPLICATE, ("handed in before, byte for byte",)
    state = IntakeState.QUEUED if taken.problems or mail.faults else IntakeState.DONE
    settle(row, kind=kind, state=state, reason="; ".join((*reasons, *mail.faults)), problems=taken.problems)
    return taken.notice


def _keep_attachments(session: Session, premises: Premises, act: Act, row: IntakeRow, mail: IncomingMail) -> None:
    for attachment in mail.attachments:
        kept = KeptFile(
            sha256=premises.files.put(attachment.content),
            name=attachment.file_name,
            kind=str(sniff(attachment.content)),
            size=len(attachment.content),
        )
        record_file(session, act, kept, submission_id=None, intake_id=row.id)
