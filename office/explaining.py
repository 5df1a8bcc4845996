"""Explaining one obligation to a person, from the ledger: what was due and why, what was said and not, what is next."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.decisions import changes_of, undone_numbers
from ledger.facts import contacts_by_party, load_obligations, load_said, party_names
from ledger.ladder import load_brakes, promises_about
from ledger.review import files_of, versions_of
from ledger.tables import (
    AcknowledgementRow,
    CallRow,
    CampaignRow,
    CampaignState,
    Changed,
    ChangeRow,
    DecisionRow,
    PartyRow,
    RequestRow,
)
from office import wording
from office.incoming import number_of, waiting_of
from office.premises import Premises
from office.rulebook import Rulebook, rulebook_of
from office.stops import stops_in_words
from office.told import Told, mails_about, rung_text
from office.units import find_obligation, find_unit
from office.waiting import why_waiting
from office.worklists import wish_of
from rules.deadlines import ONCE
from rules.delivery import Unsent, choose_contact
from rules.foresight import Coming, Unwritten, coming, unwritten
from rules.notices import said_index
from rules.obligations import Obligation, is_on_time, is_owed, standing
from rules.timetable import Audience, Reader


@dataclass(frozen=True, kw_only=True)
class Part:
    """A heading, and what is said under it."""

    heading: str
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is explained, with the facts known at the moment."""

    session: Session
    premises: Premises
    row: CampaignRow
    book: Rulebook
    party: PartyRow
    ob: Obligation
    as_of: datetime
    replay: bool

    @property
    def known_at(self) -> datetime | None:
        """The moment whose knowledge counts; None: everything on record."""
        return self.as_of if self.replay else None

    def at(self, moment: datetime) -> str:
        """Return an instant in the campaign's local time."""
        return wording.moment_text(moment, self.book.zone)

    def due(self, due: datetime | None) -> str:
        """Return a due instant as a circular says it."""
        return wording.due_text(due, self.book.zone)


def explain(
    session: Session,
    premises: Premises,
    as_of: datetime,
    unit: str,
    deliverable: str,
    *,
    occurrence: str | None = None,
    campaign: str | None = None,
    replay: bool = False,
) -> tuple[Part, ...]:
    """Return all that is to be said of one thing a unit owes; ``replay`` with what was known at the moment.

    Raises:
        UnknownParty: there is no such unit, or several.
        ValueError: it owes no such thing, owes it several times, or did not owe it yet.

    """
    party = find_unit(session, unit, campaign)
    row = session.get_one(CampaignRow, party.campaign_id)
    wanted = find_obligation(session, party, deliverable, occurrence)
    known = load_obligations(session, row.id, party_ids=[party.id], known_at=as_of if replay else None)
    ob = next((ob for ob in known if ob.id == wanted.id), None)
    if ob is None:
        raise ValueError(f"{unit} did not owe {deliverable} yet at that moment; it does since {wanted.as_of:%Y-%m-%d}")
    subject = Subject(
        session=session, premises=premises, row=row, book=rulebook_of(row), party=party, ob=ob, as_of=as_of,
        replay=replay,
    )  # fmt: skip
    parts = (_what(subject), _why(subject), _handed_in(subject), _mails(subject), _desk(subject), _next(subject))
    return tuple(part for part in parts if part.lines)


def _what(s: Subject) -> Part:
    deliverable = s.book.campaign.deliverable(s.ob.deliverable)
    series = "" if s.ob.occurrence == ONCE or s.ob.voluntary else f"（{s.ob.occurrence}）"
    label = f"{deliverable.label}　" if deliverable.label else ""
    on_time = {None: "", True: "，按时", False: "，迟报"}[is_on_time(s.ob)]
    late = wording.overdue_text(s.ob.due, s.as_of, s.book.zone) if is_owed(s.ob) else ""
    return Part(
        heading=f"{s.party.code} {s.party.name} · {label}《{deliverable.title}》{series}",
        lines=(
            f"{s.book.campaign.title}（{s.row.key}）",
            f"截至{s.at(s.as_of)}：{wording.STANDING[standing(s.ob)]}{on_time}" + (f"，{late}" if late else ""),
        ),
    )


def _why(s: Subject) -> Part:
    """Say what was due and why that instant: as stated, as a joiner's, and as decisions moved it."""
    if s.ob.voluntary:
        return Part(heading="截止时间", lines=("自愿报送的材料，没有截止时间，不催办，也不计入报送率。",))
    moves = _moves(s)
    first = datetime.fromisoformat(moves[0][1]) if moves and moves[0][1] else s.ob.due
    lines = [_stated(s, first)]
    for move, _, after in moves:
        to = f"改为{s.due(datetime.fromisoformat(after))}" if after else "恢复为原定时间"
        lines.append(f"{s.at(move.as_of)}，{_decided(move)}，截止时间{to}，理由：{move.grounds}")
    if moves and s.ob.due is not None:
        lines.append(f"现在的截止时间：{s.due(s.ob.due)}。")
    if s.ob.due is not None:
        lines.append(f"自{s.at(s.ob.due)}（{wording.zone_text(s.book.zone)}）起收到的算迟报。")
    if s.ob.first_due is not None and s.ob.first_due != s.ob.due:
        lines.append(f"退回不改变是否按时：仍以退回前的{s.due(s.ob.first_due)}为准。")
    if s.ob.exempt:
        lines.append("已免报：不催办，不计入报送率的分母。")
    return Part(heading="截止时间", lines=tuple(lines))


def _stated(s: Subject, due: datetime | None) -> str:
    stated = [s.book.due(o) for o in s.book.occurrences[s.ob.deliverable] if o.key == s.ob.occurrence]
    joined = s.party.joined_at
    if due not in stated and joined > s.row.as_of:
        days = s.book.campaign.joiners.working_days
        return f"该单位{s.at(joined)}加入，通知原定的时间已过，按加入后{days}个工作日计算，应于{s.due(due)}报送。"
    return f"通知要求{s.due(due)}报送，下发时（{s.at(s.row.as_of)}）已固定。"


def _handed_in(s: Subject) -> Part:
    known = {v.number: v for v in s.ob.versions}
    lines = []
    for row in versions_of(s.session, s.ob.id):
        version = known.get(row.version)
        if version is None:
            continue
        files = "、".join(f.name for f in files_of(s.session, row.id)) or wording.NIL
        by = f"，{_who(row.entered_by)}代为录入：{row.grounds}" if row.grounds else ""
        channel = wording.CHANNEL.get(row.channel, row.channel)
        state = wording.STANDING[version.state.value]
        lines.append(f"第{row.version}次：{s.at(row.received_at)}收到（{channel}{by}），{files}，{state}")
    lines += [
        f"{s.at(row.received_at)}收到来件{number_of(row)}，未能登记为任何材料（{wording.MAIL_KIND[row.kind]}），等待办公室处理"
        for row in waiting_of(s.session, s.party.id, known_at=s.known_at)
    ]
    return Part(heading="报送情况", lines=tuple(lines) or ("还没有收到任何报送件。",))


def _mails(s: Subject) -> Part:
    """Say what was sent and what not, and why not: what was planned and ended, and what was never written."""
    told = mails_about(s.session, [s.ob.id], known_at=s.known_at)
    lines = [(m.sent_at or m.planned_at, _mail(s, m)) for m in told]
    said = said_index(load_said(s.session, s.row.id, known_at=s.known_at))
    policy = s.book.policy_of(s.ob.deliverable)
    silent = unwritten(s.ob, said, s.as_of, policy=policy, hours=s.book.hours)
    lines += [(one.moment, _unwritten(s, one)) for one in silent]
    ordered = (line for _, line in sorted(lines, key=lambda pair: pair[0]))
    return Part(heading="邮件", lines=tuple(ordered) or ("还没有就此发过邮件。",))


def _mail(s: Subject, mail: Told) -> str:
    what = rung_text(mail.rung, mail.notice)
    if mail.party_id != s.ob.party_id:
        what += f"（致{s.session.get_one(PartyRow, mail.party_id).name}）"
    if mail.notice == "reminder" and mail.rung.endswith(f":{Reader.RESPONSIBLE}"):
        what += wording.ONE_MAILBOX
    old = f"（按当时的截止时间{s.due(mail.due)}）" if mail.due is not None and mail.due != s.ob.due else ""
    head = f"{s.at(mail.sent_at or mail.planned_at)}　{what}{old}　邮件{mail.message_id}"
    if mail.gone and mail.state not in ("superseded", "expired"):
        return f"{head}：发出前已去掉此项（当时已报送，或截止时间已变更）"
    return f"{head}：{_fate(s, mail)}"


def _fate(s: Subject, mail: Told) -> str:
    to = f"，收件地址{mail.address}" if mail.address else ""
    if mail.state == "sent":
        return f"已发出{to}"
    if mail.state == "bounced":
        return f"已发出，后被退回{to}"
    if mail.state == "ambiguous":
        return f"是否送达不明，待人工确认（muster settle {mail.message_id}）{to}"
    if mail.state == "planned":
        return f"待发：{_waiting(s, mail)}"
    said = next((text for start, text in wording.ENDED.items() if mail.reason.startswith(start)), "")
    why = f"（{said or f'记录：{mail.reason}'}）" if mail.reason else ""
    return wording.FATE.get(mail.state, mail.state) + why + to


def _waiting(s: Subject, mail: Told) -> str:
    """Say what holds a mail that waits, as the gate says it."""
    act = Act.now("rule:explain", s.as_of)
    why, _ = why_waiting(s.session, s.premises, act, [mail.message_id]).get(mail.message_id, (None, ""))
    if why is Unsent.HELD:
        return "；".join(stops_in_words(s.session, s.premises, s.row.key)) or wording.UNSENT[why]
    return "下一轮发信时发出" if why is None else wording.UNSENT[why]


def _unwritten(s: Subject, silent: Unwritten) -> str:
    head = f"{s.at(silent.moment)}　{rung_text(silent.rung, 'reminder')}"
    if silent.replaced_by:
        return f"{head}：没有写，由其后的“{rung_text(silent.replaced_by, 'reminder')}”代替"
    if silent.why is None:
        return f"{head}：时间已到还没有写，下一次提醒节点运行时补上"
    return f"{head}：没有写，{wording.SKIP[silent.why]}"


def _moves(s: Subject) -> list[tuple[DecisionRow, str | None, str | None]]:
    """Return the decisions that moved the due instant, each with what it was before and after."""
    moves: list[tuple[DecisionRow, str | None, str | None]] = []
    for decision in _decisions(s):
        changed = [
            change
            for change in changes_of(s.session, decision.id)
            if change.field is Changed.DUE and change.obligation_id == s.ob.id and change.before != change.after
        ]
        moves += [(decision, change.before, change.after) for change in changed]
        if not changed and decision.obligation_id == s.ob.id and "due" in decision.before:  # a return, or its undoing
            moves.append((decision, decision.before["due"], decision.after.get("due")))
    return moves


def _decisions(s: Subject) -> list[DecisionRow]:
    """Return the decisions over this, and over the unit as a whole, the oldest first."""
    of_unit = (DecisionRow.party_id == s.party.id) & DecisionRow.obligation_id.is_(None)
    touching = select(ChangeRow.decision_id).where(ChangeRow.obligation_id == s.ob.id)
    of_this = or_(DecisionRow.obligation_id == s.ob.id, DecisionRow.id.in_(touching))
    query = select(DecisionRow).where(or_(of_this, of_unit)).order_by(DecisionRow.id)
    if s.known_at is not None:
        query = query.where(DecisionRow.as_of <= s.known_at)
    return list(s.session.scalars(query))


def _decided(decision: DecisionRow) -> str:
    what = wording.DECISION.get(decision.kind, decision.kind)
    return f"{_who(decision.actor)}{what}" + ("（撤销此前的决定）" if decision.reverses else "")


def _who(actor: str) -> str:
    """Return who acted, in words: 办公室 chen, 单位, 系统."""
    kind, _, name = actor.partition(":")
    return {"staff": f"办公室（{name}）", "unit": "单位", "rule": "系统按规则"}.get(kind, actor)


def _desk(s: Subject) -> Part:
    """Say what the unit asked for, what was decided, and what was said by telephone."""
    undone = undone_numbers(s.session, s.row.id) if not s.replay else {}
    lines = [
        (
            d.as_of,
            f"{s.at(d.as_of)}　决定{d.id}：{_decided(d)}，理由：{d.grounds}"
            + (f"（已由决定{undone[d.id]}收回）" if d.id in undone else ""),
        )
        for d in _decisions(s)
    ]
    lines += [(r.asked_at, _request(s, r)) for r in _requests(s)]
    lines += [(a.as_of, _promise(s, a)) for a in promises_about(s.session, s.ob.id, known_at=s.known_at)]
    lines += [(c.called_at, f"{s.at(c.called_at)}　电话，{_who(c.actor)}：{c.said}") for c in _calls(s)]
    return Part(heading="申请、决定和电话", lines=tuple(line for _, line in sorted(lines, key=lambda p: p[0])))


def _requests(s: Subject) -> Iterable[RequestRow]:
    about = or_(RequestRow.obligation_id == s.ob.id, RequestRow.obligation_id.is_(None))
    query = select(RequestRow).where(RequestRow.party_id == s.party.id, about).order_by(RequestRow.id)
    return s.session.scalars(query if s.known_at is None else query.where(RequestRow.asked_at <= s.known_at))


def _request(s: Subject, request: RequestRow) -> str:
    decision = s.session.get(DecisionRow, request.decision_id) if request.decision_id is not None else None
    answered = decision is not None and (s.known_at is None or decision.as_of <= s.known_at)
    answer = f"已由决定{request.decision_id}答复" if answered else f"等待答复（muster grant {request.id} 或 refuse）"
    if request.obligation_id is None:
        wish = wish_of(s.session, request, s.book.zone)
    else:
        wish = f"申请延期至{request.wish['until']}"
    return f"{s.at(request.asked_at)}　申请{request.id}：{wish}，理由：{request.reason}；{answer}"


def _promise(s: Subject, promise: AcknowledgementRow) -> str:
    by = s.session.get_one(PartyRow, promise.party_id).name
    return f"{s.at(promise.as_of)}　{by}知悉{rung_text(promise.rung, '')}，承诺{s.due(promise.until)}报送"


def _calls(s: Subject) -> Iterable[CallRow]:
    about = or_(CallRow.obligation_id == s.ob.id, CallRow.obligation_id.is_(None))
    query = select(CallRow).where(CallRow.party_id == s.party.id, about).order_by(CallRow.id)
    return s.session.scalars(query if s.known_at is None else query.where(CallRow.called_at <= s.known_at))


def _next(s: Subject) -> Part:
    """Say what comes next if nothing changes: when, on which rung, to whom."""
    if not is_owed(s.ob):
        return Part(heading="接下来", lines=(_nothing_more(s),))
    if s.row.state == CampaignState.CLOSED and not s.replay:
        return Part(heading="接下来", lines=("活动已经结束，不再催办；补报仍可接收。",))
    if s.row.state == CampaignState.PAUSED and not s.replay:
        return Part(heading="接下来", lines=("活动已暂停，恢复（muster resume）前不催办；材料照常接收。",))
    if s.as_of >= s.book.close_at:
        line = f"活动已于{s.at(s.book.close_at)}到期，不再催办；补报仍可接收。"
        return Part(heading="接下来", lines=(line,))
    said = said_index(load_said(s.session, s.row.id, known_at=s.known_at))
    ahead = coming(
        s.ob,
        said,
        s.as_of,
        policy=s.book.policy_of(s.ob.deliverable),
        ladder=s.book.ladder,
        hours=s.book.hours,
        brakes=load_brakes(s.session, s.row.id, known_at=s.known_at),
    )
    lines = [_coming(s, one) for one in ahead if one.moment <= s.book.close_at]
    end = f"{s.at(s.book.close_at)}活动结束，此后不再催办。"
    opening = "若一直不报：" if lines else "不再有新的提醒和催办。"
    return Part(heading="接下来", lines=(opening, *lines, end))


def _nothing_more(s: Subject) -> str:
    told = {
        "queried": "已报，等待核实其中的数字（muster findings）；核实前不催办。",
        "submitted": "已报，等待审核（muster accept 或 muster return）；不再催办。",
        "accepted": "已报，不再催办。",
        "exempt": "免报，不再催办。",
        "left": "单位已退出活动，不再催办。",
    }
    return told.get(standing(s.ob).value, "自愿报送，不催办。")


def _coming(s: Subject, one: Coming) -> str:
    asked = any(rung.key == one.rung and rung.approval for rung in s.book.ladder)
    consent = "（须经办公室同意）" if asked else ""
    return f"{s.at(one.moment)}　{rung_text(one.rung, one.notice)}{consent}，{_to(s, one)}"


def _to(s: Subject, one: Coming) -> str:
    """Say to whom a mail would go by the contacts of now."""
    parties = party_names(s.session, s.row.id)
    if one.audience is Audience.UNIT:
        ids = [s.party.id]
    elif one.audience is Audience.SUPERIOR:
        ids = [s.party.superior_id] if s.party.superior_id is not None else []
    else:
        ids = [id_ for id_, p in parties.items() if p.kind == "office"] if one.audience is Audience.OFFICE else []
    if not ids:
        return (
            wording.SKIP["nobody_above"]
            if one.audience is Audience.SUPERIOR
            else f"致{wording.AUDIENCE.get(one.audience.value, one.audience.value)}"
        )
    name = "" if one.audience is Audience.UNIT else parties[ids[0]].name
    contact = choose_contact(contacts_by_party(s.session, ids)[ids[0]], one.notice)
    if contact is None:
        return f"{name}没有可用的联系地址，需电话联系（muster calls {s.row.key}）"
    role = wording.ROLE.get(contact.role, "")
    whom = f"{name}　{role}" if name else role
    return f"致{whom}{contact.name} {contact.address}"
