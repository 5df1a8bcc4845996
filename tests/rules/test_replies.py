"""What servers say, as they say it, and what it means: both sides of each edge."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.replies import Blame, Reading, Stage, read_reply, retry_delay

CONNECT, AUTH, MAIL, RCPT, DATA, DOT = Stage
ALL_STAGES = list(Stage)
MINUTE = timedelta(minutes=1)

DEFERRED = [
    # Nobody's fault: greylisting, by name at any stage, whatever number goes with it
    (450, "4.2.0 <u@x.cn>: Recipient address rejected: Greylisted, see http://postgrey.example/", RCPT, Blame.NOBODY),
    (450, "4.7.1 <u@x.cn>: Recipient address rejected: Greylisting in effect", RCPT, Blame.NOBODY),
    (451, "4.7.1 Greylisting in action, please come back in 00:04:59", DOT, Blame.NOBODY),
    (451, "Graylisted, too many new senders at once", RCPT, Blame.NOBODY),
    (451, "灰名单，请稍后重试", RCPT, Blame.NOBODY),
    # ... unnamed: "try again later" to a recipient, not elsewhere
    (451, "4.7.1 Service unavailable - try again later", RCPT, Blame.NOBODY),
    (451, "4.7.1 Service unavailable - try again later", DATA, Blame.THROTTLE),
    (450, "Please try again later", RCPT, Blame.NOBODY),
    (451, "Temporary failure, please try later", RCPT, Blame.NOBODY),
    (451, "系统忙，请稍后再试", RCPT, Blame.NOBODY),
    # ... unless the words or the code say that we are too fast, or the server is down
    (451, "4.7.1 Too many messages, try again later", RCPT, Blame.THROTTLE),
    (421, "4.7.0 Try again later, closing connection. (RCPT) gsmtp", RCPT, Blame.THROTTLE),
    (451, "4.3.2 Please try again later", RCPT, Blame.THROTTLE),
    (451, "4.7.500 Server busy. Please try again later from [10.0.0.1]. (S77714)", RCPT, Blame.THROTTLE),
    # ... a mailbox busy or full
    (450, "Requested mail action not taken: mailbox unavailable", RCPT, Blame.NOBODY),
    (450, "4.2.1 The user you are trying to contact is receiving mail at a rate that prevents", RCPT, Blame.NOBODY),
    (450, "4.2.1 The user is receiving mail too quickly. Please resend later", RCPT, Blame.NOBODY),
    (451, "4.2.0 mailbox locked", DOT, Blame.NOBODY),
    (452, "4.2.2 The email account that you tried to reach is over quota", RCPT, Blame.NOBODY),
    (452, "4.2.2 用户邮箱空间超过限制", RCPT, Blame.NOBODY),
    (452, "Mailbox full", RCPT, Blame.NOBODY),
    (452, "<u@x.cn> user is over quota", RCPT, Blame.NOBODY),
    (452, "邮箱容量超过限制", RCPT, Blame.NOBODY),
    # ... not the server's own storage
    (452, "Requested action not taken: insufficient system storage", RCPT, Blame.THROTTLE),
    (452, "4.3.1 Insufficient system storage", MAIL, Blame.THROTTLE),
    # ... and what says nothing
    (451, "Requested action aborted: local error in processing", DOT, Blame.NOBODY),
    (451, "4.3.0 <u@x.cn>: Temporary lookup failure", RCPT, Blame.NOBODY),
    (450, "4.1.8 <o@x.cn>: Sender address rejected: Domain not found", RCPT, Blame.NOBODY),
    (450, "", RCPT, Blame.NOBODY),
    (452, "", RCPT, Blame.THROTTLE),
    (454, "", RCPT, Blame.THROTTLE),
    # Too fast: 网易
    (421, "HL:ICC 10.0.0.1, http://mail.163.com/help/help_spam_16.htm", CONNECT, Blame.THROTTLE),
    (450, "MI:DMC 163 smtp2,DNGowECpXg, please see http://mail.163.com/help/help_spam_16.htm", MAIL, Blame.THROTTLE),
    (451, "MI:SFQ", MAIL, Blame.THROTTLE),
    (451, "DT:SPM ,please try again", DOT, Blame.THROTTLE),
    (451, "RP:QRC try again later", RCPT, Blame.THROTTLE),
    (450, "please retry for mi:dmc@x.cn", RCPT, Blame.NOBODY),  # an address, not a code
    # ... 腾讯, 阿里
    (421, "Connection frequency limited", CONNECT, Blame.THROTTLE),
    (451, "发信频率超过限制", MAIL, Blame.THROTTLE),
    (450, "发件人当天发送的邮件数量已达上限", MAIL, Blame.THROTTLE),
    (454, "Transient reject by behaviour spam at DATA State(Connection IP address:10.0.0.1)", DOT, Blame.THROTTLE),
    (450, "系统繁忙，请稍后再试", RCPT, Blame.THROTTLE),
    (451, "超过", DOT, Blame.THROTTLE),
    # ... anybody
    (454, "Throttling failure: Maximum sending rate exceeded.", DOT, Blame.THROTTLE),
    (454, "Throttling failure: Daily message quota exceeded.", DOT, Blame.THROTTLE),
    (450, "4.7.1 Error: too much mail from 10.0.0.1", MAIL, Blame.THROTTLE),
    (452, "4.5.3 Error: too many recipients", RCPT, Blame.THROTTLE),
    (450, "4.7.28 unusual rate of mail", RCPT, Blame.THROTTLE),
    (451, "4.4.5 system congested", RCPT, Blame.THROTTLE),
    (451, "4.4.4 no route", RCPT, Blame.NOBODY),
    (451, "rate limited", DOT, Blame.THROTTLE),
    (451, "an accurate answer takes a moment", DOT, Blame.NOBODY),  # no "rate" in it
    (451, "<rate@throttle.example> cannot be checked now", RCPT, Blame.NOBODY),  # nor in a name
    (451, "version 4.7.1.2 is being installed", DOT, Blame.NOBODY),  # nor is this a code
    (451, "5.7.1 said by a server that contradicts itself", DOT, Blame.NOBODY),
    # ... 421, wherever it comes, but for a connection that timed out
    (421, "Service not available, closing transmission channel", CONNECT, Blame.THROTTLE),
    (421, "Service not available, closing transmission channel", MAIL, Blame.THROTTLE),
    (421, "4.4.2 relay.example Error: timeout exceeded", MAIL, Blame.RELAY),
    (421, "连接超时", DATA, Blame.RELAY),
    # The relay: at the door, and while logging in
    (451, "4.3.0 local error", CONNECT, Blame.RELAY),
    (454, "4.7.0 TLS not available due to local problem", CONNECT, Blame.RELAY),
    (451, "4.7.1 too many connections", CONNECT, Blame.THROTTLE),
    (454, "4.7.0 Temporary authentication failure", AUTH, Blame.RELAY),
    (421, "4.7.0 Too many failed logins", AUTH, Blame.RELAY),
]

REFUSED = [
    # No such recipient
    (550, "5.1.1 <u@x.cn>: Recipient address rejected: User unknown in virtual mailbox table", RCPT, Blame.ADDRESS),
    (550, "#5.1.0 Address rejected.", RCPT, Blame.ADDRESS),
    (550, "sorry, no mailbox here by that name (#5.1.1)", RCPT, Blame.ADDRESS),
    (554, "5.1.1 <u@x.cn>: user unknown", RCPT, Blame.ADDRESS),  # the longer code says more
    (550, "5.1.1 <u@x.cn> user unknown", DOT, Blame.ADDRESS),  # some answer only after the dot
    (556, "5.1.10 Recipient address has null MX", RCPT, Blame.ADDRESS),
    (550, "5.2.1 The email account that you tried to reach is disabled", RCPT, Blame.ADDRESS),
    (550, "5.4.1 Recipient address rejected: Access denied. AS(201806281)", RCPT, Blame.ADDRESS),
    (550, "5.4.4 Unable to route: domain not found", RCPT, Blame.ADDRESS),
    (550, "5.5.0 Requested action not taken: mailbox unavailable (S2017062302)", RCPT, Blame.ADDRESS),
    (550, "5.0.0 rejected", RCPT, Blame.ADDRESS),
    (550, "", RCPT, Blame.ADDRESS),
    (551, "User not local; please try <v@x.cn>", RCPT, Blame.ADDRESS),
    (553, "sorry, that domain isn't in my list", RCPT, Blame.ADDRESS),
    (501, "Syntax error in parameters", RCPT, Blame.ADDRESS),
    (550, "Unrouteable address", RCPT, Blame.ADDRESS),
    (550, "Invalid User", RCPT, Blame.ADDRESS),
    (550, "User suspended", RCPT, Blame.ADDRESS),
    (550, "Mailbox not found. http://service.mail.qq.com/cgi-bin/help?id=1&subtype=1&spam=0", RCPT, Blame.ADDRESS),
    (550, "The recipient may contain a non-existent account, please check the recipient address", RCPT, Blame.ADDRESS),
    (550, "用户zhangsan@x.cn不存在", RCPT, Blame.ADDRESS),
    (550, "收件人邮箱已停用", RCPT, Blame.ADDRESS),
    # ... not when it is our own address that is unknown, or nobody's
    (550, "5.1.8 <o@x.cn>: Sender address rejected: Domain not found", RCPT, Blame.POLICY),
    (553, "5.1.7 <o>: bad sender address syntax", MAIL, Blame.POLICY),
    (550, "5.1.0 <o@x.cn> unknown", MAIL, Blame.POLICY),
    (550, "Sender verify failed: no such user", RCPT, Blame.POLICY),
    (553, "Mail from must equal authorized user", MAIL, Blame.POLICY),
    (501, "Syntax error in parameters", MAIL, Blame.POLICY),
    (550, "no such user", MAIL, Blame.POLICY),
    (550, "no such user", CONNECT, Blame.POLICY),
    (550, "", DOT, Blame.POLICY),
    # They will not have us, or what we write
    (550, "5.7.1 <u@x.cn>: Recipient address rejected: User unknown", RCPT, Blame.POLICY),
    (550, "5.7.1 relaying denied", RCPT, Blame.POLICY),
    (550, "5.7.26 Unauthenticated email from x.cn is not accepted due to domain's DMARC policy", DOT, Blame.POLICY),
    (552, "5.7.0 This message was blocked because its content presents a potential security issue", DOT, Blame.POLICY),
    (554, "DT:SPM 163 smtp8,0c", DOT, Blame.POLICY),
    (554, "IP in blacklist", CONNECT, Blame.POLICY),
    (554, "Reject by behaviour spam at Rcpt State: too frequently sending", RCPT, Blame.POLICY),
    (554, "delivery error: no such user", RCPT, Blame.POLICY),
    (550, "MI:SPF 163 mx1", RCPT, Blame.POLICY),
    (550, "RP:FRL", RCPT, Blame.POLICY),
    (550, "User in blacklist", RCPT, Blame.POLICY),
    (550, "Relaying denied", RCPT, Blame.POLICY),
    (550, "SPF check failed", RCPT, Blame.POLICY),
    (550, "Mail content denied. http://service.mail.qq.com/", DOT, Blame.POLICY),
    (550, "拒收：该IP在黑名单中", RCPT, Blame.POLICY),
    (550, "5.3.0 Rejected by access table", RCPT, Blame.POLICY),
    (521, "Host does not accept mail", CONNECT, Blame.POLICY),
    # Too large, or malformed
    (552, "5.3.4 Message size exceeds fixed maximum message size", DOT, Blame.MESSAGE),
    (550, "5.3.4 Message too big for system", DOT, Blame.MESSAGE),
    (552, "Requested mail action aborted: exceeded mailsize limit", DOT, Blame.MESSAGE),
    (552, "Too much mail data", DOT, Blame.MESSAGE),
    (552, "", DOT, Blame.MESSAGE),
    (550, "邮件大小超过限制", DOT, Blame.MESSAGE),
    (554, "5.6.0 Invalid header found", DOT, Blame.MESSAGE),
    (550, "5.2.3 Message too long for this recipient", DOT, Blame.MESSAGE),
    # The mailbox is full: final, but the address is good
    (552, "5.2.2 <u@x.cn>: user is over quota", RCPT, Blame.NOBODY),
    (554, "5.2.2 mailbox full", DOT, Blame.NOBODY),
    (552, "Requested mail action aborted: exceeded storage allocation", RCPT, Blame.NOBODY),
    (552, "Requested mail action aborted: exceeded storage allocation", DOT, Blame.NOBODY),
    (552, "", RCPT, Blame.NOBODY),
    (550, "用户邮箱容量已满", RCPT, Blame.NOBODY),
    (550, "Quota exceeded", RCPT, Blame.NOBODY),
    # Our credentials
    (535, "5.7.8 Error: authentication failed", AUTH, Blame.AUTH),
    (550, "User has no permission", AUTH, Blame.AUTH),
    (504, "5.5.4 mechanism not supported", AUTH, Blame.AUTH),
    (534, "5.7.9 Please log in via your web browser", AUTH, Blame.AUTH),
    (530, "5.7.0 Must issue a STARTTLS command first", MAIL, Blame.AUTH),
    (538, "5.7.11 Encryption required", RCPT, Blame.AUTH),
    (553, "authentication is required,163 smtp2", MAIL, Blame.AUTH),
    (550, "5.7.1 Client was not authenticated, authentication required", RCPT, Blame.POLICY),
]

# A 5xx that will pass all the same
FOR_NOW = [
    (550, "Connection frequency limited. http://service.mail.qq.com/", CONNECT, Blame.THROTTLE),
    (550, "Domain frequency limited", RCPT, Blame.THROTTLE),
    (550, "发信频率过高", MAIL, Blame.THROTTLE),
    (550, "5.4.5 Daily user sending quota exceeded.", MAIL, Blame.THROTTLE),
    (550, "RP:TRC 163 smtp2", RCPT, Blame.THROTTLE),
    (550, "Mailbox unavailable or access denied", RCPT, Blame.NOBODY),  # Tencent: much mail for it of late
    (503, "5.5.1 Error: need MAIL command", RCPT, Blame.RELAY),
    (502, "5.5.2 Error: command not recognized", DATA, Blame.RELAY),
]


@pytest.mark.parametrize(("code", "text", "stage", "blame"), DEFERRED)
def test_what_a_4xx_means(code: int, text: str, stage: Stage, blame: Blame) -> None:
    reading = read_reply(code, text, stage)
    assert (reading.blame, reading.final) == (blame, False)


@pytest.mark.parametrize(("code", "text", "stage", "blame"), REFUSED)
def test_what_a_5xx_means(code: int, text: str, stage: Stage, blame: Blame) -> None:
    assert read_reply(code, text, stage) == Reading(final=True, blame=blame, retry_after=None)


@pytest.mark.parametrize(("code", "text", "stage", "blame"), FOR_NOW)
def test_a_5xx_that_will_pass(code: int, text: str, stage: Stage, blame: Blame) -> None:
    reading = read_reply(code, text, stage)
    assert (reading.blame, reading.final) == (blame, False)


@pytest.mark.parametrize("stage", ALL_STAGES)
def test_what_means_the_same_wherever_it_is_said(stage: Stage) -> None:
    for code in (530, 534, 535, 538):
        assert read_reply(code, "no", stage) == Reading(final=True, blame=Blame.AUTH)
    if stage is not Stage.AUTH:
        assert read_reply(554, "no", stage).blame is Blame.POLICY
        assert read_reply(550, "5.7.1 no", stage).blame is Blame.POLICY
        assert read_reply(421, "bye", stage).blame is Blame.THROTTLE


@given(
    code=st.integers(-1, 700),
    text=st.text() | st.from_regex(r"\d{1,30}-?\d\.\d{1,4}\.\d{1,4} [a-z ]{0,9}\d{0,9} ?(min|秒后重试)?"),
    stage=st.sampled_from(Stage),
)
def test_anything_can_be_read(code: int, text: str, stage: Stage) -> None:
    reading = read_reply(code, text, stage)
    assert not reading.final or 500 <= code < 600
    assert 400 <= code < 600 or reading == Reading(final=False, blame=Blame.RELAY)
    assert reading.retry_after is None or MINUTE <= reading.retry_after <= timedelta(days=1)
    assert reading.blame is not Blame.ADDRESS or stage in {RCPT, DATA, DOT}


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("4.2.0 Greylisted, please try again in 300 seconds", timedelta(seconds=300)),
        ("Greylisted for 5 minutes", timedelta(minutes=5)),
        ("4.7.1 Greylisting in action, please come back in 00:04:59", timedelta(minutes=4, seconds=59)),
        ("resend after 2 min", timedelta(minutes=2)),
        ("Retry in 1h", timedelta(hours=1)),
        ("please wait 90s and try again", timedelta(seconds=90)),
        ("too many messages, retry after 2 hours", timedelta(hours=2)),
        ("请5分钟后重试", timedelta(minutes=5)),
        ("请在 10 分钟之后再次发送", timedelta(minutes=10)),
        ("请保持邮件队列，两分钟后重投邮件", timedelta(minutes=2)),
        ("请于十五分钟后重新发送", timedelta(minutes=15)),
        ("二十分钟后再试", timedelta(minutes=20)),
        ("请1小时后重试", timedelta(hours=1)),
        ("半小时后重试", timedelta(minutes=30)),
        ("请两个小时后重试", timedelta(hours=2)),
        ("90秒后重试", timedelta(seconds=90)),
        # 网易 documents what it does not say
        ("DT:SPM ,please try again", timedelta(minutes=2)),
        ("MI:SFQ", timedelta(minutes=15)),
        # within reason: a minute, a day
        ("try again in 59 seconds", MINUTE),
        ("try again in 61 seconds", timedelta(seconds=61)),
        ("try again in 0 seconds", MINUTE),
        ("try again in 24 hours", timedelta(days=1)),
        ("try again in 25 hours", timedelta(days=1)),
        ("try again in 3 days", timedelta(days=1)),
        # nothing of the kind
        ("try again later", None),
        ("too many messages in the last 10 minutes", None),
        ("try again later (limit: 100 in 15 minutes)", None),
        ("15分钟内的发信数量超过限制，请稍后重试", None),
        ("connection closed after 300 seconds", None),
        ("retry <5 minutes@x.cn>", None),
        ("try again in 5 millennia", None),
        ("", None),
    ],
)
def test_when_a_reply_asks_us_to_come_again(text: str, wait: timedelta | None) -> None:
    assert read_reply(451, text, RCPT).retry_after == wait


def test_a_final_refusal_asks_for_nothing() -> None:
    assert read_reply(550, "5.1.1 no such user, try again in 5 minutes", RCPT).retry_after is None
    assert read_reply(550, "Domain frequency limited, retry after 5 minutes", RCPT).retry_after == 5 * MINUTE


@pytest.mark.parametrize(
    ("attempts", "stated", "wait"),
    [
        (0, None, 6),
        (1, None, 6),
        (2, None, 12),
        (3, None, 24),
        (6, None, 192),
        (7, None, 240),  # 384 without the cap
        (10_000, None, 240),
        # What the reply states holds the first time, shorter or longer
        (1, 2, 2),
        (1, 15, 15),
        # and later only if it is longer
        (2, 2, 12),
        (2, 15, 15),
        (10, 1440, 1440),
    ],
)
def test_how_long_to_wait(attempts: int, stated: int | None, wait: int) -> None:
    assert retry_delay(attempts, None if stated is None else stated * MINUTE) == wait * MINUTE


def test_the_first_retry_finds_a_greylist_open() -> None:
    assert retry_delay(1, None) > timedelta(minutes=5)
