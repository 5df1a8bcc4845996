"""What we noted of a talk with a relay, for staff: our own sentences in Chinese, the relay's words as they are."""

import re

# Our own, as mail/dialogue.py and mail/smtp.py note them; what is kept of the other side stands in the group.
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
