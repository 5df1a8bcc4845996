"""Staff change what units owe: a later deadline, or nothing any more."""

from flows.actions.action import action
from flows.actions.fields import Deliverable, NewDay, Occurrence, ReasonForUnit, Units, day_text
from office import exempting, extending
from office.choosing import deliverable_of, names_in
from tasks.actions import Desk, Done


@action(
    title="延期",
    description="给一家或多家单位的某项材料另定更晚的截止时间。还没有报送的单位会收到邮件，提醒和催办按新的时间进行。",
)
def extend(
    desk: Desk,
    *,
    unit: Units,
    deliverable: Deliverable,
    until: NewDay,
    occurrence: Occurrence = "",
    reason: ReasonForUnit,
) -> Done:
    """Give units a later deadline for a material."""
    about = deliverable_of(desk.book.campaign, deliverable)
    extending.extend(
        desk.session,
        desk.house,
        desk.act,
        desk.campaign,
        about.key,
        to=names_in(unit),
        until=until,
        grounds=reason,
        occurrence=occurrence or None,
    )
    return Done(said=f"已将{unit}的《{about.title}》延期至{day_text(until)}。")


@action(
    title="免报",
    description="免去一家或多家单位的某项材料。单位会收到邮件，今后不再提醒，也不计入报送率。",
)
def exempt(
    desk: Desk, *, unit: Units, deliverable: Deliverable, occurrence: Occurrence = "", reason: ReasonForUnit
) -> Done:
    """Exempt units from a material."""
    about = deliverable_of(desk.book.campaign, deliverable)
    exempting.exempt(
        desk.session,
        desk.house,
        desk.act,
        desk.campaign,
        about.key,
        to=names_in(unit),
        grounds=reason,
        occurrence=occurrence or None,
    )
    return Done(said=f"已免去{unit}的《{about.title}》。")
