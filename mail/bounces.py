"""Bounces: what a mail server says of a mail of ours that it did not deliver.

Read from what is stated to what is only told: the fields of RFC 3464, the formats flufl.bounce knows, the words of
Chinese mail servers. A person who quotes, forwards or asks about a bounce has not sent one.
"""

import html
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.policy import Compat32
from enum import StrEnum

from flufl.bounce import all_failures

from mail.decoding import decode_header, decode_parameter, decode_text, keepable
from mail.parsing import AUTO_SUBJECT, MAX_PARTS, IncomingMail, new_part

# flufl logs each detector it tries, and a traceback for each that stumbles over a mail; we catch those
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)

MAX_READ = 512 * 1024  # prose, fields and the head of the returned mail come first; the rest is the returned mail
MAX_TEXT = 64 * 1024  # flufl tries some fifty patterns on each line, a few of them quadratic in its length
MAX_LINE = 500
MAX_WORDS = 2000
MAX_HEADER = 8000  # the standard library takes quadratic time over the parameters of one

# The parts of a report are read as text, because the standard library neither decodes a message/* part that comes
# in base64 nor stops at a report inside a forwarded mail.
MESSAGE_PART = re.compile(rb"message/(?=rfc822|global|delivery-status)", re.IGNORECASE)
FIELD_PARTS = ("text/x-delivery-status", "text/x-global-delivery-status")
RETURNED_PARTS = ("text/x-rfc822", "text/x-global", "text/rfc822-headers", "text/x-global-headers")
REPORT_FILE = re.compile(r".*\.(?:eml|txt|html?)|att\d+\.dat")  # details.txt, ATT00001.dat, 原邮件.eml


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE | re.MULTILINE)


# Who writes reports, and what he calls them
REPORT = re.compile(rb"^content-type:\s*multipart/report\b", re.IGNORECASE | re.MULTILINE)
MACHINES = ("mailer-daemon@", "mailerdaemon@", "mail-daemon@", "mdaemon@", "postmaster@", "microsoftexchange")
RETURN_SUBJECT = _any(
    r"退信|投递(?:失败|延迟)|延迟投递|(?:无法|未能|不能)(?:投递|送达|传递|发送)|未送达|未传递|(?:传递|发送)失败",
    r"(?:邮件|信件|来信)(?:已|被|系统)*退回",
    r"undeliver|non-?delivery|mail delivery|delivery[ -](?:status|failure|has failed|problem|delayed)",
    r"returned (?:mail|to sender)|failure notice|could not be delivered|delayed mail|(?:mail|message) delayed",
)
RETURN_TITLE = _any(
    rf"\A[\[【(（\s]*(?:来自\S{{1,80}}的|系统|您的|邮件|warning:\s*)?(?:{RETURN_SUBJECT.pattern})",
)
RETURN_PHRASE = _any(
    r"退信(?:原因|代码|信息|提示)|(?:邮件|信件)\S{0,8}退回|(?:无法|未能|不能)(?:投递|送达|传递)|投递失败",
    r"could ?n[o']t be delivered|undeliver|delivery (?:\S{1,20} ){0,4}failed|not delivered",
)
LATE = _any(
    r"\(delay\)|delayed|still being retried|not yet been delivered",
    r"will (?:be retried|(?:continue to |keep )(?:try|retry))",
    r"延迟|推迟|仍在(?:继续)?(?:尝试|重试)|(?:将|会)(?:自动|继续|为您)*(?:尝试|重试|重新投递)",
)
GIVEN_UP = _any(r"gave up|giv(?:e|ing|en) up|permanent|(?<!暂时)无法投递|投递失败|被退回|放弃")

# Where the reason stands in a text, where advice begins, and where the returned mail does
REASON = _any(
    r"(?:退信|退回|失败|错误|出错)(?:的)?原因|以下原因|(?:出错|错误|诊断)信息",
    r"bounce reason|response (?:\S+ ){0,4}was",
)
ADVICE = _any(
    r"(?:建议)?解决(?:方案|办法|方法)|处理建议|建议您|温馨提示|您可以",
    r"proposed solution|warm tips|what can (?:i|you) do",
)
COPY = _any(
    r"^[\W_]{0,40}(?:(?:begin|this|line|is|copy|of|the|a|your|below) ){0,8}(?:original|returned) (?:message|mail)\b",
    r"^[\W_]{0,40}(?:below )?this (?:line )?is a copy of",
    r"^[\W_]{0,40}(?:以下[是为])?原始?(?:邮件|信件)的?(?:标?头|内容|正文)",
    r"^(?:received|return-path|message-id|mime-version|dkim-signature):",
)
TELLS_OF_COPY = _any(r"original (?:message|mail)|copy of|原始?(?:邮件|信件?)|message-id")
MESSAGE_ID = _any(r"\bmessage-id\s*[:：]\s*(<[!-;=?-~]{1,900}>)")

FIELD = re.compile(r"([A-Za-z][A-Za-z-]{2,40})[ \t]*:[ \t]*(.*)")
ACTION = _any("fail|error|delay|relay|deliver|expand")
STATUS = re.compile(r"(?<![\d.])([245]\.[0-7]\.\d{1,3})(?!\d|\.\d)")
LITTLE = ("5.0.", "5.1.0", "5.2.0", "5.3.0", "5.4.", "5.5.")  # statuses that say little
FINAL = ("5.0.", "5.1.0", "5.4.4")  # of these, the ones that are hard if no word says more
OWN_ADDRESS = ("5.1.7", "5.1.8")  # the sender's address is bad
ADDRESS = re.compile(r"(?<![\w.%+=&/-])[\w.%+=&/-]{1,64}@[A-Za-z0-9.-]{0,252}[A-Za-z0-9]")
RECIPIENT_LABEL = _any(r"收\s*[件信]\s*人|投递地址|recipients?\b|failed address")

# What the words of a server blame; addresses and links hold words that mean nothing (<quota@unknown.example>)
NAMES = _any(ADDRESS.pattern, r"https?://[^\s<>]{1,500}")
US = _any(
    r"sender\b.{0,40}?\b(?:not found|not exist|unknown|invalid|rejected|denied)|invalid sender|sender domain",
    r"client host|\b(?:helo|ehlo|ptr)\b|reverse (?:dns|host)",
    r"发[件信]人?(?:的)?(?:地址|域名|邮箱|账号|帐号)*(?:无效|不存在|被拒|被禁)",
)
FULL = _any(
    r"quota|mailbox (?:is |size |limit |has )*(?:full|exceed)|(?:storage|space) (?:limit|allocation|not enough)",
    r"insufficient (?:system )?(?:storage|space)|\b552[ -]",
    r"空间(?:已)?(?:不足|不够|满)|已满|容量|配额|超容",
)
NOBODY = _any(
    r"(?:user|recipient|mailbox|account|(?<!ip )address|alias)\b.{0,60}?\b"
    r"(?:unknown|not (?:be )?(?:found|known|exist\w*)|doesn'?t exist|no longer (?:exists|active|valid)"
    r"|disabled|suspended|deactivated|inactive)",
    r"(?:no such|unknown|non-?existent) (?:or illegal )?(?:user|recipient|mailbox|account|address|person|alias)",
    r"invalid (?:user|mailbox)|not a valid (?:mailbox|user|recipient)|no mailbox here|not exist",
    r"unrouteable address|recip(?:ient)?notfound|recipient address rejected: access denied|couldn'?t be found",
    r"(?:无此|没有此|没有这个|找不到|查无)(?:用户|收件人|邮箱|账[号户]|帐[号户]|地址|人)",
    r"找不到[^。，]{0,30}(?:地址|收件人|邮箱)",
    r"(?:用户|收[件信]人|邮箱|地址|账[号户]|帐[号户])[^。，；]{0,80}?"
    r"(?:不存在|无效|未注册|未开通|停用|禁用|注销|冻结|找不到)",
)
NOWHERE = _any(
    r"(?:domain|host)\b.{0,60}?\b(?:not (?:be )?found|does ?n[o']t exist|unknown)",
    r"unknown (?:host|domain)|nxdomain|(?:any|no such) (?:host|domain)",
    r"域名?[^。，；]{0,80}?(?:不存在|有误|无法解析|错误)|找不到[^。，；]{0,30}域",
)
REFUSED = _any(
    r"spam|polic(?:y|ies)|black ?list|block|\brbl\b|dnsbl|\bspf\b|dkim|dmarc|denied|refused|relay|rejected by",
    r"frequency|rate limit|too (?:many|large|big)|prohibit|not (?:authorized|allowed|permitted)|suspect|greylist",
    r"virus|content reject|exceeds? (?:\S+ ){0,3}size|message size|\b(?:dt|mi|hl|rp|wm):[a-z]{3}\b",
    r"垃圾|拒信|拒收|拒绝|黑名单|频率|策略|病毒|屏蔽|限制|过大|超[过出][^。，；]{0,10}大小",
)
UNREACHED = _any(
    r"timed? ?out|can ?not connect|connection (?:refused|dropped|lost)|temporar|try again|retry time|long time",
    r"\b4(?:21|5[0-2])[ -]",
    r"无法连接|连接不上|超时|网络",
)
PERHAPS_NOBODY = _any(r"(?:mailbox|user) unavailable|invalid recipient|(?:recipient|address) (?:is )?rejected")


class _Brief(Compat32):
    """The standard library's policy, but of an endless header it takes the beginning."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        """Return a header's name and value."""
        name, value = super().header_source_parse(sourcelines)
        return name, value[:MAX_HEADER]


class BounceKind(StrEnum):
    """How final a report is."""

    HARD = "hard"  # the address is at fault
    SOFT = "soft"  # full mailbox, size, policy: the address is not at fault
    DELAYED = "delayed"  # still trying, or delivered; no bounce


GRAVITY = (BounceKind.DELAYED, BounceKind.SOFT, BounceKind.HARD)

# Where the status says little, the first of these that fits decides. What blames us or a full mailbox comes first:
# 不存在或已满 leaves the contact alone.
JUDGEMENTS = (
    (US, BounceKind.SOFT),
    (FULL, BounceKind.SOFT),
    (NOBODY, BounceKind.HARD),
    (NOWHERE, BounceKind.HARD),
    (REFUSED, BounceKind.SOFT),
    (UNREACHED, BounceKind.SOFT),
    (PERHAPS_NOBODY, BounceKind.HARD),
)


@dataclass(frozen=True, kw_only=True)
class Bounce:
    """What a report says."""

    kind: BounceKind
    recipient: str = ""  # the address we wrote to, where the report tells it from the one it was forwarded to
    status: str = ""
    diagnostic: str = ""


@dataclass(frozen=True, kw_only=True)
class _Report:
    """The parts of a mail that matter in a report, as text."""

    prose: str = ""
    fields: str = ""
    returned: tuple[str, ...] = ()
    failed_recipients: str = ""
    bears_files: bool = False


def read_bounce(mail: IncomingMail, raw: bytes) -> Bounce | None:
    """Return what a delivery report says; None if the mail is none. Never raises, whatever the bytes.

    Reading proves nothing: anybody can write a report on anybody's mail. The caller must know the mail of ours it
    speaks of by the signed token in the report's recipient (VERP) or by ``original_message_id``, and act on it only
    if the report ``concerns`` the address that mail went to.
    """
    by_machine = mail.null_return_path or _is_daemon(mail)
    if not by_machine and REPORT.search(_head(raw)) is None:
        return None
    report = _open(raw)
    stated = _stated(report.fields, report.prose)
    if stated is not None or not by_machine or _is_personal(mail, report):
        return stated
    # a status part that lost its type lies in the prose
    inline = report.prose if "final-recipient" in report.prose.lower() else ""
    return _stated(inline, report.prose) or _known(mail, report, raw) or _told(mail, report)


def original_message_id(raw: bytes) -> str:
    """Return the Message-ID of the mail that a report returns, in angle brackets; empty if it tells none.

    Some providers write to the From address instead of the envelope's, and the token there is lost.
    """
    report = _open(raw)
    heads = [text.lstrip().replace("\r\n", "\n").partition("\n\n")[0] for text in report.returned]
    stated = [f"message-id: {block.get('x-original-message-id', '')}" for block in _blocks(report.fields)]
    begin = TELLS_OF_COPY.search(report.prose)
    quoted = [report.prose[begin.start() :]] if begin else []
    found = (MESSAGE_ID.search(text) for text in (*heads, *stated, *quoted))
    return next((match.group(1) for match in found if match), "")


def concerns(bounce: Bounce, address: str) -> bool:
    """Whether a report may speak of this address: it names it, or names none."""
    named = _bare_address(bounce.recipient)
    return not named or named == _bare_address(address)


def _bare_address(text: str) -> str:
    """Return an address without type (``rfc822;``), name, brackets and case."""
    bare = text.rpartition(";")[2].strip().removeprefix("mailto:").strip("<>\"' \t.")
    found = ADDRESS.search(bare) if " " in bare or "<" in bare else None
    return _said(found.group() if found else bare).lower()


def _is_daemon(mail: IncomingMail) -> bool:
    return mail.from_address.startswith(MACHINES)


def _is_personal(mail: IncomingMail, report: _Report) -> bool:
    """Whether a mail without status fields is a reply, a forward, an out-of-office or a hand-in."""
    bare = new_part(mail.subject)
    return bare != mail.subject.strip() or AUTO_SUBJECT.match(bare) is not None or report.bears_files


def _head(raw: bytes) -> bytes:
    return raw[:MAX_READ].replace(b"\r\n", b"\n").split(b"\n\n", 1)[0]


def _open(raw: bytes) -> _Report:
    try:
        return _parts(message_from_bytes(MESSAGE_PART.sub(b"text/x-", raw[:MAX_READ]), policy=_Brief()))
    except Exception:  # noqa: BLE001  the standard library stumbles over parts nested a thousand deep, and more
        return _Report()


def _parts(message: Message) -> _Report:
    plain: list[str] = []
    markup: list[str] = []
    fields: list[str] = []
    returned: list[str] = []
    bears_files = False
    for number, part in enumerate(message.walk()):
        if number >= MAX_PARTS:
            break
        if part.is_multipart():
            continue
        payload = part.get_payload(decode=True)
        content = payload if isinstance(payload, bytes) else b""
        kind, name = part.get_content_type(), _file_name(part)
        text = decode_text(content, str(part.get_content_charset() or "utf-8"))
        if kind in RETURNED_PARTS or name.endswith(".eml"):
            returned.append(text)
        elif kind in FIELD_PARTS or (name and b"final-recipient:" in content[:MAX_WORDS].lower()):
            fields.append(text)
        elif _is_file(part, kind, name):
            bears_files = True
        elif returned or name:
            continue  # what follows the returned mail belongs to it
        elif kind == "text/html":
            markup.append(_as_text(text))
        elif kind.startswith(("text/", "multipart/")):  # a multipart whose boundary never comes is its own text
            plain.append(text)
    return _Report(
        prose="\n".join(plain if any(text.strip() for text in plain) else markup)[:MAX_TEXT],
        fields="\n\n".join(fields)[:MAX_TEXT],
        returned=tuple(text[:MAX_TEXT] for text in returned),
        failed_recipients=", ".join(str(value) for value in message.get_all("X-Failed-Recipients", [])),
        bears_files=bears_files,
    )


def _is_file(part: Message, kind: str, name: str) -> bool:
    """Whether a person attached this: not the report's own parts, not the logo of a provider."""
    if kind.startswith("image/"):
        return part.get_content_disposition() == "attachment" and part.get("Content-ID") is None
    known = REPORT_FILE.fullmatch(name) is not None or kind.startswith("message/")
    return not known and (name != "" or not kind.startswith(("text/", "multipart/")))


def _file_name(part: Message) -> str:
    for header, parameter in (("Content-Disposition", "filename"), ("Content-Type", "name")):
        if name := decode_parameter(str(part.get(header, "")).encode("utf-8", "surrogateescape"), parameter):
            return name.strip().lower()
    return ""


def _as_text(markup: str) -> str:
    markup = re.sub(r"(?is)<(style|script|title)\b.*?(?:</\1\s*>|\Z)", "", markup)
    markup = re.sub(r"(?s)<!--.*?(?:-->|\Z)", "", markup)
    markup = re.sub(r"(?i)<(?:br|/?p|/?div|/tr|/t[dh]|/li|/h\d)\b[^<>]*>", "\n", markup)
    return html.unescape(re.sub(r"<[^<>]*>", "", markup))


def _stated(fields: str, prose: str) -> Bounce | None:
    """Read the fields of RFC 3464; of several recipients, the worst that failed."""
    bounces = [_of_block(block, prose) for block in _blocks(fields) if _says(block)]
    return max(bounces, key=lambda bounce: GRAVITY.index(bounce.kind), default=None)


def _says(block: dict[str, str]) -> bool:
    return bool(ACTION.match(block.get("action", "")) or STATUS.search(block.get("status", "")))


def _blocks(text: str) -> Iterator[dict[str, str]]:
    """Yield the groups of fields; a second recipient begins one, whether or not the blank line is there."""
    block: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        field = FIELD.match(line)
        if not line.strip():
            yield block
            block, name = {}, ""
        elif field is None:
            if name and line[0] in " \t" and len(block[name]) < MAX_WORDS:
                block[name] += f" {line.strip()}"
        else:
            name = field.group(1).lower()
            if name == "final-recipient" and name in block:
                yield block
                block = {}
            block[name] = field.group(2).strip()
    yield block


def _of_block(block: dict[str, str], prose: str) -> Bounce:
    action = block.get("action", "").lower()
    given = STATUS.search(block.get("status", ""))
    status = given.group(1) if given else ""
    diagnostic = _said(decode_header(block.get("diagnostic-code", "").encode("utf-8", "surrogatepass")))
    reason = _said(_reason(prose))
    words = diagnostic if _by_words(diagnostic) or STATUS.search(diagnostic) else reason
    if not ACTION.match(action):  # a broken block: its status alone says whether it is final
        action = "failed" if status.startswith("5.") else "delayed"
    status = _better(status, words)
    kind = _kind(status, words) if action.startswith(("fail", "error")) else BounceKind.DELAYED
    named = [_bare_address(block.get(name, "")) for name in ("original-recipient", "final-recipient")]
    recipient = next((address for address in named if "@" in address), "")
    return Bounce(kind=kind, recipient=recipient, status=status, diagnostic=(diagnostic or reason)[:300])


def _kind(status: str, words: str) -> BounceKind:
    """Judge a failure: hard only where the address is at fault."""
    if status in OWN_ADDRESS:
        return BounceKind.SOFT
    if status and not status.startswith(LITTLE):
        return BounceKind.HARD if status.startswith("5.1.") or status == "5.2.1" else BounceKind.SOFT
    return _by_words(words) or (BounceKind.HARD if status.startswith(FINAL) else BounceKind.SOFT)


def _by_words(words: str) -> BounceKind | None:
    said = NAMES.sub(" ", words)
    return next((kind for pattern, kind in JUDGEMENTS if pattern.search(said)), None)


def _better(status: str, words: str) -> str:
    """Return the status, or the one in the words where it says little."""
    if status and not status.startswith(LITTLE):
        return status
    found = [code for code in STATUS.findall(words) if code[0] != "2"]
    return next((code for code in found if not code.startswith(LITTLE)), status or next(iter(found), ""))


def _known(mail: IncomingMail, report: _Report, raw: bytes) -> Bounce | None:
    """Ask flufl.bounce, which knows what qmail, Exim, old Exchange and many others write."""
    if not _is_daemon(mail) and RETURN_SUBJECT.search(mail.subject) is None:
        return None
    clipped = b"\n".join(line[:MAX_LINE] for line in raw[:MAX_TEXT].splitlines())
    try:
        delayed, failed = all_failures(message_from_bytes(MESSAGE_PART.sub(b"text/x-", clipped), policy=_Brief()))
    except Exception:  # noqa: BLE001  its detectors are made for the mails they were made from
        return None
    addresses = sorted(address.decode("ascii", "replace") for address in failed or delayed)
    recipient = next((address for address in addresses if "@" in address), "")
    if not recipient:
        return None
    own = _own_words(report.prose)
    words = _said(own[max(own.find(recipient), 0) :])  # past the courtesies
    status = _better("", words)
    return Bounce(
        kind=_kind(status or "5.0.0", words) if failed else BounceKind.DELAYED,
        recipient=_bare_address(recipient),
        status=status,
        diagnostic=words[:300],
    )


def _told(mail: IncomingMail, report: _Report) -> Bounce | None:
    """Read a report that is only prose."""
    words = _said(_reason(report.prose))
    status = _better("", words)
    if not _looks_returned(mail, report.prose, sure=bool(status) or _by_words(words) is not None):
        return None
    late = LATE.search(f"{mail.subject}\n{words}") and not GIVEN_UP.search(report.prose) and status[:1] != "5"
    return Bounce(
        kind=BounceKind.DELAYED if late else _kind(status, words),
        recipient=_named(mail, report, words),
        status=status,
        diagnostic=words[:300],
    )


def _looks_returned(mail: IncomingMail, prose: str, *, sure: bool) -> bool:
    """Whether the subject calls it a bounce; where a person may sit behind postmaster@, the text must say so too."""
    if mail.null_return_path and RETURN_SUBJECT.search(mail.subject):
        return True
    titled = RETURN_TITLE.match(mail.subject) is not None
    phrase = RETURN_PHRASE.search(prose[:MAX_WORDS]) is not None
    return _is_daemon(mail) and ((titled and (sure or phrase)) or (phrase and sure))


def _own_words(prose: str) -> str:
    """Return a report's text without the mail it returns."""
    copy = COPY.search(prose)
    return prose[: copy.start()] if copy else prose


def _reason(prose: str) -> str:
    """Return the part of a text that gives the reason, without the advice after it."""
    own = _own_words(prose)
    label = REASON.search(own)
    after = own[label.end() :] if label else own
    told = _before_advice(after).strip(" \t\r\n:：/")
    return told if label is None or STATUS.search(told) or _by_words(told[:MAX_WORDS]) else own


def _before_advice(text: str) -> str:
    advice = ADVICE.search(text)
    return text[: advice.start()] if advice else text


def _said(text: str) -> str:
    return keepable(" ".join(text[:MAX_WORDS].split()))  # flufl's addresses may bear NULs


def _named(mail: IncomingMail, report: _Report, words: str) -> str:
    """Return the address a text says the mail did not reach."""
    ours = {_untagged(address) for address in (*mail.recipients, mail.from_address)}
    labelled = [report.prose[label.end() :][:200] for label in RECIPIENT_LABEL.finditer(report.prose)]
    texts = (report.failed_recipients, *labelled[:20], words, _said(_before_advice(_own_words(report.prose))))
    found = (address.lower() for text in texts for address in ADDRESS.findall(text))
    return next(
        (address for address in found if _untagged(address) not in ours and not address.startswith(MACHINES)), ""
    )


def _untagged(address: str) -> str:
    box, _, domain = address.lower().partition("@")
    return f"{box.partition('+')[0]}@{domain}"
