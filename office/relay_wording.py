"""What we noted of a talk with a relay, for staff: our own sentences in Chinese, the relay's words as they are."""

import re

# Our own, as mail/dialogue.py, mail/smtp.py and ledger/outbox.py note them; a group holds what the other side said.
_SAID = (
    (r"the relay closed the connection after letting us in", "登录后对方即断开连接"),
    (r"the relay closed the connection", "对方中途断开连接"),
    (r"the connection broke: (.+)", "连接中断（{}）"),
    (r"no connection to the relay: (.+)", "连不上发信服务器（{}）"),
    (r"the relay would not have us: (.+)", "发信服务器拒绝登录（{}）"),
    (r"no answer within (.+) s", "对方{}秒内没有答复"),
    (r"the relay said goodbye", "对方结束了会话"),
    (r"the relay answered before it had the whole message", "邮件没有传完，对方已先答复"),
    (r"the relay said more than it was asked|the relay spoke out of turn", "对方的答复不合规范"),
    (r"a reply of two codes|a reply without end|no reply: .+|.+ is no answer to .+", "对方的答复不合规范"),
    (r"the relay refused RSET", "对方拒绝继续会话"),
    (r"its sender vanished after DATA had begun; it may have left", "发信进程中断时邮件正在传送，可能已发出"),
    (r"its sender vanished before DATA; it goes back to the queue", "发信进程中断，邮件尚未传送，重新排队"),
    (r"an attempt before may have left", "此前的一次可能已发出"),
    (r"dropped", "连接由本系统断开"),
    (r"the address cannot be written on an envelope: (.+)", "地址写法无效（{}）"),
    (r"the sender's address cannot be written on an envelope: (.+)", "发件地址写法无效（{}）"),
)


def relay_text(said: str) -> str:
    """Return what came of an attempt, for staff: 对方中途断开连接; the relay's own words stay as they are."""
    for pattern, text in _SAID:
        if (found := re.fullmatch(pattern, said.strip(), re.DOTALL)) is not None:
            return text.format(*found.groups())
    return said
