"""Samples of each notice, sent to the operator over the real relay."""

from datetime import UTC, datetime
from uuid import uuid4

from mail.relay import Envelope
from mail.skeleton import Fields
from mail.smtp import Outcome, SmtpPool
from office.samples import NOTICES, sample_context
from office.timetable import find_rulebook
from tasks.delivery import relay
from tasks.desk import premises


async def send_samples(campaign: str, address: str) -> list[tuple[str, Outcome]]:
    """Send a sample of every notice to one address; return what came of each."""
    house = premises()
    with house.ledger.reading() as session:
        _, book = find_rulebook(session, house, campaign)
    sent = []
    async with SmtpPool(relay(), connections=1) as pool:
        for notice in NOTICES:
            now = datetime.now(UTC)
            link = f"{house.portal_url.rstrip('/')}/u/sample" if house.portal_url else ""
            context = sample_context(book, notice, house.intake_address, now, link=link)
            skeleton = house.skeletons.of(
                context,
                (),
                sender_name=house.sender_name or book.campaign.office.name,
                sender_address=house.intake_address,
            ).skeleton
            data = skeleton.fill(
                Fields(
                    to_name="",
                    to_address=address,
                    reply_to=house.intake_address,
                    message_id=f"<{uuid4().hex}@{house.mail_domain}>",
                    date=now,
                )
            )
            envelope = Envelope(id=0, envelope_from=house.intake_address, to=address, data=data)
            sent.append((notice, await pool.send(envelope)))
    return sent
