"""The contact work list: units that no mail reaches, or no longer at the address it should, and whom to telephone."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from ledger.tables import CallRow, PartyRow
from office import wording
from office.contacts import ContactTrouble, Trouble, contact_troubles
from office.staff_links import unit_url
from office.views.pages import Markdown, Page, linked, render
from office.views.scene import Scene

MOST = 60


@dataclass(frozen=True, kw_only=True)
class Line:
    """A unit whose contacts somebody should look after."""

    unit: Markdown
    trouble: str
    failing: str
    written_to: str
    phones: str
    called: str


def contacts_page(scene: Scene) -> Page:
    """Return the contact work list of a campaign."""
    troubles = contact_troubles(scene.session, scene.row.id)
    unreached = sum(t.trouble is Trouble.UNREACHED for t in troubles)
    called = _last_calls(scene, [t.code for t in troubles[:MOST]])
    lines = [_line(scene, trouble, called.get(trouble.code, "")) for trouble in troubles[:MOST]]
    markdown = render(
        scene.house.templates,
        "contacts.md",
        lines=lines,
        count=len(troubles),
        unreached=unreached,
        more=len(troubles) - len(lines),
        key=scene.key,
        pages=bool(lines and unit_url(scene.house, scene.key, troubles[0].code)),
    )
    headline = f"{len(troubles)}家单位的联系方式需要核实" if troubles else "没有需要核实的联系方式"
    headline += f"，其中{unreached}家收不到邮件" if unreached else ""
    return Page(key=f"contacts-{scene.key}", title="联系方式核实清单", headline=headline, markdown=markdown)


def _line(scene: Scene, trouble: ContactTrouble, called: str) -> Line:
    return Line(
        unit=linked(f"{trouble.code} {trouble.name}", unit_url(scene.house, scene.key, trouble.code)),
        trouble=wording.TROUBLE[trouble.trouble],
        failing="；".join(trouble.failing),
        written_to=trouble.written_to,
        phones="、".join(trouble.phones),
        called=called,
    )


def _last_calls(scene: Scene, codes: Sequence[str]) -> dict[str, str]:
    """Return by unit when it was last telephoned and what was said."""
    last = select(func.max(CallRow.id)).group_by(CallRow.party_id)
    query = select(PartyRow.code, CallRow.called_at, CallRow.said).join(CallRow, CallRow.party_id == PartyRow.id)
    query = query.where(PartyRow.campaign_id == scene.row.id, PartyRow.code.in_(codes), CallRow.id.in_(last))
    return {
        unit: f"{wording.moment_text(called_at, scene.zone)}：{said}"
        for unit, called_at, said in scene.session.execute(query)
    }
