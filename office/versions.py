"""The versions of what a unit handed in: which there are, which figures changed from one to the next, their files."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from ledger import review as ledger
from ledger.tables import CampaignRow, DeliverableRow, FigureRow, ObligationRow, SubmissionRow
from office import wording
from office.mailbook import local
from office.premises import Premises
from office.rulebook import Rulebook, rulebook_of
from rules.forms import Form

UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
Figures = Mapping[tuple[str, str], FigureRow]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A figure that differs from the version before; a dash where one of them has none."""

    place: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class VersionLine:
    """One version: its number on record, how it stands, and what changed."""

    id: int
    version: int
    state: str
    received: str
    channel: str
    files: tuple[str, ...]
    changes: tuple[Change, ...]


def versions_with_changes(session: Session, obligation: ObligationRow) -> list[VersionLine]:
    """Return the versions handed in for an obligation, each with the figures that differ from the one before."""
    book = rulebook_of(session.get_one(CampaignRow, obligation.campaign_id))
    versions = ledger.versions_of(session, obligation.id)
    figures = ledger.sources_of(session, [v.id for v in versions])
    form = _form_of(session, book, obligation)
    before: Figures = {}
    lines = []
    for version in versions:
        now = figures[version.id]
        lines.append(_line(session, book, version, changes_between(form, before, now) if before else ()))
        before = now
    return lines


def _form_of(session: Session, book: Rulebook, obligation: ObligationRow) -> Form | None:
    key = session.get_one(DeliverableRow, obligation.deliverable_id).key
    return book.campaign.form_of(book.campaign.deliverable(key))


def _line(session: Session, book: Rulebook, version: SubmissionRow, changes: Sequence[Change]) -> VersionLine:
    return VersionLine(
        id=version.id,
        version=version.version,
        state=wording.STANDING[version.state],
        received=local(version.received_at, book.zone),
        channel=wording.CHANNEL.get(version.channel, version.channel),
        files=tuple(file.name for file in ledger.files_of(session, version.id)),
        changes=tuple(changes),
    )


def changes_between(form: Form | None, before: Figures, after: Figures) -> tuple[Change, ...]:
    """Return the figures in which two versions differ, in the order of the form."""
    keys = list(dict.fromkeys((*before, *after)))
    return tuple(
        Change(place=_place(form, key), before=_value(before.get(key)), after=_value(after.get(key)))
        for key in keys
        if _value(before.get(key)) != _value(after.get(key))
    )


def _value(figure: FigureRow | None) -> str:
    if figure is None:
        return "—"
    return figure.text if figure.text is not None else f"{figure.number:.15g}"


def _place(form: Form | None, key: tuple[str, str]) -> str:
    row, column = key
    if form is None:
        return f"{row} {column}"
    title = next((c.title for c in form.columns if c.key == column), column)
    fixed = next((r for r in form.rows if r.key == row), None)
    return f"{form.row_name(fixed)} {title}" if fixed is not None else f"第{row}行 {title}"


def save_files(session: Session, premises: Premises, submission_id: int, to: Path) -> list[Path]:
    """Write the files of a version into a folder, under names that stay within it; return where they are.

    Raises:
        UnknownSubmission: there is no such version.
        ValueError: a file of that name is there already, or one is no longer in the file store.

    """
    submission, _ = ledger.find_submission(session, submission_id)
    files = ledger.files_of(session, submission.id)
    paths = [to / _safe(submission_id, number, file.name) for number, file in enumerate(files, start=1)]
    for path in paths:
        if path.exists():
            raise ValueError(f"{path} exists already; name another folder, or remove it")
    try:
        contents = [premises.files.get(file.sha256) for file in files]
    except FileNotFoundError as error:
        raise ValueError(f"a file of submission {submission_id} is no longer in the file store: {error}") from None
    to.mkdir(parents=True, exist_ok=True)
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


def _safe(submission_id: int, number: int, name: str) -> str:
    """Return a name without anything that leads elsewhere, headed by the version's number."""
    kept = UNSAFE.sub("_", name).strip(". ") or "file"
    while len(kept.encode()) > 200:  # noqa: PLR2004  what file systems take, less the head
        kept = kept[1:]
    return f"{submission_id}-{number}-{kept}"
