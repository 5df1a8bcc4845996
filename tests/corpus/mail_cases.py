"""The cases of the corpus of mails."""

from rehearsal.clerk import Manner
from rehearsal.envelopes import Style
from tests.corpus.mails import (
    JPEG,
    MP4,
    OFFICE,
    OLE,
    OURS,
    PDF,
    RAR,
    TNEF,
    Case,
    World,
    attached,
    b64,
    docx,
    inline,
    letter,
    mail,
    nested,
    part,
    photo,
    plan,
    quoted_printable,
    report,
    several,
    simple,
    split_name,
    text,
    with_file,
    with_form,
    word,
    zipped,
)

SPELLINGS = (
    Case(name="a modern program", build=simple, kind="hand_in", recorded=("plan",)),
    Case(name="all in GBK, labelled gb2312", build=lambda w: simple(w, Style.GBK), kind="hand_in", recorded=("plan",)),
    Case(
        name="an encoded-word in quotes", build=lambda w: simple(w, Style.NAME_2047), kind="hand_in", recorded=("plan",)
    ),
    Case(name="a name in raw GBK", build=lambda w: simple(w, Style.NAME_RAW), kind="hand_in", recorded=("plan",)),
    Case(
        name="a name cut inside a character",
        build=lambda w: simple(w, Style.NAME_SPLIT),
        kind="hand_in",
        recorded=("plan",),
    ),
    Case(
        name="a document known by a name in GBK segments out of order",
        kind="hand_in",
        recorded=("scheme",),
        build=lambda w: mail(
            w, several(b"mixed", text(), part(b"application/pdf", PDF, split_name("我单位活动方案.pdf")))
        ),
    ),
    Case(
        name="a name in Content-Type only",
        kind="hand_in",
        recorded=("scheme",),
        build=lambda w: mail(w, several(b"mixed", text(), part(b"application/pdf; name=" + word("活动方案.pdf"), PDF))),
    ),
    Case(
        name="a name with a path",
        kind="hand_in",
        recorded=("scheme",),
        build=lambda w: with_file(w, b"..\\..\\" + "活动方案.pdf".encode("gb18030"), PDF),
    ),
    Case(
        name="a charset x-gbk",
        kind="question",
        state="queued",
        build=lambda w: mail(w, text("朱镕基路有关问题", "x-gbk", "gbk"), subject=word("问题", "x-gbk", "gbk")),
    ),
    Case(
        name="a charset that is none",
        kind="question",
        state="queued",
        build=lambda w: mail(w, text("有关问题", "unicode_escape", "utf-8")),
    ),
    Case(
        name="a subject in raw GBK",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: with_form(w).replace(b"Subject: hello", b"Subject: " + "回复".encode("gbk")),
    ),
    Case(
        name="a sender's name in raw GBK",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: (
            with_form(w)
            .replace(b"From: ", b"From: " + "值班室".encode("gbk") + b" <")
            .replace(b"\r\nTo:", b">\r\nTo:", 1)
        ),
    ),
    Case(
        name="a subject with a line break in an encoded-word",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: with_form(w).replace(b"Subject: hello", b"Subject: " + word("表\r\nBcc: x@y.example")),
    ),
    Case(
        name="a NUL in the subject",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: with_form(w).replace(b"Subject: hello", b"Subject: he\0llo"),
    ),
    Case(
        name="no subject",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: with_form(w).replace(b"Subject: hello\r\n", b""),
    ),
    Case(
        name="no sender",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: with_form(w).replace(b"From: duty@bureau.example\r\n", b""),
    ),
    Case(
        name="an odd Message-ID",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: with_form(w).replace(b"<corpus@", b"<[12]@"),
    ),
    Case(
        name="bare line feeds", kind="hand_in", recorded=("plan",), build=lambda w: with_form(w).replace(b"\r\n", b"\n")
    ),
    Case(
        name="a form as quoted-printable",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: mail(w, several(b"mixed", text(), quoted_printable(plan(w)))),
    ),
    Case(
        name="no last boundary",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: mail(w, several(b"mixed", text(), attached(b"plan.xlsx", plan(w)), end=False)),
    ),
    Case(
        name="a boundary with spaces",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: mail(w, several(b"mixed", text(), attached(b"plan.xlsx", plan(w)), boundary=b"=_ a b")),
    ),
    Case(
        name="a base64 body with junk between its lines",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: with_form(w).replace(b64(plan(w))[:78], b64(plan(w))[:78] + b" \t\r\n"),
    ),
)

MATCHES = (
    Case(
        name="known by the workbook",
        by="workbook",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: with_form(w, to=OFFICE, sender="someone@qq.example"),
    ),
    Case(
        name="known by its address",
        by="sender",
        kind="hand_in",
        recorded=("scheme",),
        build=lambda w: with_file(w, "活动方案.pdf".encode(), PDF, to=OFFICE),
    ),
    Case(
        name="known by its address in capitals",
        by="sender",
        kind="hand_in",
        recorded=("scheme",),
        build=lambda w: with_file(w, "活动方案.pdf".encode(), PDF, to=OFFICE, sender="DUTY@Bureau.Example"),
    ),
    Case(
        name="the token in the subject",
        by="subject",
        kind="hand_in",
        recorded=("scheme",),
        build=lambda w: with_file(
            w, b"a.pdf", PDF, f"活动方案【编号：{w.token().upper()}】", to=OFFICE, sender="a@qq.example"
        ),
    ),
    Case(
        name="the token in Delivered-To",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: with_form(w, f"Delivered-To: {w.address()}".encode(), to=OFFICE, sender="a@qq.example"),
    ),
    Case(
        name="the token in X-Original-To",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: with_form(w, f"X-Original-To: {w.address()}".encode(), to=OFFICE, sender="a@qq.example"),
    ),
    Case(
        name="the token in Cc",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: with_form(w, f"Cc: boss@unit.example, {w.address()}".encode(), to=OFFICE),
    ),
    Case(
        name="the token in capitals",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: with_form(w, to=w.address().upper()),
    ),
    Case(
        name="the token of a mail of ours, from its envelope",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: with_form(w, to=w.verp, sender="a@qq.example"),
    ),
    Case(
        name="a reply to a mail of ours",
        by="reply",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: with_form(w, f"In-Reply-To: {w.message_id}".encode(), to=OFFICE, sender="a@qq.example"),
    ),
    Case(
        name="only References",
        by="reply",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: with_form(
            w, f"References: <x@y>\r\n\t{w.message_id}".encode(), to=OFFICE, sender="a@qq.example"
        ),
    ),
    Case(
        name="the token among the References",
        by="references",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: with_form(
            w, f"References: <{w.token()}@office.example>".encode(), to=OFFICE, sender="a@qq.example"
        ),
    ),
    Case(
        name="a forged token and a stranger",
        by="",
        unit="",
        kind="unmatched",
        state="queued",
        build=lambda w: with_file(w, b"a.pdf", PDF, to="muster+pab-aaaaaaaaaa@office.example", sender="a@qq.example"),
    ),
    Case(
        name="an advertisement",
        by="",
        unit="",
        kind="unmatched",
        state="queued",
        build=lambda w: with_file(w, b"a.pdf", PDF, "发票", to=OFFICE, sender="ad@spam.example"),
    ),
    Case(
        name="a stranger with a form of a unit",
        by="workbook",
        unit="BH036",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: mail(
            w, several(b"mixed", attached(b"a.xlsx", plan(w, "BH036"))), to=OFFICE, sender="a@qq.example"
        ),
    ),
    Case(
        name="another unit's form to one's own address",
        kind="unreadable",
        state="queued",
        build=lambda w: mail(w, several(b"mixed", attached(b"a.xlsx", plan(w, "BH036")))),
    ),
)

CONTENTS = (
    Case(
        name="two forms",
        kind="hand_in",
        recorded=("plan", "liaison"),
        build=lambda w: mail(
            w,
            several(
                b"mixed",
                text(),
                attached(b"2.xlsx", plan(w)),
                attached(b"3.xlsx", w.form("BH001", "liaison", Manner.RIGHT)),
            ),
        ),
    ),
    Case(
        name="a form and a document",
        kind="hand_in",
        recorded=("plan", "scheme"),
        build=lambda w: mail(
            w, several(b"mixed", attached(b"2.xlsx", plan(w)), attached("活动方案.docx".encode(), docx()))
        ),
    ),
    Case(
        name="a form and a program",
        kind="hand_in",
        recorded=("plan",),
        state="queued",
        build=lambda w: mail(w, several(b"mixed", attached(b"2.xlsx", plan(w)), attached(b"a.exe", b"MZ program"))),
    ),
    Case(
        name="the same form twice",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: mail(w, several(b"mixed", *twice(plan(w), b"1.xlsx", b"2.xlsx"))),
    ),
    Case(
        name="a form with a wrong cell",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: mail(w, several(b"mixed", attached(b"1.xlsx", w.form("BH001", "plan", Manner.WRONG)))),
    ),
    Case(
        name="a form in a mail in the mail",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: mail(w, several(b"mixed", text("见附件"), nested(with_form(w)), boundary=b"=_out")),
    ),
    Case(
        name="forwarded twice",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: mail(
            w,
            several(
                b"mixed", nested(mail(w, several(b"mixed", nested(with_form(w)), boundary=b"=_in"))), boundary=b"=_out"
            ),
        ),
    ),
    Case(
        name="a mail in the mail in base64",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: mail(w, several(b"mixed", nested(with_form(w), b"base64"), boundary=b"=_out")),
    ),
    Case(name="winmail.dat", kind="unreadable", state="queued", build=lambda w: with_file(w, b"winmail.dat", TNEF)),
    Case(
        name="signed by S/MIME",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: mail(
            w,
            several(
                b"signed; protocol=x",
                several(b"mixed", text(), attached(b"a.xlsx", plan(w))),
                attached(b"smime.p7s", b"0\x82 seal", b"application/pkcs7-signature"),
                boundary=b"=_s",
            ),
        ),
    ),
    Case(
        name="wrapped by S/MIME",
        kind="unreadable",
        state="queued",
        build=lambda w: mail(w, attached(b"smime.p7m", b"0\x82 sealed", b"application/pkcs7-mime")),
    ),
    Case(
        name="a letter with a seal and a card",
        kind="question",
        state="queued",
        build=lambda w: mail(
            w,
            several(
                b"signed",
                text(),
                attached(b"s.asc", b"seal", b"application/pgp-signature"),
                attached(b"me.vcf", b"BEGIN:VCARD", b"text/vcard"),
            ),
        ),
    ),
    Case(
        name="a form and no text",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: mail(w, attached(b"a.xlsx", plan(w))),
    ),
    Case(name="an empty mail", kind="question", state="queued", build=lambda w: mail(w, text(""), subject=b"")),
    Case(
        name="a letter in HTML",
        kind="question",
        state="queued",
        build=lambda w: mail(w, part(b"text/html; charset=utf-8", "<p>请问<b>表</b>在哪</p>".encode())),
    ),
    Case(
        name="a letter with a logo",
        kind="question",
        state="queued",
        build=lambda w: mail(w, several(b"related", text(), inline(photo(3_000)))),
    ),
    Case(
        name="a form with a logo",
        kind="hand_in",
        recorded=("plan",),
        build=lambda w: mail(
            w,
            several(
                b"mixed",
                several(b"related", text(), inline(photo(3_000)), boundary=b"=_r"),
                attached(b"a.xlsx", plan(w)),
            ),
        ),
    ),
    Case(
        name="a photograph pasted into the text",
        kind="hand_in",
        recorded=("materials",),
        build=lambda w: mail(w, several(b"related", text(), inline(photo(60_000)))),
    ),
    Case(
        name="two photographs",
        kind="hand_in",
        recorded=("materials", "materials"),
        build=lambda w: mail(w, several(b"mixed", attached(b"1.jpg", JPEG + b"1"), attached(b"2.jpg", JPEG + b"2"))),
    ),
    Case(name="a film", kind="hand_in", recorded=("materials",), build=lambda w: with_file(w, b"a.mp4", MP4)),
    Case(
        name="a document named by the file",
        kind="hand_in",
        recorded=("report",),
        build=lambda w: with_file(w, "活动综合情况（定稿）.docx".encode("gbk"), docx()),
    ),
    Case(
        name="a document named by the new words",
        kind="hand_in",
        recorded=("report",),
        build=lambda w: with_file(w, b"scan.pdf", PDF, f"活动综合情况 回复：{OURS}"),
    ),
    Case(
        name="a document that only our quoted subject names",
        kind="unreadable",
        state="queued",
        build=lambda w: with_file(w, b"scan.pdf", PDF, f"回复：{OURS}"),
    ),
    Case(
        name="a document without a name",
        kind="unreadable",
        state="queued",
        build=lambda w: with_file(w, b"scan.pdf", PDF),
    ),
    Case(
        name="a workbook with macros",
        kind="unreadable",
        state="queued",
        build=lambda w: with_file(w, b"a.xlsx", zipped(**{"xl__workbook.xml": b"x", "xl__vbaProject.bin": b"x"})),
    ),
    Case(name="an old workbook", kind="unreadable", state="queued", build=lambda w: with_file(w, b"a.xls", OLE)),
    Case(name="a rar archive", kind="unreadable", state="queued", build=lambda w: with_file(w, b"a.rar", RAR)),
    Case(
        name="a workbook that is broken",
        kind="unreadable",
        state="queued",
        build=lambda w: with_file(w, b"a.xlsx", plan(w)[:2000]),
    ),
    Case(
        name="a page named like a picture",
        kind="unreadable",
        state="queued",
        build=lambda w: with_file(w, b"a.jpg", b"<html><script>1</script>"),
    ),
)

NIL_RETURNS = (
    Case(name="a nil return", kind="hand_in", recorded=("scheme",), build=lambda w: letter(w, "活动方案零报告")),
    Case(
        name="a nil return before our quoted subject",
        kind="hand_in",
        recorded=("report",),
        build=lambda w: letter(w, f"活动综合情况本期无 回复：{OURS}"),
    ),
    Case(
        name="a nil return that names nothing",
        kind="unreadable",
        state="queued",
        build=lambda w: letter(w, f"无此项 Re: {OURS}"),
    ),
    Case(
        name="a nil return for what takes none",
        kind="unreadable",
        state="queued",
        build=lambda w: letter(w, "附件2 零报告"),
    ),
    Case(
        name="the words only in our quoted subject",
        kind="question",
        state="queued",
        build=lambda w: letter(w, f"回复：{OURS}", "零报告"),
    ),
    Case(
        name="a question about nil returns",
        kind="question",
        state="queued",
        build=lambda w: letter(w, "请问零报告怎么报"),
    ),
    Case(
        name="the words and a file",
        kind="hand_in",
        recorded=("scheme",),
        build=lambda w: with_file(w, "活动方案.pdf".encode(), PDF, "零报告"),
    ),
)

MACHINES = (
    Case(
        name="out of office",
        kind="auto_reply",
        build=lambda w: letter(w, "外出", "本人出差", b"Auto-Submitted: auto-replied"),
    ),
    Case(name="an automatic reply by its subject", kind="auto_reply", build=lambda w: letter(w, "自动回复：已收到")),
    Case(name="a mass mail", kind="auto_reply", build=lambda w: letter(w, "通讯", "x", b"Precedence: bulk")),
    Case(
        name="an automatic reply with a form",
        kind="auto_reply",
        state="queued",
        build=lambda w: with_form(w, b"Auto-Submitted: auto-replied"),
    ),
    Case(
        name="a mail of a list",
        kind="question",
        state="queued",
        build=lambda w: letter(w, "通讯", "x", b"List-Id: <all.unit.example>"),
    ),
    Case(name="a delivery report", kind="bounce", build=report),
    Case(
        name="a delivery report on another address",
        kind="bounce",
        build=lambda w: report(w, "somebody.else@unit.example"),
        state="queued",
    ),
    Case(
        name="a delivery report on a mail that is not ours",
        by="",
        unit="",
        kind="bounce",
        state="queued",
        build=lambda w: report(w).replace(w.verp.encode(), OFFICE.encode()).replace(w.message_id.encode(), b"<x@y>"),
    ),
)

CASES: tuple[Case, ...] = (*SPELLINGS, *MATCHES, *CONTENTS, *NIL_RETURNS, *MACHINES)
__all__ = ["CASES", "World"]


def twice(content: bytes, *names: bytes) -> list[bytes]:
    """Return the same bytes attached under several names; made anew, they would bear another second."""
    return [attached(name, content) for name in names]
