"""What a reconciliation found and did, as an artifact that staff read; where nothing was found there is none."""

from collections.abc import Mapping, Sequence

from prefect.artifacts import acreate_markdown_artifact

from office import wording

NAMED = 20  # of each kind; the rest are counted
KEY = "reconcile"


async def publish_findings(found: Mapping[str, Sequence[str]]) -> None:
    """Publish what was found and done, under a key that stays the same."""
    if found:
        await acreate_markdown_artifact(markdown=in_words(found), key=KEY, description=wording.RECONCILIATION)


def in_words(found: Mapping[str, Sequence[str]]) -> str:
    """Return what was found as markdown: a paragraph a kind, the first of each by name."""
    parts = []
    for kind, things in found.items():
        named = [f"- {thing}" for thing in things[:NAMED]]
        more = [f"- {wording.MORE.format(count=len(things) - NAMED)}"] if len(things) > NAMED else []
        parts.append("\n".join([f"**{wording.RECONCILED[kind]}：{len(things)}**", "", *named, *more]))
    return "\n\n".join(parts)
