"""What may be answered to a query: a value that the form allows, the one proposed, or an explanation."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from sqlalchemy.orm import Session

from ledger.review import sources_of
from ledger.tables import CampaignRow, DeliverableRow, FindingRow, ObligationRow
from office.answers import sentences_of
from office.premises import Premises
from office.refusals import NotPossible
from office.rulebook import rulebook_of
from rules.form_checks import check, cross_check
from rules.forms import Cell, Figure, Finding, FindingCode, Form, ReadRow, Severity, Table
from rules.numbers import read_number


def number_for(
    session: Session,
    premises: Premises,
    obligation: ObligationRow,
    finding: FindingRow,
    *,
    number: float | None,
    text: str,
) -> float | None:
    """Return the number that answers a query, or None if it is explained in words alone.

    Raises:
        NotPossible: neither was given and none is proposed, the form does not allow the number,
            or it contradicts another number of the version.

    """
    if number is None and not text:
        number = proposed_value(finding)
        if number is None:
            raise NotPossible("nothing_said", f"finding {finding.id} proposes no value: give one, or explain it")
    if number is None:
        return None
    form = _form_of(session, obligation)
    fault = None
    if form is not None:
        fault = _fault(form, finding, number) or _contradiction(session, form, finding, number)
    if fault is not None:
        said = sentences_of(premises.finding_texts, fault)
        raise NotPossible(
            "bad_number",
            f"{number:.15g} does not fit {finding.field or finding.cell}: {said.problem}{said.remedy}",
            problem=said.problem,
            remedy=said.remedy,
        )
    return number


def proposed_value(finding: FindingRow) -> float | None:
    """Return the value that a query proposes, if it does."""
    proposed = str(finding.params.get("proposed", "")).strip()
    return read_number(proposed).value if proposed else None


def is_proposed(finding: FindingRow, said: str) -> bool:
    """Whether somebody names the very value that a query proposes."""
    return bool(said) and said == str(finding.params.get("proposed", "")).strip()


def _form_of(session: Session, obligation: ObligationRow) -> Form | None:
    campaign = rulebook_of(session.get_one(CampaignRow, obligation.campaign_id)).campaign
    key = session.get_one(DeliverableRow, obligation.deliverable_id).key
    return campaign.form_of(campaign.deliverable(key))


def _fault(form: Form, finding: FindingRow, number: float) -> Finding | None:
    """Return what the form's own checks have against a number in the finding's cell."""
    cell = Cell(sheet=finding.sheet, ref=finding.cell, value=_tidy(number))
    row = ReadRow(key=finding.row, cells={finding.column: cell})
    checked = check(form, Table(form_key=form.key, sheet=finding.sheet, rows=(row,)))
    own = (f for f in checked.findings if (f.row, f.column) == (finding.row, finding.column))
    return next((f for f in own if f.severity is Severity.MUST), None)


def _contradiction(session: Session, form: Form, finding: FindingRow, number: float) -> Finding | None:
    """Return the cross-check that fails once a number stands in the finding's cell.

    One that failed before is a query of its own, unless it is the one that is being answered.
    """
    at = (finding.row, finding.column)
    recorded = sources_of(session, [finding.submission_id])[finding.submission_id]
    before = {
        (f.row, f.column): Figure(row=f.row, column=f.column, number=_tidy(f.number), sheet=f.sheet, cell=f.cell)
        for f in recorded.values()
        if f.number is not None
    }
    own = before.get(at) or Figure(
        row=finding.row, column=finding.column, number=number, sheet=finding.sheet, cell=finding.cell
    )
    after = {**before, at: replace(own, number=_tidy(number))}
    known = dict(_failing(form, before))
    known.pop(_check_of(finding), None)
    return next((f for check_of, f in _failing(form, after) if check_of not in known), None)


def _failing(form: Form, figures: Mapping[tuple[str, str], Figure]) -> Iterator[tuple[tuple[str, ...], Finding]]:
    for found in cross_check(form, list(figures.values())):
        if found.severity is not Severity.INFO:
            yield _check_of(found), found


def _check_of(found: Finding | FindingRow) -> tuple[str, ...]:
    """Return what tells one cross-check of a cell from another: its kind, the other cell, the words of the form."""
    return (str(FindingCode(found.code)), found.row, found.column,
            *(str(found.params.get(name, "")) for name in ("other_cell", "message")))  # fmt: skip


def _tidy(number: float) -> float:
    return int(number) if float(number).is_integer() else number
