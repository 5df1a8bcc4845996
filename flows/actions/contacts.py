"""Staff correct a unit's contact."""

from typing import Annotated

from pydantic import Field

from flows.actions.action import action
from flows.actions.fields import ROLES, ReasonForUnit, Role, Unit
from office import contact_changes
from office.refusals import Mistaken
from tasks.actions import Desk, Done

Which = Annotated[Role, Field(title="联系人类别", description="变更的是哪一类联系人。")]
Email = Annotated[str, Field(title="新邮箱", description="今后写往的邮箱。")]
Name = Annotated[str, Field(title="姓名", description="联系人姓名；可不填。")]
Phone = Annotated[str, Field(title="电话", description="如 022-12345678、13800138000；可不填。")]


@action(title="变更联系人", description="更正单位的联系人。新邮箱排在这一类的首位，新旧联系人都会收到邮件。")
def change_contact(
    desk: Desk, *, unit: Unit, role: Which, email: Email, name: Name = "", phone: Phone = "", reason: ReasonForUnit
) -> Done:
    """Make a contact the first of its role."""
    party = desk.unit(unit)
    named = contact_changes.read_named(ROLES[role], name, email, phone)
    changed = contact_changes.change_contact(desk.session, desk.house, desk.act, party, named, reason, works=True)
    if changed is None:
        raise Mistaken(
            "contact_already",
            f"{named.address} is the first {named.role} of {party.code} already",
            address=named.address,
            unit=party.name,
        )
    return Done(said=f"{party.name}的{role}已变更为 {named.address}。")
