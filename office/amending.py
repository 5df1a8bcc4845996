"""The frozen definition amended: the folder as edited put in its place, by a decision, as far as that can be.

Deadlines that nobody has moved since go with the definition; new materials become obligations; what exists stays.
What was sent by the old definition stays sent: a moment before the amendment is replayed with the old one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from definition.loading import LoadedCampaign
from definition.models import Campaign, Deliverable
from definition.roster import Unit
from ledger.acts import Act
from ledger.campaigns import Change, NewObligation, deliverable_ids, freeze_obligations, record_deliverables
from ledger.decisions import decide, due_changes, keep_definition
from ledger.tables import (
    CampaignRow,
    Changed,
    DecisionRow,
    DeliverableRow,
    ItemRow,
    MessageRow,
    ObligationRow,
    PartyKind,
    PartyRow,
)
from office.differences import Difference, differences
from office.premises import Premises
from office.refusals import NotPossible
from office.review import grounds_of
from office.rulebook import Rulebook, open_book, owed_by_unit

AMENDED = "amended"
FIXED = ("key", "zone", "categories", "roster")  # of a campaign that runs
FIXED_OF_DELIVERABLE = ("kind", "form")


@dataclass(frozen=True, kw_only=True)
class Amendment:
    """What amending would do: the differences, and why it cannot be done, if it cannot."""

    differences: tuple[Difference, ...]
    refusals: tuple[str, ...]


def compare(session: Session, loaded: LoadedCampaign) -> Amendment:
    """Return what amending the running campaign to a folder would change; nothing is written.

    Raises:
        UnknownCampaign: it has not been launched.

    """
    row, book = open_book(session, loaded.campaign.key)
    new = loaded.campaign
    refusals = (
        *_fixed(book.campaign, new),
        *lost(session, row, book, Rulebook(new)),
        *_shifted(session, row, book.campaign, new),
    )
    return Amendment(differences=tuple(differences(book.campaign, new)), refusals=refusals)


def amend(session: Session, premises: Premises, act: Act, loaded: LoadedCampaign, grounds: str) -> DecisionRow:
    """Put a folder in the place of the frozen definition.

    Raises:
        UnknownCampaign: it has not been launched.
        NotPossible: nothing differs, or something differs that cannot while the campaign runs.
        ValueError: there are no grounds.

    """
    said = grounds_of(grounds, "the definition is amended")
    found = compare(session, loaded)
    if found.refusals:
        raise NotPossible("standing", "; ".join(found.refusals))
    if not found.differences:
        raise NotPossible("standing", f"the folder says what {loaded.campaign.key} runs by; nothing was changed")
    row, book = open_book(session, loaded.campaign.key)
    new = Rulebook(loaded.campaign)
    for attachment in loaded.campaign.attachments:
        premises.files.put((loaded.folder / attachment.file).read_bytes())
    keep_definition(session, act, row.digest, row.definition)
    keep_definition(session, act, loaded.campaign.digest(), loaded.campaign.dump())
    _deliverables(session, act, row, loaded.campaign)
    moved = list(_moved(session, act, row, book, new))
    added = freeze_obligations(session, act, row.id, _added(session, act, row, new))
    return decide(
        session,
        act,
        row.id,
        AMENDED,
        said,
        before={"digest": row.digest},
        after={
            "digest": loaded.campaign.digest(),
            "differences": [str(line) for line in found.differences],
            "moved": sum(change.field is Changed.DUE for change in moved),
            "added": [obligation.id for obligation in added],
        },
        changes=[Change(Changed.DEFINITION, row.digest, loaded.campaign.digest()), *moved],
    )


def _fixed(old: Campaign, new: Campaign) -> Iterator[str]:
    """Yield what differs of that which cannot while a campaign runs."""
    for name in FIXED:
        if getattr(old, name) != getattr(new, name):
            yield f"{name} cannot change while {old.key} runs"
    before = {d.key: d for d in old.deliverables}
    for deliverable in new.deliverables:
        was = before.get(deliverable.key)
        for name in FIXED_OF_DELIVERABLE if was is not None else ():
            if getattr(was, name) != getattr(deliverable, name):
                yield f"{name} of deliverable {deliverable.key} cannot change; add another deliverable"


def lost(session: Session, row: CampaignRow, book: Rulebook, new: Rulebook) -> Iterator[str]:
    """Yield what of another definition would leave obligations on record that nothing asks for any more."""
    known = {d.key: d for d in new.campaign.deliverables}
    for deliverable in book.campaign.deliverables:
        now = known.get(deliverable.key)
        owing = _owing(session, row, deliverable)
        if now is None:
            if owing:
                yield f"deliverable {deliverable.key} has obligations; keep it, and `muster exempt` whoever is spared"
            continue
        kept = {o.key for o in new.occurrences[deliverable.key]}
        gone = sorted({o for _, o in owing if o not in kept}) if kept else []
        if gone:
            yield f"occurrences of {deliverable.key} have obligations: {', '.join(gone)}; keep them"
        spared = sorted({p.code for p, _ in owing if not new.owes(p.category, p.code, now)})
        if spared and not set(spared) <= _beside(book, deliverable, owing):
            yield f"{', '.join(spared[:5])} owe {deliverable.key} already; keep that, and `muster exempt` them"


def _shifted(session: Session, row: CampaignRow, old: Campaign, new: Campaign) -> Iterator[str]:
    """Yield why a ladder cannot change on which somebody stands: what was said is known by the rung's number."""
    was, now = old.timetable.escalation, new.timetable.escalation
    if [(r.audience, r.notice) for r in now[: len(was)]] == [(r.audience, r.notice) for r in was]:
        return
    climbed = select(ItemRow.id).join(MessageRow, MessageRow.id == ItemRow.message_id)
    stands = climbed.where(MessageRow.campaign_id == row.id, ItemRow.rung.like("escalate:%"), ~ItemRow.gone).limit(1)
    if session.scalar(stands) is not None:
        yield "the ladder was climbed: keep its rungs in order, with their audiences; others may be added above"


def _beside(book: Rulebook, deliverable: Deliverable, owing: list[tuple[PartyRow, str]]) -> set[str]:
    """Return the units that have an obligation which the definition never asked them for: of voluntary materials."""
    return {p.code for p, _ in owing if not book.owes(p.category, p.code, deliverable)}


def _owing(session: Session, row: CampaignRow, deliverable: Deliverable) -> list[tuple[PartyRow, str]]:
    query = (
        select(PartyRow, ObligationRow.occurrence)
        .join(ObligationRow, ObligationRow.party_id == PartyRow.id)
        .join(DeliverableRow, DeliverableRow.id == ObligationRow.deliverable_id)
        .where(DeliverableRow.campaign_id == row.id, DeliverableRow.key == deliverable.key)
        .where(ObligationRow.due_at.is_not(None))
    )
    return [(party, occurrence) for party, occurrence in session.execute(query)]


def _deliverables(session: Session, act: Act, row: CampaignRow, new: Campaign) -> None:
    """Record new kinds of report."""
    known = deliverable_ids(session, row.id)
    fresh = [(d.key, d.title, str(d.kind)) for d in new.deliverables if d.key not in known]
    record_deliverables(session, act, row.id, fresh)


def _moved(session: Session, act: Act, row: CampaignRow, book: Rulebook, new: Rulebook) -> Iterator[Change]:
    """Yield the new deadlines of what is due as the old definition said.

    Raises:
        NotPossible: a new deadline has passed.

    """
    ids = deliverable_ids(session, row.id)
    for key, occurrences in book.occurrences.items():
        later = {o.key: new.due(o) for o in new.occurrences.get(key, ())}
        for occurrence in occurrences:
            was, now = book.due(occurrence), later.get(occurrence.key)
            if was is None or now is None or was == now:
                continue
            if now <= act.as_of:
                raise NotPossible("standing", f"the new deadline of {key} has passed; name a later one")
            query = select(ObligationRow).where(
                ObligationRow.campaign_id == row.id,
                ObligationRow.deliverable_id == ids[key],
                ObligationRow.occurrence == occurrence.key,
                ObligationRow.due_at == was,
            )
            for obligation in session.scalars(query.order_by(ObligationRow.id)):
                yield from due_changes(act, obligation, now)


def _added(session: Session, act: Act, row: CampaignRow, new: Rulebook) -> list[NewObligation]:
    """Return what units owe by the new definition and did not before; what is past they owe like one that joins."""
    units = session.scalars(
        select(PartyRow).where(
            PartyRow.campaign_id == row.id, PartyRow.kind == PartyKind.UNIT, PartyRow.left_at.is_(None)
        )
    )
    titles = {id_: key for key, id_ in deliverable_ids(session, row.id).items()}
    made = select(ObligationRow.party_id, ObligationRow.deliverable_id, ObligationRow.occurrence)
    known = {
        (party_id, titles[deliverable_id], occurrence)
        for party_id, deliverable_id, occurrence in session.execute(made.where(ObligationRow.campaign_id == row.id))
    }
    fresh = []
    for party in units:
        unit = Unit(code=party.code, name=party.name, category=party.category, superior="")
        for key, occurrence in owed_by_unit(new, unit, joined=act.as_of, as_of=act.as_of):
            if (party.id, key, occurrence.key) not in known and new.due(occurrence) is not None:
                fresh.append(
                    NewObligation(
                        party_id=party.id,
                        deliverable=key,
                        occurrence=occurrence.key,
                        due=new.due(occurrence),
                        chase_from=act.as_of,
                    )
                )
    return fresh
