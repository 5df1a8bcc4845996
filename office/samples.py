"""Samples of every notice, with the campaign's own facts, for the operator's eyes before anything goes out."""

from datetime import datetime

from office import wording
from office.composing import campaign_lines, contact_lines, tally_row
from office.letters import (
    Alert,
    Answer,
    AnswerLine,
    DecisionLines,
    DigestRow,
    FindingLine,
    ItemLine,
    LetterContext,
    NamedContact,
    PartyLines,
    WaitingLine,
    WaitingList,
)
from office.rulebook import Rulebook
from rules.rates import Totals

NOTICES = tuple(wording.WHY)
DECIDED = ("granted", "refused", "contact_changed", "answer", "decided", "correction", "announcement")
PAPERS = {"supervision_order": "督办〔2020〕第1号", "circulation": "通报〔2020〕第1号"}
TROUBLE = "；".join(
    (
        wording.TROUBLE["unreached"],
        f"duty@unit.example：{wording.cause_text('refused: 550 5.1.1 no such user')}",
        "电话 022-00000000",
    )
)
TOTALS = Totals(owed=285, reported=270, on_time=262, late=8, returned=3, missing=12, queried=2)


def sample_context(book: Rulebook, notice: str, reply_address: str, at: datetime, *, link: str = "") -> LetterContext:
    """Return a plausible context of a notice; ``link`` is printed where units would be given theirs."""
    zone = book.zone
    items = tuple(
        ItemLine(
            title=d.title,
            label=d.label,
            due_text=wording.due_text(book.due(book.occurrences[d.key][0]) if book.occurrences[d.key] else None, zone),
            state_text="未报" if number < 2 else "已报",  # noqa: PLR2004  two open, the rest done
            overdue_text="已逾期2天" if number == 0 and notice.startswith("escalation") else "",
            open=number < 2,  # noqa: PLR2004
            asked=number < 2,  # noqa: PLR2004
            voluntary=not book.occurrences[d.key],
        )
        for number, d in enumerate(book.campaign.deliverables)
    )
    return LetterContext(
        notice=notice,
        campaign=campaign_lines(book.campaign),
        contact=contact_lines(book.campaign),
        party=PartyLines(name="某某街道办事处", code="SAMPLE"),
        token_shown="P3F-ABCDEFGHIJ",  # noqa: S106  a number on a sample
        reply_address=reply_address,
        why=wording.WHY[notice],
        date_text=wording.moment_text(at, zone),
        link=link,
        acknowledge=(f"{link}/a/1",) if link else (),
        items=items,
        attachments=(f"{PAPERS[notice]}.docx",) if notice in PAPERS else ("附件2活动计划表.xlsx", "报送截止时间.ics"),
        answer=_answer(items[0].title, flawed=notice == "returned"),
        digest=(
            DigestRow(
                unit_name="某某街道办事处",
                unit_code="SAMPLE",
                category=book.campaign.categories[0],
                title=items[0].title,
                due_text=items[0].due_text,
                overdue_text="已逾期4天",
                contact_text="022-00000000，duty@unit.example",
                reached_text="6月2日 09:00（邮件）",
                order_text="督办〔2020〕第1号（黄色）",
            ),
        ),
        tally=(tally_row("合计", TOTALS),),
        alert=Alert(
            headline=wording.ALERT["contacts"].format(count=1),
            lines=(f"SAMPLE 某某街道办事处：{TROUBLE}",),
            remedy=wording.ALERT_REMEDY["contacts"],
        ),
        decision=_decision(notice, items[0]),
        waiting=_waiting(items[0]),
        rung_text="主管",
        final=False,
        sample=True,
    )


def _decision(notice: str, item: ItemLine) -> DecisionLines | None:
    if notice in PAPERS:
        return DecisionLines(said=PAPERS[notice])
    if notice not in DECIDED:
        return None
    changed = notice == "contact_changed"
    asked = wording.ASKED["extension"].format(day="6月10日")
    return DecisionLines(
        title=item.title,
        asked_text=asked,
        reasons=("李四来电更正" if changed else "汇总时间紧，请按原定时间报送",),
        due_text="6月10日（星期三）24时前",
        contact=NamedContact(role_text="联络员", name="李四", address="lisi@unit.example", phone="022-00000001")
        if changed
        else None,
        was=NamedContact(role_text="值班", name="值班室", address="duty@unit.example", phone="") if changed else None,
        unit="某某街道办事处",
        about="关于报送时间的咨询",
        said=wording.DECIDED["extended"][1] if notice == "decided" else "请以通知所列时间为准。",
        headline=wording.DECIDED["extended"][0],
    )


def _waiting(item: ItemLine) -> WaitingList:
    line = WaitingLine(
        kind_text=wording.WAITS["version"],
        what=f"SAMPLE 某某街道办事处：《{item.title}》第1次报送",
        since_text="5月28日 10:20起",
        age="old",
        age_text=wording.AGE["old"].format(days=4),
        command="muster accept 12 或 muster return 12",
    )
    return WaitingList(lines=(line,), old=1)


def _answer(title: str, *, flawed: bool) -> Answer:
    finding = FindingLine(
        severity_text="强制",
        place="活动进展情况统计表!E7",
        field="启动仪式 参加（人次） 数量",
        problem="读到“若干”，不是数字。",
        remedy="请只填阿拉伯数字，文字说明写在备注栏。",
    )
    line = AnswerLine(
        title=title,
        version=1,
        state="returned" if flawed else "accepted",
        state_text="退回，请更正后重报" if flawed else "已接收",
        received_text="5月29日 16:20",
        timely_text="按时",
        file_name=f"{title}.xlsx",
        findings=(finding,) if flawed else (),
    )
    return Answer(lines=(line,))
