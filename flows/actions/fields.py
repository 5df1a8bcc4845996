"""The fields of the forms, each with its title and a line of help, as staff read them in the run UI."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from office import wording

NAME = 60  # characters of whoever asks


Campaign = Annotated[str, Field(title="活动代码", description="如 safety-month-2020；只有一个活动正在进行时可不填。")]
Unit = Annotated[str, Field(title="单位", description="单位代码（如 BH001）或单位全称。")]
Units = Annotated[
    str,
    Field(
        title="单位（可多家）",
        description="单位代码或全称，多家用逗号隔开；也可填类别（如 街镇），或填“全部”。",
    ),
]
Deliverable = Annotated[str, Field(title="材料", description="材料名称或附件号，如 活动计划表、附件2。")]
Occurrence = Annotated[str, Field(title="期次", description="只有按期报送的材料需要填，如 2023-07-07；其他材料不填。")]
RequestedBy = Annotated[str, Field(title="经办人", description="办理人的姓名，记入台账。", max_length=NAME)]
Reason = Annotated[str, Field(title="理由", description="为什么这样办理、谁同意的，记入台账。")]
ReasonForUnit = Annotated[
    str, Field(title="理由", description="为什么这样办理、谁同意的；会写进发给单位的邮件，并记入台账。")
]
Submission = Annotated[
    int, Field(title="报送件编号", description="待办提示里列出的编号；填了编号，单位和材料可不填。0 表示最近一次报送。")
]
UnitOrNumber = Annotated[str, Field(title="单位", description="单位代码或全称；填了报送件编号的可不填。")]
DeliverableOrNumber = Annotated[str, Field(title="材料", description="材料名称或附件号；填了报送件编号的可不填。")]
Received = Annotated[
    datetime, Field(title="收到时间", description="实际收到的时间，如 2020-06-01T10:00，不是现在登记的时间。")
]
Mail = Annotated[int, Field(title="邮件编号", description="`muster mails` 列出的编号。")]
Request = Annotated[int, Field(title="申请编号", description="待办提示里列出的编号。")]
Occasion = Annotated[str, Field(title="事项编号", description="如 escalate:2:2020-06-11；只有一项等待审批时可不填。")]
NewDay = Annotated[date, Field(title="新的截止日期", description="如 2020-06-08（含当日），须晚于现在的截止时间。")]
MaybeDay = date | None
Role = Literal["联络员", "值班", "负责人"]
Channel = Literal["电话", "纸质", "当面"]
ROLES = {said: role for role, said in wording.ROLE.items()}
CHANNELS = {said: channel for channel, said in wording.CHANNEL.items()}


def day_text(day: date) -> str:
    """Return a day as staff write it: 6月4日."""
    return f"{day.month}月{day.day}日"
