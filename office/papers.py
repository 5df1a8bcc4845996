"""Papers: drafted from the ledger at a moment, listed, and sent out only when approved, with what then holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from documents.circulation import Circulation
from ledger import papers as ledger
from ledger.acts import Act
from ledger.campaigns import record_decision
from ledger.facts import party_names
from ledger.outbox import NewMessage, plan_messages
from ledger.tables import GONE, CampaignRow, DecisionRow, MessageRow, PaperKind, PaperRow, PaperState, PartyRow
from office import wording
from office.circulating import circulation_at, circulation_document
from office.consolidation import DOCX
from office.incoming import number_of, waiting_of
from office.mailbook import DASH, local
from office.orders import GRADE, Order, order_document, orders_due
from office.premises import Premises
from office.refusals import NotPossible
from office.review import grounds_of
from office.rulebook import Rulebook, open_book, rulebook_of
from rules.notices import ItemDue

ORDERED, CIRCULATED = "supervised", "circulated"  # the decisions by which papers go out
NOTHING_LEFT = "nothing is left to be demanded"
DRAFT_PREFIX = "草稿-"
KIND = {"order": "督办单", "circulation": "通报"}
UNSENT = "已批准，未发出"  # and may be drafted again
STATE = wording.PAPER_STATE


@dataclass(frozen=True, kw_only=True)
class Drafted:
    """What a drafting did: papers drafted anew or renewed, drafts dropped, units passed over."""

    drafted: tuple[int, ...] = ()
    dropped: int = 0
    said: int = 0  # units with an approved order over the very same
    wrote: tuple[str, ...] = ()  # units ordered of which a mail waits in the staff queue: look there first


@dataclass(frozen=True, kw_only=True)
class Approved:
    """What became of a paper: its number and to how many it goes; dropped if nothing was left to say."""

    paper: int
    number: str = ""
    parties: int = 0
    dropped: str = ""
    changed: bool = False  # it says other than the draft that was looked at


Ahead = Mapping[tuple[int, str], bytes]  # by unit and what its order names


def write_ahead(session: Session, act: Act, campaign: str) -> Ahead:
    """Return the orders that are to be drafted, written before the ledger's pen is taken: hundreds take a while."""
    row, book = open_book(session, campaign)
    fresh, _ = _fresh(session, row, book, act)
    return {(order.unit.id, _key(order.facts)): order_document(book, act, order) for order in fresh}


def _fresh(session: Session, row: CampaignRow, book: Rulebook, act: Act) -> tuple[list[Order], int]:
    """Return the orders that were not given before, and how many were."""
    approved = ledger.papers_of(session, row.id, kind=PaperKind.ORDER, state=PaperState.APPROVED)
    unsent = withdrawn(session, approved)
    known = {(paper.party_id, _key(paper.facts)) for paper in approved if paper.id not in unsent}
    due = orders_due(session, row, book, act)
    fresh = [order for order in due if (order.unit.id, _key(order.facts)) not in known]
    return fresh, len(due) - len(fresh)


def draft_orders(
    session: Session, premises: Premises, act: Act, campaign: str, *, ahead: Ahead | None = None
) -> Drafted:
    """Draft an order for every unit that is to have one; open drafts are renewed, or dropped with their reason gone.

    A unit that was ordered the same things under the same dates in the same colour before is passed over. ``ahead``
    are orders written for the same moment by :func:`write_ahead`.
    """
    row, book = open_book(session, campaign)
    fresh, said = _fresh(session, row, book, act)
    wanted = {order.unit.id for order in fresh}
    gone = [
        draft
        for draft in ledger.papers_of(session, row.id, kind=PaperKind.ORDER, state=PaperState.DRAFT)
        if draft.party_id not in wanted
    ]
    for draft in gone:
        _drop(session, premises, act, row, draft, NOTHING_LEFT)
    ready = ahead or {}
    ids = tuple(
        _draft_order(
            session, premises, act, row, order,
            ready.get((order.unit.id, _key(order.facts))) or order_document(book, act, order),
        )
        for order in fresh
    )  # fmt: skip
    wrote = tuple(
        f"{order.unit.code} ({', '.join(number_of(mail) for mail in mails)})"
        for order in fresh
        if (mails := waiting_of(session, order.unit.id))
    )
    return Drafted(drafted=ids, dropped=len(gone), said=said, wrote=wrote)


def withdrawn(session: Session, papers: Sequence[PaperRow]) -> frozenset[int]:
    """Return the approved papers of which nothing was sent: a decision, or the unit's report, came before."""
    occasions = {f"decision:{paper.decision_id}": paper.id for paper in papers if paper.decision_id is not None}
    query = select(MessageRow.occasion, MessageRow.state).where(MessageRow.occasion.in_(occasions))
    live = {occasions[occasion] for occasion, state in session.execute(query) if state not in GONE}
    return frozenset(occasions.values()) - live


def _key(facts: Mapping[str, Any]) -> str:
    return f"{facts['grade']} {sorted(map(str, facts['owed']))}"


def _draft_order(session: Session, premises: Premises, act: Act, row: CampaignRow, order: Order, content: bytes) -> int:
    name = f"{DRAFT_PREFIX}督办单-{order.unit.code}.docx"
    text = _order_text(premises, row, order, name, content)
    return ledger.draft_paper(session, act, row.id, PaperKind.ORDER, text, party_id=order.unit.id).id


def _order_text(premises: Premises, row: CampaignRow, order: Order, name: str, content: bytes) -> ledger.Text:
    sha256 = _keep(premises, row, name, content)
    return ledger.Text(name=name, sha256=sha256, facts=order.facts, grade=order.grade)


def draft_circulation(session: Session, premises: Premises, act: Act, campaign: str) -> Drafted:
    """Draft the circulation over what has fallen due; an open draft is renewed.

    Raises:
        ValueError: nothing has fallen due yet.

    """
    row, book = open_book(session, campaign)
    told = _circulation(session, row, book, act)
    name = f"{DRAFT_PREFIX}通报-{row.key}.docx"
    paper = ledger.draft_paper(
        session, act, row.id, PaperKind.CIRCULATION, _circulation_text(premises, row, told, name)
    )
    return Drafted(drafted=(paper.id,))


def _circulation_text(premises: Premises, row: CampaignRow, told: Circulation, name: str) -> ledger.Text:
    return ledger.Text(name=name, sha256=_keep(premises, row, name, circulation_document(told)), facts=_figures(told))


def _circulation(session: Session, row: CampaignRow, book: Rulebook, act: Act, *, number: str = "") -> Circulation:
    told = circulation_at(session, row, book, act, number=number)
    if not told.totals.owed:
        raise ValueError(f"nothing of {row.key} has fallen due yet, so there is nothing to circulate")
    return told


def _figures(told: Circulation) -> dict[str, Any]:
    t = told.totals
    named = {name: sum(len(g.units) for g in getattr(told, name)) for name in ("late", "returned", "missing")}
    return {"owed": t.owed, "reported": t.reported, "on_time": t.on_time, "named": named}


def _keep(premises: Premises, row: CampaignRow, name: str, content: bytes) -> str:
    """Keep a paper by its hash, and lay a copy into the campaign's reports for people to open."""
    folder = premises.reports / row.key / "papers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return premises.files.put(content)


def _drop(session: Session, premises: Premises, act: Act, row: CampaignRow, paper: PaperRow, reason: str) -> None:
    _take_away(premises, row, paper)
    ledger.drop_paper(session, act, paper, reason)


def _take_away(premises: Premises, row: CampaignRow, paper: PaperRow) -> None:
    """Take the copy of a draft out of the reports; by its hash it is kept."""
    (premises.reports / row.key / "papers" / paper.name).unlink(missing_ok=True)


def approve_paper(session: Session, premises: Premises, act: Act, paper_id: int, *, grounds: str) -> Approved:
    """Approve a draft: it is written anew with what holds now, gets its number, and is planned to go out.

    An order to a unit that has reported everything since is dropped instead, and uses up no number.

    Raises:
        UnknownPaper: there is none of that number.
        NotPossible: it was approved or dropped before.
        ValueError: there are no grounds, or it is a circulation with nothing due.

    """
    paper = _draft(session, paper_id)
    said = grounds_of(grounds, "the paper is approved")
    row = session.get_one(CampaignRow, paper.campaign_id)
    book = rulebook_of(row)
    if paper.kind == PaperKind.CIRCULATION:
        return _circulate(session, premises, act, paper, row, book, said)
    assert paper.party_id is not None  # noqa: S101  for the type checker: an order is to a unit
    now = orders_due(session, row, book, act, party_ids=[paper.party_id])
    if not now:
        _drop(session, premises, act, row, paper, NOTHING_LEFT)
        return Approved(paper=paper.id, dropped=NOTHING_LEFT)
    return _order(session, premises, act, paper, row, book, now[0], said)


def _draft(session: Session, paper_id: int) -> PaperRow:
    paper = ledger.find_paper(session, paper_id)
    if paper.state != PaperState.DRAFT:
        raise NotPossible("decided", f"paper {paper_id} is no draft any more: it was {paper.state}")
    return paper


def _order(
    session: Session, premises: Premises, act: Act, paper: PaperRow, row: CampaignRow, book: Rulebook, order: Order,
    grounds: str,
) -> Approved:  # fmt: skip
    changed = _key(order.facts) != _key(paper.facts)
    number = _numbered(session, book, act, paper, book.campaign.papers.order_number)
    content = order_document(book, act, order, number=number.text)
    text = _order_text(premises, row, order, f"督办单{number.text}.docx", content)
    decision = _decide(session, act, paper, ORDERED, grounds, number)
    _take_away(premises, row, paper)
    ledger.approve_paper(session, act, paper, decision, number, text)
    occasion = f"decision:{decision.id}"
    items = tuple(ItemDue(obligation_id=ob.id, rung=occasion, due=ob.due) for ob in order.owed)
    new = NewMessage(
        party_id=order.unit.id, notice="supervision_order", occasion=occasion, items=items, detail=_enclosed(paper)
    )
    plan_messages(session, act, row.id, premises.mail_domain, [new])
    return Approved(paper=paper.id, number=number.text, parties=1, changed=changed)


def _circulate(
    session: Session, premises: Premises, act: Act, paper: PaperRow, row: CampaignRow, book: Rulebook, grounds: str
) -> Approved:
    number = _numbered(session, book, act, paper, book.campaign.papers.circulation_number)
    told = _circulation(session, row, book, act, number=number.text)
    changed = _figures(told) != paper.facts
    text = _circulation_text(premises, row, told, f"关于材料报送情况的{number.text}.docx")
    decision = _decide(session, act, paper, CIRCULATED, grounds, number)
    _take_away(premises, row, paper)
    ledger.approve_paper(session, act, paper, decision, number, text)
    still = select(PartyRow.id).where(PartyRow.campaign_id == row.id, PartyRow.left_at.is_(None)).order_by(PartyRow.id)
    news = [
        NewMessage(party_id=id_, notice="circulation", occasion=f"decision:{decision.id}", detail=_enclosed(paper))
        for id_ in session.scalars(still)
    ]
    plan_messages(session, act, row.id, premises.mail_domain, news)
    return Approved(paper=paper.id, number=number.text, parties=len(news), changed=changed)


def _numbered(session: Session, book: Rulebook, act: Act, paper: PaperRow, form: str) -> ledger.Number:
    year = act.as_of.astimezone(book.zone).year
    number = ledger.next_number(session, paper.campaign_id, paper.kind, year)
    return ledger.Number(year=year, number=number, text=form.format(year=year, number=number))


def _decide(session: Session, act: Act, paper: PaperRow, kind: str, grounds: str, number: ledger.Number) -> DecisionRow:
    before = {"draft": paper.sha256}
    after = {"paper": paper.id, "said": number.text}
    return record_decision(
        session, act, paper.campaign_id, kind, grounds, party_id=paper.party_id, before=before, after=after
    )


def _enclosed(paper: PaperRow) -> dict[str, Any]:
    return {"attachments": [{"name": paper.name, "media_type": DOCX, "sha256": paper.sha256}]}


def drop_paper(session: Session, premises: Premises, act: Act, paper_id: int, *, grounds: str) -> None:
    """Drop a draft by the word of staff; a later drafting may draft it again.

    Raises:
        UnknownPaper: there is none of that number.
        NotPossible: it was approved or dropped before.
        ValueError: there are no grounds.

    """
    paper = _draft(session, paper_id)
    row = session.get_one(CampaignRow, paper.campaign_id)
    _drop(session, premises, act, row, paper, grounds_of(grounds, "the draft is dropped"))


@dataclass(frozen=True, kw_only=True)
class PaperLine:
    """A paper as staff see it."""

    id: int
    campaign: str
    kind: str
    state: str
    grade: str
    number: str
    party: str
    drafted: str
    name: str
    sha256: str


def drafts_waiting(session: Session) -> list[tuple[str, ...]]:
    """Return the drafts that wait to be approved, as lines of text; each ends with its verb."""
    drafts = _lines(session, ledger.papers_of(session, state=PaperState.DRAFT))
    return [
        (str(d.id), d.campaign, d.kind, d.party, d.drafted, f"muster approve-paper {d.id} or drop-paper {d.id}")
        for d in drafts
    ]


def list_papers(session: Session, campaign: str | None = None) -> list[PaperLine]:
    """Return the papers of a campaign, or of all, the oldest first."""
    only = open_book(session, campaign)[0].id if campaign is not None else None
    return _lines(session, ledger.papers_of(session, only))


def _lines(session: Session, papers: Sequence[PaperRow]) -> list[PaperLine]:
    lines = []
    unsent = withdrawn(session, papers)
    campaigns = {id_: session.get_one(CampaignRow, id_) for id_ in {paper.campaign_id for paper in papers}}
    zones = {id_: rulebook_of(row).zone for id_, row in campaigns.items()}
    parties = {id_: party for campaign in campaigns for id_, party in party_names(session, campaign).items()}
    for paper in papers:
        party = parties[paper.party_id] if paper.party_id is not None else None
        lines.append(
            PaperLine(
                id=paper.id,
                campaign=campaigns[paper.campaign_id].key,
                kind=KIND[paper.kind],
                state=UNSENT if paper.id in unsent else STATE[paper.state],
                grade=GRADE.get(paper.grade, DASH),
                number=paper.number_text or DASH,
                party=f"{party.code} {party.name}" if party else "全体单位",
                drafted=local(paper.drafted_at, zones[paper.campaign_id]),
                name=paper.name,
                sha256=paper.sha256,
            )
        )
    return lines
