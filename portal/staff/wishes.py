"""What staff grant or refuse: requests of units, rungs that wait for consent, drafted papers."""

from sqlalchemy.orm import Session

from ledger.campaigns import find_campaign
from ledger.papers import find_paper
from ledger.tables import PaperState
from office.approvals import approve, decline
from office.papers import PaperLine, approve_paper, drop_paper, list_papers
from office.requests import grant, refuse
from office.staff_accounts import Role
from office.staff_overview import campaigns
from office.staff_views import fingerprint, view_consent, view_request
from portal.forms import Sent
from portal.pages import Download, GoTo, Page
from portal.staff.review import day_in
from portal.staff.visit import (
    Deed,
    Look,
    NotFilledError,
    NothingThereError,
    StaffVisit,
    campaign_named,
    grounds_in,
    unchanged,
)

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SHOWN = 200  # papers on a page


def _request(visit: StaffVisit) -> Page:
    view = view_request(visit.session, visit.number, visit.act)
    return Page(template="staff/request.html", context={"v": view, "said": visit.said, "typed": visit.typed})


def _grant(visit: StaffVisit, sent: Sent) -> GoTo:
    until = day_in(sent, "until") if sent.get("until") else None
    grant(visit.session, visit.premises, visit.act, visit.number, grounds=grounds_in(sent), until=until)
    return GoTo(path=f"/r/{visit.number}?said=granted")


def _refuse(visit: StaffVisit, sent: Sent) -> GoTo:
    refuse(visit.session, visit.premises, visit.act, visit.number, grounds=grounds_in(sent))
    return GoTo(path=f"/r/{visit.number}?said=refused")


def _consent(visit: StaffVisit) -> Page:
    row = visit.campaign
    view = view_consent(visit.session, row.key, visit.named["occasion"], row)
    return Page(template="staff/consent.html", context={"v": view, "said": visit.said, "typed": visit.typed})


def _look_unchanged(visit: StaffVisit, sent: Sent) -> tuple[str, str]:
    row, occasion = visit.campaign, visit.named["occasion"]
    unchanged(sent, view_consent(visit.session, row.key, occasion, row).seen)
    return row.key, occasion


def _approve(visit: StaffVisit, sent: Sent) -> GoTo:
    key, occasion = _look_unchanged(visit, sent)
    if find_campaign(visit.session, key).state == "paused":
        raise NotFilledError("活动已暂停。请先恢复活动再同意发出，或决定暂不发出。")
    done = approve(visit.session, visit.premises, visit.act, occasion, grounds=grounds_in(sent), campaign=key)
    return GoTo(path=f"/a/{key}/{occasion}?said={'approved' if done.mails else 'nothing'}")


def _decline(visit: StaffVisit, sent: Sent) -> GoTo:
    key, occasion = _look_unchanged(visit, sent)
    until = day_in(sent, "until") if sent.get("until") else None
    decline(visit.session, visit.act, occasion, grounds=grounds_in(sent), until=until, campaign=key)
    return GoTo(path=f"/a/{key}/{occasion}?said=declined")


def _papers(visit: StaffVisit) -> Page:
    key = visit.asked.get("campaign", "")
    row = campaign_named(visit.session, key) if key else None
    found = list_papers(visit.session, row.key if row is not None else None)
    drafts = [p for p in found if find_paper(visit.session, p.id).state == PaperState.DRAFT]
    waiting = {p.id for p in drafts}
    others = [p for p in reversed(found) if p.id not in waiting]
    return Page(
        template="staff/papers.html",
        context={
            "drafts": drafts[:SHOWN],
            "others": others[:SHOWN],
            "more": max(0, len(drafts) - SHOWN) + max(0, len(others) - SHOWN),
            "campaigns": [(one.key, one.title) for one in campaigns(visit.session)],
            "chosen": row.key if row is not None else "",
            "said": visit.said,
        },
    )


def _line(session: Session, number: int) -> PaperLine:
    return next(p for p in list_papers(session) if p.id == number)


def _paper(visit: StaffVisit) -> Page:
    paper = find_paper(visit.session, visit.number)
    context = {
        "p": _line(visit.session, visit.number),
        "draft": paper.state == PaperState.DRAFT,
        "reason": paper.reason,
        "seen": fingerprint(paper.id, paper.state, paper.sha256),
        "said": visit.said,
        "typed": visit.typed,
    }
    return Page(template="staff/paper.html", context=context)


def _paper_file(visit: StaffVisit) -> Download:
    paper = find_paper(visit.session, visit.number)
    try:
        return Download(name=paper.name, content=visit.premises.files.get(paper.sha256), media_type=DOCX)
    except FileNotFoundError:
        raise NothingThereError from None


def _approve_paper(visit: StaffVisit, sent: Sent) -> GoTo:
    paper = find_paper(visit.session, visit.number)
    unchanged(sent, fingerprint(paper.id, paper.state, paper.sha256))
    done = approve_paper(visit.session, visit.premises, visit.act, visit.number, grounds=grounds_in(sent))
    return GoTo(path=f"/p/{visit.number}?said={'spared' if done.dropped else 'paper'}")


def _drop_paper(visit: StaffVisit, sent: Sent) -> GoTo:
    drop_paper(visit.session, visit.premises, visit.act, visit.number, grounds=grounds_in(sent))
    return GoTo(path=f"/p/{visit.number}?said=dropped")


LOOKS = (
    Look(path="/r/{number}", show=_request),
    Look(path="/a/{campaign}/{occasion}", show=_consent),
    Look(path="/papers", show=_papers),
    Look(path="/p/{number}", show=_paper),
    Look(path="/p/{number}/file", show=_paper_file),
)
DEEDS = (
    Deed(path="/r/{number}/grant", do=_grant, back=_request, role=Role.APPROVER),
    Deed(path="/r/{number}/refuse", do=_refuse, back=_request, role=Role.APPROVER),
    Deed(path="/a/{campaign}/{occasion}/approve", do=_approve, back=_consent, role=Role.APPROVER),
    Deed(path="/a/{campaign}/{occasion}/decline", do=_decline, back=_consent, role=Role.APPROVER),
    Deed(path="/p/{number}/approve", do=_approve_paper, back=_paper, role=Role.APPROVER),
    Deed(path="/p/{number}/drop", do=_drop_paper, back=_paper, role=Role.APPROVER),
)
