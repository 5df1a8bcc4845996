"""Whether a sheet of a workbook says what its unit's latest version says already.

Clerks hand in the whole workbook again because of one sheet that was returned; the others need no new version then, and
nobody is to answer their queries twice.
"""

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.review import sources_of
from ledger.tables import FigureRow, FindingRow, SubmissionRow
from rules.forms import Checked, Figure
from rules.obligations import SubmissionState

PLACES = 4  # as the ledger keeps a number
Place = tuple[str, str]


def standing_as_said(session: Session, obligation_ids: Collection[int], checked: Checked) -> dict[int, bool]:
    """Return the obligations whose latest version was not returned and has the same figures and findings."""
    if not checked.figures:
        return {}
    query = (
        select(SubmissionRow)
        .where(SubmissionRow.obligation_id.in_(obligation_ids))
        .order_by(SubmissionRow.obligation_id, SubmissionRow.version)
    )
    latest = {row.obligation_id: row for row in session.scalars(query)}
    standing = [row for row in latest.values() if row.state != SubmissionState.RETURNED]
    return {row.obligation_id: True for row in standing if _says(session, row, checked)}


def _says(session: Session, version: SubmissionRow, checked: Checked) -> bool:
    found = session.scalars(select(FindingRow).where(FindingRow.submission_id == version.id)).all()
    if sorted((f.code, f.cell, f.read) for f in found) != sorted(
        (f.code.value, f.cell, f.read) for f in checked.findings
    ):
        return False
    asked = {(f.row, f.column) for f in found}  # where an answer may stand by now
    before = _values(sources_of(session, [version.id])[version.id].values())
    now = _values(checked.figures)
    return all(before.get(place) == now.get(place) for place in (before.keys() | now.keys()) - asked)


def _values(figures: Iterable[Figure | FigureRow]) -> Mapping[Place, float | str | None]:
    return {(f.row, f.column): f.text if f.number is None else round(f.number, PLACES) for f in figures}
