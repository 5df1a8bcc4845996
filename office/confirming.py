"""What may be answered to a query: a value that the form allows, the one proposed, or an explanation."""

from sqlalchemy.orm import Session

from ledger.tables import CampaignRow, DeliverableRow, FindingRow, ObligationRow
from office.answers import sentences_of
from office.premises import Premises
from office.refusals import NotPossible
from office.rulebook import rulebook_of
from rules.form_checks import check
from rules.forms import Cell, Finding, Form, ReadRow, Severity, Table
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
        NotPossible: neither was given and none is proposed, or the form does not allow the number.

    """
    if number is None and not text:
        number = proposed_value(finding)
        if number is None:
            raise NotPossible("nothing_said", f"finding {finding.id} proposes no value: give one, or explain it")
    if number is None:
        return None
    form = _form_of(session, obligation)
    fault = _fault(form, finding, number) if form is not None else None
    if fault is not None:
        said = sentences_of(premises.finding_texts, fault)
        raise NotPossible(
            "bad_number",
            f"{number:.15g} does not fit {finding.field or finding.cell}: {fault.code}; give another value",
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
    value = int(number) if float(number).is_integer() else number
    cell = Cell(sheet=finding.sheet, ref=finding.cell, value=value)
    row = ReadRow(key=finding.row, cells={finding.column: cell})
    checked = check(form, Table(form_key=form.key, sheet=finding.sheet, rows=(row,)))
    own = (f for f in checked.findings if (f.row, f.column) == (finding.row, finding.column))
    return next((f for f in own if f.severity is Severity.MUST), None)
