"""What staff see of a campaign in the run UI: pages kept current by key, a new version only where something changed."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from prefect.artifacts import acreate_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from prefect.client.schemas.objects import ArtifactCollection

from ledger.errors import UnknownCampaign
from office.views.all_pages import all_pages
from office.views.pages import Page
from tasks.desk import premises

ARTIFACT = "/v2/artifacts/artifact/{id}"  # in the run UI, whatever its host
logger = logging.getLogger(__name__)


async def publish_views(campaign: str, moment: datetime) -> Mapping[str, str]:
    """Publish what changed of a campaign's pages; return by title where each page's latest version stands in the UI.

    Never raises: what was done stands in the ledger, and the next run draws the pages anew.
    """
    try:
        pages = await asyncio.to_thread(_draw, campaign, moment)
        return await _publish(pages)
    except UnknownCampaign:  # not launched yet: there is nothing to show
        return {}
    except Exception:  # whatever keeps a page from being drawn or Prefect from taking it
        logger.exception("the pages of %s were not published, the next run does it", campaign)
        return {}


def _draw(campaign: str, moment: datetime) -> tuple[Page, ...]:
    house = premises()
    with house.ledger.reading() as session:
        return all_pages(session, house, campaign, moment)


async def _publish(pages: Sequence[Page]) -> dict[str, str]:
    latest = await _latest([page.key for page in pages])
    return {page.title: ARTIFACT.format(id=await _version(page, latest.get(page.key))) for page in pages}


async def _version(page: Page, latest: ArtifactCollection | None) -> str:
    """Return the number of a page's version: the latest if it says the same, else a new one."""
    if latest is not None and latest.data == page.markdown:
        return str(latest.latest_id)
    description = f"{page.title}：{page.headline}"
    return str(await acreate_markdown_artifact(key=page.key, markdown=page.markdown, description=description))


async def _latest(keys: Sequence[str]) -> dict[str, ArtifactCollection]:
    """Return the latest version by key."""
    async with get_client() as client:
        known = await client.read_latest_artifacts(
            artifact_filter=ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[*keys]))
        )
    return {artifact.key: artifact for artifact in known}
