"""What is deployed, as data: one entry a flow, with all that the run UI shows of it and how its runs get along.

A new kind of step is one entry more in :data:`STEPS`; what is there once for all campaigns stands in :func:`for_house`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from importlib import import_module
from typing import Any

from prefect import Flow

from flows import alarm, tell_approvers
from flows.actions import ACTIONS, Action
from office import wording
from settings import settings
from tasks.tags import campaign_tag

HOUSE_WIDE = "house"  # tag of what is there once for all campaigns


class Collision(StrEnum):
    """What becomes of a run that would be one too many; the names are Prefect's."""

    ENQUEUE = "ENQUEUE"  # it waits its turn: what happened since the run under way began is not lost with it
    CANCEL_NEW = "CANCEL_NEW"  # it is dropped: the next one comes by itself


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """One deployment as it should be. ``every`` is set where it runs by itself at an interval.

    ``name`` is what the run UI's lists show first, the flow's stands small below it: so it is said in staff's words.
    Not more than ``at_once`` of its runs are under way: two drains of one campaign would only wait for each other.
    """

    flow: str
    name: str
    entrypoint: str  # dotted: a path would put its folder first on sys.path, where it shadows our modules
    description: str
    tags: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    at_once: int | None = 1
    collision: Collision = Collision.ENQUEUE
    every: timedelta | None = None

    @property
    def full_name(self) -> str:
        """Its name as Prefect shows it."""
        return f"{self.flow}/{self.name}"

    def load(self) -> Flow[..., Any]:
        """Return the flow behind it."""
        module, _, name = self.entrypoint.rpartition(".")
        flow: Flow[..., Any] = getattr(import_module(module), name)
        return flow


# Why ENQUEUE for the steps: runs of one kind are started by the timetable, by events and by staff. One that is dropped
# may have been asked for by a mail that came in after the run under way had looked; one that waits costs a process.
# It also leaves "cancelled" to people: a run of the timetable that is cancelled was cancelled by somebody.
STEPS = {
    "launch": "冻结本次活动的单位名单和应报事项，向各单位下发通知及表格。重复运行只会通知新加入的单位。",
    "collect": "收取邮箱中的来信，核对、登记各单位报送的材料，并逐一回复。随时可以运行，重复运行不会重复登记。",
    "remind": "向仍有材料未报的单位发送提醒；已报送的单位不会收到。晚运行只发最近应发的一次，不补发过期的提醒。",
    "escalate": "按督办层级，对逾期未报的事项逐级催办；需要审批的名单先送审批，同意后才发出。",
    "consolidate": "生成汇总表和报送情况说明，报送牵头办公室；活动截止时向各单位发送办结通知。",
    "deliver": "发送等待中的邮件：放行之后、进入发送时段之后，或上次发送中断之后。不会重复发送。",
}


def for_campaign(campaign: str, title: str) -> tuple[Deployed, ...]:
    """Return what a campaign has: a deployment of each kind of step."""
    return tuple(
        Deployed(
            flow=kind,
            name=f"{wording.STEP[kind]} · {campaign}",
            entrypoint=f"flows.{kind}.{kind}",
            description=f"**{wording.STEP[kind]}** · {title}\n\n{text}",
            tags=(campaign_tag(campaign), kind),
            parameters={"campaign": campaign},
        )
        for kind, text in STEPS.items()
    )


def for_house() -> tuple[Deployed, ...]:
    """Return what is there once for all campaigns: reconciling, telling people, and what staff fill in forms for."""
    return (_reconcile(), *_tellers(), *map(_of_staff, ACTIONS))


def _reconcile() -> Deployed:
    return Deployed(
        flow="reconcile",
        name=wording.FLOW["reconcile"],
        entrypoint="flows.reconcile.reconcile",
        description="**对账**\n\n每隔几分钟核对一次：补建缺失的计划运行，补办到期未办的节点，"
        "把进程已经中断的运行标记为异常，并让等待处理的来信和等待发送的邮件得到处理。没有问题时不留记录。",
        tags=(HOUSE_WIDE, "reconcile"),
        collision=Collision.CANCEL_NEW,
        every=timedelta(seconds=settings().reconcile_s),
    )


def _tellers() -> Iterator[Deployed]:
    """Yield what automations run to tell people: a run too many waits, for it may have more to tell."""
    for module in (alarm, tell_approvers):
        name = module.__name__.rpartition(".")[2]
        yield Deployed(
            flow=name,
            name=module.TITLE,
            entrypoint=f"{module.__name__}.{name}",
            description=module.DESCRIPTION,
            tags=(HOUSE_WIDE, name),
        )


def _of_staff(action: Action) -> Deployed:
    """Return an action of staff: any number at once, as at the counter; the ledger lets one write at a time."""
    return Deployed(
        flow=action.flow.name,
        name=action.title,
        entrypoint=action.entrypoint,
        description=f"**{action.title}**\n\n{action.description}",
        tags=(HOUSE_WIDE, "action"),
        at_once=None,
    )
