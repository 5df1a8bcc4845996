"""The consolidation: where workbook and summary lie, which were sent to the office, and the papers drafted."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from ledger.papers import papers_of
from ledger.tables import MessageRow
from office import wording
from office.digest import PAPER
from office.premises import Premises
from office.staff_links import campaign_url, mail_url
from office.views.pages import Markdown, Page, linked, render
from office.views.scene import Scene
from rules.timetable import StepKind

MOST = 12


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A consolidation that was mailed to the office."""

    at: datetime
    mail: Markdown
    files: tuple[str, ...]
    state: str
    final: bool


def consolidation_page(scene: Scene) -> Page:
    """Return where a campaign's consolidated reports are."""
    sent = list(_sent(scene))
    coming = [
        (wording.moment_text(step.moment, scene.zone), step.subject)
        for step in scene.book.steps
        if step.kind is StepKind.CONSOLIDATE and step.moment > scene.moment
    ]
    papers = [
        (PAPER[p.kind], wording.PAPER_STATE[p.state], p.number_text or p.name)
        for p in papers_of(scene.session, scene.row.id)[-MOST:]
    ]
    markdown = render(
        scene.house.templates,
        "consolidation.md",
        newest=newest_reports(scene.house, scene.key),
        sent=[(wording.moment_text(one.at, scene.zone), one) for one in sent[:MOST]],
        coming=coming,
        papers=papers,
        staff_page=campaign_url(scene.house, scene.key),
    )
    return Page(key=f"consolidation-{scene.key}", title="汇总材料", headline=_headline(sent, coming), markdown=markdown)


def newest_reports(house: Premises, campaign: str) -> tuple[str, ...]:
    """Return the paths of the workbook and the summary that were last written."""
    folder = (house.reports / campaign).resolve()
    newest = (_newest(folder, ending) for ending in (".xlsx", ".docx"))
    return tuple(str(path) for path in newest if path is not None)


def _headline(sent: list[Sent], coming: list[tuple[str, str]]) -> str:
    done = f"已汇总{len(sent)}次" if sent else "尚未汇总"
    return f"{done}，下一次{coming[0][0]}" if coming else f"{done}，不再汇总"


def _sent(scene: Scene) -> Iterator[Sent]:
    """Yield the consolidations that were mailed, the last one first."""
    query = select(MessageRow).where(MessageRow.campaign_id == scene.row.id, MessageRow.notice == "summary")
    for mail in scene.session.scalars(query.order_by(MessageRow.id.desc())):
        yield Sent(
            at=mail.as_of,
            mail=linked(f"{mail.id}号", mail_url(scene.house, mail.id)),
            files=tuple(str(one["name"]) for one in mail.detail.get("attachments", ())),
            state=wording.LETTER.get(mail.state, mail.state),
            final=bool(mail.detail.get("final")),
        )


def _newest(folder: Path, ending: str) -> Path | None:
    """Return the file last written; a draft that is being written has another name."""
    found = [path for path in folder.glob(f"*{ending}") if not path.name.startswith("~")]
    return max(found, key=lambda path: (path.stat().st_mtime, path.name), default=None)
