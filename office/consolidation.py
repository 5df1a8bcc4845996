"""Consolidation: the workbook and the one-page summary, from what the ledger holds."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from documents.summary import write_summary
from documents.values import (
    ConsolidatedBook,
    DeliverableSheet,
    FormFigures,
    MissingLine,
    SourcedFigure,
    StateLine,
    Summary,
)
from documents.workbook import write_consolidated
from ledger import audit
from ledger.acts import Act
from ledger.campaigns import advance
from ledger.decisions import state_changes, was_closed
from ledger.facts import Party, contacts_by_party, load_obligations, party_names
from ledger.review import sources_of
from ledger.tables import CampaignState, FigureRow, FileRow, FindingRow, PartyKind, SubmissionRow
from office import wording
from office.composing import campaign_lines, contact_text
from office.enclosures import XLSX
from office.milestones import note_complete, note_overdue
from office.paper import originals_at, tracks_text
from office.pausing import close_at_the_end
from office.planning import Planned, plan_summary
from office.premises import Premises
from office.rulebook import Rulebook, open_book
from rules.deadlines import ONCE
from rules.forms import FindingCode, Severity, constraints_at
from rules.notices import Skip
from rules.obligations import (
    Obligation,
    Standing,
    Version,
    counting_version,
    is_on_time,
    is_owed,
    standing,
    was_corrected_late,
)
from rules.rates import Totals, totals
from rules.timetable import StepKind, latest_moment

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ABSENT = (FindingCode.EMPTY_FORM, FindingCode.MISSING_COLUMN, FindingCode.MISSING_ROW)  # findings of many cells


@dataclass(frozen=True, kw_only=True)
class _Counting:
    """An obligation with the version that counts for it and the file that version consists of, if any."""

    obligation: Obligation
    version: Version
    submission: SubmissionRow
    file: FileRow | None  # None: a nil return


def consolidate_campaign(session: Session, premises: Premises, act: Act, campaign: str) -> Planned:
    """Write workbook and summary under reports/, and plan the mails that carry them if a consolidation is due.

    The reports are written whenever it is asked for; they are mailed once for each consolidation of the timetable.
    Where the campaign says so, the first one that finds everything in is the final one.
    """
    row, book = open_book(session, campaign)
    note_overdue(session, act, row)
    advance(act, row, rehearsal=premises.rehearsal)
    step = latest_moment(book.steps, StepKind.CONSOLIDATE, act.as_of)
    if note_complete(session, act, row) and book.campaign.consolidate_when_complete:
        step = book.steps[-1]  # the final one: there is nothing left to wait for
    final = step is not None and step.final
    obligations = load_obligations(session, row.id)
    parties = party_names(session, row.id)
    counting = _counting(session, obligations)
    stamp = f"{act.as_of.astimezone(book.zone):%Y%m%d-%H%M}"
    written = [
        (f"{book.campaign.title}汇总表-{stamp}.xlsx", XLSX,
         write_consolidated(_book(session, act, row.id, book, obligations, parties, counting))),
        (f"{book.campaign.title}报送情况-{stamp}.docx", DOCX,
         write_summary(_summary(act, book, obligations, parties, counting, final=final))),
    ]  # fmt: skip
    attachments = []
    for name, media_type, content in written:
        sha256 = premises.files.put(content)
        folder = premises.reports / campaign
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        attachments.append({"name": name, "media_type": media_type, "sha256": sha256})
    if step is None:
        return Planned(skips={str(Skip.NOT_YET): 1})
    planned = plan_summary(session, premises, act, campaign, attachments, step=step)
    if planned.planned:
        audit.append(session, act, "campaign.consolidated", {"files": attachments, "final": final}, campaign_id=row.id)
    if final and row.state == CampaignState.LAUNCHED:
        close_at_the_end(session, act, row)
    return planned


def _counting(session: Session, obligations: Sequence[Obligation]) -> dict[int, _Counting]:
    """Return the counting version of each obligation that has one, returned ones left out."""
    wanted = {
        (ob.id, version.number): (ob, version)
        for ob in obligations
        if (version := counting_version(ob.versions)) is not None and standing(ob) is not Standing.RETURNED
    }
    query = select(SubmissionRow, FileRow).outerjoin(FileRow, FileRow.submission_id == SubmissionRow.id)
    found = {}
    for submission, file in session.execute(query):
        key = (submission.obligation_id, submission.version)
        if key in wanted:
            ob, version = wanted[key]
            found[ob.id] = _Counting(obligation=ob, version=version, submission=submission, file=file)
    return found


def _by_category(book: Rulebook, obligations: Sequence[Obligation]) -> tuple[tuple[str, Totals], ...]:
    return tuple((c, totals(o for o in obligations if o.category == c)) for c in book.campaign.categories)


def _book(
    session: Session,
    act: Act,
    campaign_id: int,
    book: Rulebook,
    obligations: Sequence[Obligation],
    parties: dict[int, Party],
    counting: dict[int, _Counting],
) -> ConsolidatedBook:
    campaign = book.campaign
    dated = [ob for ob in obligations if not ob.voluntary]
    originals = originals_at(session, campaign_id, campaign)
    states = state_changes(session, campaign_id)
    lines: dict[str, list[StateLine]] = defaultdict(list)
    for ob in dated:
        paper = tracks_text(campaign.deliverable(ob.deliverable), ob, originals.get(ob.id), book.zone)
        lines[ob.deliverable].append(_state(book, ob, parties[ob.party_id], counting.get(ob.id), states, paper))
    return ConsolidatedBook(
        title=campaign.title,
        issuer=campaign.issuer,
        as_of=wording.moment_text(act.as_of, book.zone),
        categories=_by_category(book, obligations),
        deliverables=tuple(
            DeliverableSheet(title=f"{d.label}{d.title}", paper=d.original, lines=tuple(lines[d.key]))
            for d in campaign.deliverables
            if d.key in lines
        ),
        forms=tuple(_form_figures(session, book, parties, counting)),
        missing=tuple(_missing(session, act, book, dated, parties)),
        voluntary=tuple(
            _state(book, ob, parties[ob.party_id], counting.get(ob.id), states) for ob in obligations if ob.voluntary
        ),
    )


def _state(
    book: Rulebook,
    ob: Obligation,
    party: Party,
    counts: _Counting | None,
    states: Sequence[tuple[datetime, str]],
    paper: str = "",
) -> StateLine:
    on_time = is_on_time(ob)
    timeliness = {None: "", True: "按时", False: "迟报"}[on_time]
    if was_corrected_late(ob):
        timeliness = "按时（退回后补正）"
    if counts is not None and was_closed(states, counts.version.received_at):
        timeliness += wording.AFTER_CLOSE
    return StateLine(
        code=party.code,
        unit=party.name,
        category=party.category,
        occurrence="" if ob.occurrence == ONCE or ob.voluntary else ob.occurrence,
        due=wording.due_text(ob.due, book.zone),
        state=wording.STANDING[standing(ob)] + (f"（{wording.NIL}）" if counts and counts.file is None else ""),
        received=wording.moment_text(counts.version.received_at, book.zone) if counts else "",
        timeliness=timeliness,
        version=str(counts.version.number) if counts else "",
        channel=wording.CHANNEL[counts.submission.channel] if counts else "",
        file_name=counts.file.name if counts and counts.file else "",
        paper=paper,
    )


def _form_figures(
    session: Session, book: Rulebook, parties: dict[int, Party], counting: dict[int, _Counting]
) -> Iterable[FormFigures]:
    by_submission = {c.submission.id: c for c in counting.values()}
    figures = _sourced_figures(session, book, parties, by_submission)
    uncounted = _uncounted(session, book, parties, by_submission)
    for deliverable in book.campaign.deliverables:
        form = book.campaign.form_of(deliverable)
        if form is not None:
            yield FormFigures(
                form=form,
                figures=tuple(figures[deliverable.key]),
                queried={cell: tuple(units.values()) for cell, units in uncounted[deliverable.key].items()},
            )


def _uncounted(
    session: Session, book: Rulebook, parties: dict[int, Party], by_submission: dict[int, _Counting]
) -> dict[str, dict[tuple[str, str], dict[int, str]]]:
    """Return by deliverable and cell the units whose counting version was found fault with and gives no figure there.

    Whatever the fault and whoever accepted it all the same: what is not in the totals is named beside them.
    """
    found: dict[str, dict[tuple[str, str], dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
    given = exists().where(
        FigureRow.submission_id == FindingRow.submission_id,
        FigureRow.row == FindingRow.row,
        FigureRow.column == FindingRow.column,
    )
    columns = (FindingRow.submission_id, FindingRow.code, FindingRow.row, FindingRow.column)
    query = select(*columns).where(FindingRow.severity != Severity.INFO.value, ~given).order_by(FindingRow.id)
    for submission_id, code, row, column in session.execute(query):
        if (counts := by_submission.get(submission_id)) is not None:
            ob = counts.obligation
            cells = _absent(session, book, counts) if code in ABSENT else [(row, column)]
            for cell in cells:
                found[ob.deliverable][cell][submission_id] = parties[ob.party_id].name
    return found


def _absent(session: Session, book: Rulebook, counts: _Counting) -> list[tuple[str, str]]:
    """Return the cells of a version's form that must be filled in and have no figure."""
    form = book.campaign.form_of(book.campaign.deliverable(counts.obligation.deliverable))
    given = sources_of(session, [counts.submission.id])[counts.submission.id]
    places = [(row.key, column) for row in form.rows for column in form.entry_columns] if form is not None else []
    return [
        (row, column.key)
        for row, column in places
        if form is not None and constraints_at(form, row, column).required and (row, column.key) not in given
    ]


def _sourced_figures(
    session: Session, book: Rulebook, parties: dict[int, Party], by_submission: dict[int, _Counting]
) -> dict[str, list[SourcedFigure]]:
    """Return the figures of the counting versions by deliverable. Columns, not objects: there are many."""
    titles = {d.key: form.title for d in book.campaign.deliverables if (form := book.campaign.form_of(d)) is not None}
    columns = (
        FigureRow.submission_id,
        FigureRow.row,
        FigureRow.column,
        FigureRow.number,
        FigureRow.text,
        FigureRow.sheet,
        FigureRow.cell,
    )
    found: dict[str, list[SourcedFigure]] = defaultdict(list)
    query = select(*columns).order_by(FigureRow.submission_id, FigureRow.id).execution_options(yield_per=2000)
    for submission_id, row, column, number, text, sheet, cell in session.execute(query):
        counts = by_submission.get(submission_id)
        if counts is None or counts.file is None:
            continue
        party, occurrence = parties[counts.obligation.party_id], counts.obligation.occurrence
        found[counts.obligation.deliverable].append(
            SourcedFigure(
                code=party.code,
                unit=party.name,
                category=party.category,
                occurrence="" if occurrence == ONCE else occurrence,
                form=titles[counts.obligation.deliverable],
                row=row,
                column=column,
                number=int(number) if number is not None and float(number).is_integer() else number,
                text=text,
                version=counts.version.number,
                file_name=counts.file.name,
                sha256=counts.file.sha256,
                sheet=sheet,
                cell=cell,
            )
        )
    return found


def _missing(
    session: Session, act: Act, book: Rulebook, obligations: Sequence[Obligation], parties: dict[int, Party]
) -> Iterable[MissingLine]:
    owing: dict[int, list[Obligation]] = defaultdict(list)
    for ob in obligations:
        if is_owed(ob):
            owing[ob.party_id].append(ob)
    contacts = contacts_by_party(session, owing)
    titles = {d.key: d.title for d in book.campaign.deliverables}
    today = act.as_of.astimezone(book.zone).date()
    for party_id, mine in owing.items():
        party = parties[party_id]
        superior = parties.get(party.superior_id) if party.superior_id is not None else None
        overdue = [
            (today - ob.due.astimezone(book.zone).date()).days + 1 for ob in mine if ob.due and ob.due <= act.as_of
        ]
        yield MissingLine(
            code=party.code,
            unit=party.name,
            category=party.category,
            superior=superior.name if superior else "",
            contact=contact_text(contacts[party_id]),
            missing="、".join(
                titles[ob.deliverable] + ("（退回待补正）" if standing(ob) is Standing.RETURNED else "") for ob in mine
            ),
            overdue_days=max(overdue, default=0),
        )


def _summary(
    act: Act,
    book: Rulebook,
    obligations: Sequence[Obligation],
    parties: dict[int, Party],
    counting: dict[int, _Counting],
    *,
    final: bool,
) -> Summary:
    missing: dict[str, list[str]] = defaultdict(list)
    for ob in obligations:
        if is_owed(ob) and ob.due is not None and ob.due <= act.as_of:
            missing[book.campaign.deliverable(ob.deliverable).title].append(parties[ob.party_id].name)
    local = act.as_of.astimezone(book.zone)
    return Summary(
        title=book.campaign.title,
        issuer=book.campaign.issuer,
        period=campaign_lines(book.campaign).period_text,
        as_of=wording.moment_text(act.as_of, book.zone),
        date=f"{local.year}年{local.month}月{local.day}日",
        categories=_by_category(book, obligations),
        missing=tuple((title, tuple(units)) for title, units in missing.items()),
        units=sum(p.kind == PartyKind.UNIT and p.left_at is None for p in parties.values()),
        voluntary=sum(ob.voluntary and ob.id in counting for ob in obligations),
        final=final,
    )
