"""The tag by which everything of a campaign is found on the Prefect server: deployments, runs, automations."""

from collections.abc import Iterable

_PREFIX = "campaign:"


def campaign_tag(campaign: str) -> str:
    """Return the tag that every deployment and run of a campaign bears."""
    return _PREFIX + campaign


def campaigns_of(tags: Iterable[str]) -> list[str]:
    """Return the campaigns that tags name."""
    return [tag.removeprefix(_PREFIX) for tag in tags if tag.startswith(_PREFIX)]


def campaign_of(tags: Iterable[str]) -> str:
    """Return the campaign that tags name; empty where they name none."""
    return next(iter(campaigns_of(tags)), "")
