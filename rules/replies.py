"""What a mail server's reply means: come again or not, when, and whose fault it is."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Stage(StrEnum):
    """Where in the conversation a reply came: to the command named, or (DOT) to the whole message."""

    CONNECT = "connect"  # greeting, EHLO, STARTTLS
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"


class Blame(StrEnum):
    """Whom a reply concerns, and so what has to change before the next attempt."""

    NOBODY = "nobody"  # greylisting, mailbox busy or full: only time helps, nothing else waits for it
    THROTTLE = "throttle"  # we are too fast for the provider: the lane slows down
    ADDRESS = "address"  # no such recipient: the next contact is written to
    MESSAGE = "message"  # too large, or malformed
    POLICY = "policy"  # they will not have us or what we write: the lane stops and alarms; the address is good
    AUTH = "auth"  # our credentials are refused: everything stops
    RELAY = "relay"  # no connection, or one that broke


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A reply understood. ``final``: coming again will not help. ``retry_after``: what the reply itself states."""

    final: bool
    blame: Blame
    retry_after: timedelta | None = None


PERMANENT = 500
FIRST_RETRY = timedelta(minutes=6)  # greylisting opens after five
SLOWEST_RETRY = timedelta(hours=4)
DOUBLINGS = 10  # past the cap long before; keeps the power small
STATED_LEAST, STATED_MOST = timedelta(minutes=1), timedelta(days=1)

# Addresses and links hold words that mean nothing: <rate@unknown.example>.
NAMES = re.compile(r"<[!-~]*>|[!-~]+@[!-~]+|https?://[!-~]+")
ENHANCED = re.compile(r"(?<![\d.])([45])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


GREYLISTED = _words(r"gr[ea]y-?\s?list", "灰名单")
LATER = _words(r"try(ing)? (it )?(again|later)", r"retry", r"come back", r"later", "稍后", "重试", "重投", "重发")
# A limit on what we send; a limit on what the mailbox holds is FULL, one on the message SIZE.
LIMIT = _words(
    r"(sending|daily|hourly|message|outbound|connection)s?( \w+){0,3} (quota|limit|rate)",
    r"too (many|much|fast|quick|frequent)",
    r"frequen(cy|tly)",
    r"\brate\b",
    r"rate-?limit",
    r"throttl",
    r"concurren",
    "频率|频繁|过快|发信量|发信数|发送量|当天|当日|每日|每天|并发|连接数",
)
CROWDED = _words(r"(server|system) (is )?(too )?busy", r"exceed", r"(behaviou?r|unexpected) (spam|sending)")
CROWDED_ZH = _words("超过|超出|过多|繁忙|上限|限制")
FULL = _words(
    r"(mailbox|inbox|account|user|recipient)\b.{0,30}\b(full|quota|storage|busy|locked)",
    r"over ?quota",
    r"quota (is )?(exceeded|full)",
    r"exceed\w* .{0,20}(quota|storage)",
    "(邮箱|信箱|用户|收件人).{0,12}(满|容量|空间|锁定)",
    "(容量|空间).{0,6}(满|不足|超)",
)
SIZE = _words(
    r"(message|mail|content|attachment)\W?(size|length)",
    r"size (limit|exceed)",
    r"too much mail data",
    r"(message|mail|content|attachment)\b.{0,20}\btoo (large|big|long)",
    "(邮件|附件|信件).{0,6}(大小|过大|太大)",
)
TIMED_OUT = _words(r"time-?\s?(d )?out", r"idle", "超时")
NO_TLS = _words(r"\btls\b", "starttls")
NO_USER = _words(
    r"(user|recipient|mailbox|account|address|local part)\b.{0,30}\b(unknown|not found|not exist|unavailable)",
    r"(user|recipient|mailbox|account)\b.{0,30}\b(suspended|disabled|inactive|closed|deleted)",
    r"(unknown|invalid|no such|non-?existent|unrout(e)?able|undeliverable) .{0,12}"
    r"(user|recipient|mailbox|account|address|rcpt|local)",
    r"does ?n.t exist|does not exist|no such|no mailbox|no longer",
    r"recipient (address )?(was )?rejected",
    "(用户|收件人|地址|邮箱|帐号|账号).{0,8}(不存在|无效|停用|禁用|注销|冻结)|不存在|查无|无此",
)
OUR_SENDER = _words(
    r"sender (address |domain )?(was |is )?(reject|den|verif|not|unknown|invalid|block|black)",
    r"mail ?from",
    "发件人|发信人",
)
UNWELCOME = _words(
    r"spam|spf|dkim|dmarc|\brbl\b|reputation",
    r"(black|block|deny)-?\s?list|blocked|banned|denied|prohibited|not (allowed|permitted|authorized)",
    r"content (reject|not)|polic(y|ies)|relaying",
    "垃圾|黑名单|拒收|拒绝|禁止|违规|反垃圾",
)
LOGIN_FIRST = _words(r"authentication (is )?required", r"must authenticate", r"(please|need to) (log ?in|authenticate)")
NETEASE = _words(r"\b(hl|mi|rp|dt|wm):[a-z]{3}\b")
NETEASE_DAY_IS_FULL = _words(r"\b(mi:stc|rp:trc|rp:rcl)\b")
# Tencent's words for a mailbox that got much mail of late, though its 550 sounds final.
TENCENT_FLOODED = _words(r"mailbox unavailable or access denied")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A row of the tables below: matches where everything it names is so."""

    blame: Blame
    codes: frozenset[int] | None = None
    enhanced: re.Pattern[str] | None = None  # of the last two numbers, as in ``7.1``; "" stands for none given
    words: re.Pattern[str] | None = None
    stages: frozenset[Stage] | None = None
    for_now: bool = False  # a 5xx whose words say that it will pass

    def matches(self, code: int, enhanced: str, text: str, stage: Stage) -> bool:
        """Whether the row speaks of this reply."""
        return (
            (self.codes is None or code in self.codes)
            and (self.stages is None or stage in self.stages)
            and (self.enhanced is None or self.enhanced.fullmatch(enhanced) is not None)
            and (self.words is None or self.words.search(text) is not None)
        )


ANSWERED = frozenset({Stage.RCPT, Stage.DATA, Stage.DOT})
AT_RCPT, AT_CONNECT, AT_AUTH = frozenset({Stage.RCPT}), frozenset({Stage.CONNECT}), frozenset({Stage.AUTH})

# The first row that matches decides. 4xx:
DEFERRALS = (
    Rule(blame=Blame.RELAY, stages=AT_AUTH),
    Rule(blame=Blame.NOBODY, words=GREYLISTED),  # though many say 4.7.1
    # One mailbox is busy, full, or gets mail faster than it likes: others of the lane are not concerned.
    Rule(blame=Blame.NOBODY, enhanced=re.compile(r"2\.\d+"), codes=frozenset({450, 451, 452})),
    Rule(blame=Blame.RELAY, words=NO_TLS, stages=AT_CONNECT),
    Rule(blame=Blame.THROTTLE, words=NETEASE),
    Rule(blame=Blame.THROTTLE, words=LIMIT),
    Rule(blame=Blame.NOBODY, words=FULL, codes=frozenset({450, 451, 452})),
    Rule(blame=Blame.RELAY, enhanced=re.compile(r"4\.2"), codes=frozenset({421})),
    Rule(blame=Blame.RELAY, words=TIMED_OUT, codes=frozenset({421})),
    Rule(blame=Blame.THROTTLE, words=CROWDED),
    Rule(blame=Blame.THROTTLE, words=CROWDED_ZH),
    Rule(blame=Blame.THROTTLE, enhanced=re.compile(r"3\.[12]|4\.5|5\.3")),
    Rule(blame=Blame.NOBODY, words=LATER, codes=frozenset({450, 451}), stages=AT_RCPT),  # greylisting unnamed
    Rule(blame=Blame.THROTTLE, enhanced=re.compile(r"7\.\d+")),
    # 452 without a word of a mailbox is the server's own storage.
    Rule(blame=Blame.THROTTLE, codes=frozenset({421, 452, 454})),
    Rule(blame=Blame.RELAY, stages=AT_CONNECT),
    Rule(blame=Blame.NOBODY),
)

# 5xx. An enhanced code says more than the three digits, and both say more than words.
REFUSALS = (
    Rule(blame=Blame.AUTH, stages=AT_AUTH),
    Rule(blame=Blame.AUTH, codes=frozenset({530, 534, 535, 538})),
    # 5.1.7 and 5.1.8 are about the sender's address, which is ours, whenever they are said.
    Rule(blame=Blame.POLICY, enhanced=re.compile(r"1\.[78]")),
    Rule(blame=Blame.ADDRESS, enhanced=re.compile(r"1\.\d+"), stages=ANSWERED),
    Rule(blame=Blame.NOBODY, enhanced=re.compile(r"2\.2")),
    Rule(blame=Blame.ADDRESS, enhanced=re.compile(r"2\.1|4\.[14]"), stages=ANSWERED),  # disabled; no route, no host
    Rule(blame=Blame.MESSAGE, enhanced=re.compile(r"3\.4|2\.3|6\.\d+")),
    Rule(blame=Blame.THROTTLE, enhanced=re.compile(r"4\.5"), for_now=True),
    Rule(blame=Blame.POLICY, enhanced=re.compile(r"7\.\d+")),
    Rule(blame=Blame.POLICY, codes=frozenset({554})),
    Rule(blame=Blame.AUTH, words=LOGIN_FIRST),
    Rule(blame=Blame.NOBODY, words=TENCENT_FLOODED, for_now=True),
    Rule(blame=Blame.MESSAGE, words=SIZE),
    Rule(blame=Blame.THROTTLE, words=NETEASE_DAY_IS_FULL, for_now=True),
    Rule(blame=Blame.THROTTLE, words=LIMIT, for_now=True),
    Rule(blame=Blame.NOBODY, words=FULL),
    # Nobody told the server a size before DATA: 552 at RCPT is a full mailbox.
    Rule(blame=Blame.NOBODY, codes=frozenset({552}), stages=AT_RCPT),
    Rule(blame=Blame.MESSAGE, codes=frozenset({552})),
    Rule(blame=Blame.POLICY, words=NETEASE),
    Rule(blame=Blame.POLICY, words=OUR_SENDER),
    Rule(blame=Blame.ADDRESS, words=NO_USER, stages=ANSWERED),
    Rule(blame=Blame.POLICY, words=UNWELCOME),
    Rule(blame=Blame.RELAY, codes=frozenset({500, 502, 503, 504}), for_now=True),  # we lost step with each other
    Rule(
        blame=Blame.ADDRESS,
        codes=frozenset({501, 550, 551, 553, 556}),
        enhanced=re.compile(r"(0\.0)?"),
        stages=AT_RCPT,
    ),
    Rule(blame=Blame.POLICY),  # refused, and nobody can tell why: a person has to look
)


def read_reply(code: int, text: str, stage: Stage) -> Reading:
    """Return what a reply of 400 and above means at its stage.

    A 5xx is final but for a few whose words say that they pass (Tencent's "550 Connection frequency limited").
    Any other code is no answer to what was asked: the relay and we lost step with each other.
    """
    said = NAMES.sub(" ", text).lower()
    if not PERMANENT - 100 <= code < PERMANENT + 100:
        return Reading(final=False, blame=Blame.RELAY)
    rule = _rule(code, said, stage)
    final = code >= PERMANENT and not rule.for_now
    return Reading(final=final, blame=rule.blame, retry_after=None if final else _stated(said))


def _rule(code: int, said: str, stage: Stage) -> Rule:
    enhanced = next((f"{m[2]}.{m[3]}" for m in ENHANCED.finditer(said) if m[1] == str(code)[0]), "")
    table = REFUSALS if code >= PERMANENT else DEFERRALS
    return next(rule for rule in table if rule.matches(code, enhanced, said, stage))


def retry_delay(attempts: int, stated: timedelta | None) -> timedelta:
    """Return how long to wait after ``attempts`` attempts: 6 minutes, then doubling, at most 4 hours.

    The first time a reply's own statement holds. Later it can only lengthen the wait: a server that says "2 minutes"
    each time is not asked every two minutes for days.
    """
    backoff = min(FIRST_RETRY * (1 << min(max(attempts - 1, 0), DOUBLINGS)), SLOWEST_RETRY)
    if stated is None:
        return backoff
    return stated if attempts <= 1 else max(stated, backoff)


UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
UNITS_ZH = {"秒": UNITS["s"], "分": UNITS["m"], "小": UNITS["h"], "天": UNITS["d"]}
DIGITS_ZH = {"半": 0.5, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
TEN_ZH = 10

AGAIN = r"(?:again|retry|try|back|resend|wait|list(?:ed|ing)?)"
# "try again in 300 seconds", "resend after 2 min", "greylisted for 5 minutes"; not "too many in 15 minutes"
IN_UNITS = re.compile(
    AGAIN + r"\b[^\d.;]{0,30}(\d{1,6}) ?(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)(?![a-z])"
)
# as milter-greylist writes: come back in 00:04:59
ON_THE_CLOCK = re.compile(AGAIN + r"\b[^\d.;]{0,30}(\d{1,2}):(\d\d):(\d\d)(?!\d)")
# 请5分钟后重试、两分钟后重投; not 15分钟内
IN_CHINESE = re.compile(
    r"(\d{1,6}|[半一二两三四五六七八九十]{1,3})\s*个?(秒|分|小时|天)钟?(?:(?:之|以)?后[^。；;]{0,8}(?:重|再)|再)"
)
# What 网易 documents for a code instead of saying it.
DOCUMENTED = ((re.compile(r"\bdt:spm\b"), timedelta(minutes=2)), (re.compile(r"\bmi:sfq\b"), timedelta(minutes=15)))

READERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], timedelta]], ...] = (
    (ON_THE_CLOCK, lambda m: timedelta(hours=int(m[1]), minutes=int(m[2]), seconds=int(m[3]))),
    (IN_UNITS, lambda m: int(m[1]) * UNITS[m[2][0]]),
    (IN_CHINESE, lambda m: _number(m[1]) * UNITS_ZH[m[2][0]]),
)


def _stated(said: str) -> timedelta | None:
    """Return how long the reply asks us to wait, within reason; None if it does not say."""
    for pattern, read in READERS:
        if match := pattern.search(said):
            return min(max(read(match), STATED_LEAST), STATED_MOST)
    return next((wait for pattern, wait in DOCUMENTED if pattern.search(said)), None)


def _number(written: str) -> float:
    """Return a number as Chinese write it, up to 99."""
    if written.isdecimal():
        return int(written)
    tens, ten, ones = written.rpartition("十")
    if not ten:
        return DIGITS_ZH.get(written[:1], 1)
    return DIGITS_ZH.get(tens, 1) * TEN_ZH + DIGITS_ZH.get(ones, 0)
