"""A unit's workbook: opened safely, recognised, and found to be this unit's, this campaign's; then checked by sheet."""

import re
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from definition.models import Campaign, Deliverable
from documents.reading import SheetRead, UnreadableWorkbook, WorkbookRead, read_workbook
from documents.sandbox import SANDBOX
from documents.sniff import FileKind, sniff
from ledger.tables import PartyRow
from mail.tokens import read_token
from office import wording
from office.premises import Premises
from rules.form_checks import check
from rules.forms import Checked, FindingCode, Form
from rules.origin import Origin, origin_findings, years_in

UNIT = re.compile(r"填报单位(?:（盖章）|\(盖章\))?[:：]\s*(\S.*)")


class NotPlacedError(Exception):
    """A file cannot be recorded; carries the sentence for the unit and the reason for staff."""

    def __init__(self, problem: str, reason: str) -> None:
        """Keep both."""
        super().__init__(reason)
        self.problem = problem
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class CheckedSheet:
    """A sheet, the deliverable that it answers, and what is found in it."""

    deliverable: Deliverable
    sheet: str
    checked: Checked


def check_workbook(
    session: Session, premises: Premises, campaign: Campaign, party: PartyRow, content: bytes
) -> tuple[CheckedSheet, ...]:
    """Return what a workbook holds: of each form that is filled in, one sheet, and what is found in it.

    Raises:
        NotPlacedError: it cannot be read, or is another unit's, another campaign's, or no form of this one.

    """
    by_form = {form.key: d for d in campaign.deliverables if (form := campaign.form_of(d)) is not None}
    read = _read(content, list(campaign.forms.values()))
    _refuse_strangers(session, premises, campaign, party, read)
    known = [one for one in read.sheets if one.form.key in by_form]
    if not known:
        raise NotPlacedError(wording.PROBLEM["no_form"], f"no form recognised: {read.reason}")
    return tuple(
        CheckedSheet(deliverable=by_form[one.form.key], sheet=one.table.sheet, checked=_check_sheet(one, campaign))
        for one in known
    )


def _check_sheet(read: SheetRead, campaign: Campaign) -> Checked:
    checked = check(read.form, read.table)
    if any(f.code is FindingCode.EMPTY_FORM for f in checked.findings):
        return checked
    found = tuple(origin_findings(read.form, read.origin, years=campaign_years(campaign)))
    return replace(checked, findings=found + checked.findings)


def open_ahead(content: bytes) -> None:
    """Open a file that may be a workbook before the ledger is held for it: others may write meanwhile."""
    if sniff(content) is FileKind.XLSX:
        SANDBOX.open_ahead(content)


def forget_ahead(content: bytes) -> None:
    """Drop what was opened ahead of a file, if it was not asked for."""
    SANDBOX.forget(content)


def campaign_years(campaign: Campaign) -> frozenset[int]:
    """Return the years that a campaign's own papers may name."""
    spanned = range(campaign.issued_on.year, campaign.closes_on.year + 1)
    return frozenset((*spanned, *years_in(campaign.title)))


def kind_problem(kind: FileKind) -> str:
    """Return the sentence for a file that is of no use, by what it is."""
    return wording.KIND_PROBLEM.get(kind, wording.PROBLEM["kind"])


def _read(content: bytes, forms: list[Form]) -> WorkbookRead:
    try:
        return read_workbook(content, forms)
    except UnreadableWorkbook as error:
        problem = wording.PROBLEM[wording.UNREADABLE.get(error.cause, "unreadable")]
        raise NotPlacedError(problem, f"unreadable workbook: {error.cause}: {error}") from error


def _refuse_strangers(
    session: Session, premises: Premises, campaign: Campaign, party: PartyRow, read: WorkbookRead
) -> None:
    """Refuse another campaign's workbook and another unit's: by the hidden marks, else by the name printed on it."""
    token = read_token(read.token, premises.secret) if read.token else None
    if read.campaign is not None and read.campaign != campaign.key:
        raise NotPlacedError(
            wording.PROBLEM["another_campaign"].format(campaign=campaign.title),
            f"the workbook was made for campaign {read.campaign}",
        )
    if token is not None and token.number != party.id:
        raise NotPlacedError(wording.PROBLEM["another_unit"], "the workbook bears another unit's token")
    for name in {_unit_named(one.origin) for one in read.sheets} - {"", party.name}:
        query = select(PartyRow.code).where(PartyRow.campaign_id == party.campaign_id, PartyRow.name == name)
        if token is None and (code := session.scalar(query)) is not None:
            raise NotPlacedError(wording.PROBLEM["another_unit"], f"the workbook names {code} as its unit")


def _unit_named(origin: Origin) -> str:
    found = (UNIT.search(spot.text) for spot in origin.above)
    return next((f[1].strip() for f in found if f), "")
