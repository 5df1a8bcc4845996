"""What we noted of a talk with a relay, in the words of staff."""

import re
from pathlib import Path

import pytest

from office.relay_wording import relay_text


@pytest.mark.parametrize(
    ("noted", "said"),
    [
        ("the relay closed the connection", "对方中途断开连接"),
        (" no answer within 30 s", "对方30秒内没有答复"),
        ("no connection to the relay: [Errno 111] refused", "连不上发信服务器（[Errno 111] refused）"),
        ("the connection broke: reset {by} peer", "连接中断（reset {by} peer）"),
        ("354 is no answer to RCPT", "对方的答复不合规范"),
        ("550 5.1.1 user unknown / 收件人不存在", "550 5.1.1 user unknown / 收件人不存在"),
        ("", ""),
    ],
)
def test_our_own_sentences_are_said_in_chinese_and_the_relay_s_words_stay(noted: str, said: str) -> None:
    assert relay_text(noted) == said


def test_every_sentence_that_we_note_of_an_attempt_has_chinese_words(house: Path) -> None:
    source = (house / "mail" / "dialogue.py").read_text(encoding="utf-8")
    judged = (house / "ledger" / "outbox.py").read_text(encoding="utf-8")
    noted = re.findall(r'(?:_fail|_spoilt|SMTPServerDisconnected)\(f?"([^"]+)"', source) + re.findall(
        r'EARLY = "([^"]+)"', source
    )
    noted += re.findall(r'"(its sender vanished [^"]+)"', judged)
    assert len(noted) > 10
    for sentence in noted:
        assert re.search(r"[一-鿿]", relay_text(sentence)), sentence
