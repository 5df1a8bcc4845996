"""What staff are told by mail leads to their pages."""

from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import select

from ledger.acts import Act
from ledger.senders import sign_on
from ledger.tables import MessageRow
from mail.parsing import parse_mail
from office.alerts import CONTACTS, DESK, alert_staff
from office.outbox import claim_shard
from office.premises import Premises
from office.staff_links import campaign_url, mail_url, queue_url, submission_url, unit_url
from tests.portal.conftest import KEY, URL, Office, local
from tests.portal.conftest import loaded as shipped  # noqa: F401
from tests.portal.staff_scene import open_scene
from tests.portal.test_staff_deeds import office as office  # noqa: PLC0414  fixtures of ours too


def letters(office: Office, house: Premises) -> dict[str, str]:
    """Compose a digest and an alert, and return their texts by notice."""
    open_scene(office)
    act = Act(actor="rule:test", as_of=local(6, 5), wall=datetime.now(UTC))
    with house.ledger.writing() as session:
        sign_on(session, act, "test", host="here", pid=1)
        for topic in (CONTACTS, DESK):
            alert_staff(session, house, act, KEY, topic)
        shard = claim_shard(session, house, act, KEY, sender="test", limit=100)
        notices = {id_: notice for id_, notice in session.execute(select(MessageRow.id, MessageRow.notice))}  # noqa: C416
    return {notices[e.id]: parse_mail(b"".join(e.data)).text for e in shard.envelopes}


def test_the_digest_and_the_alert_lead_to_the_queue_and_a_unit_s_mail_does_not(office: Office) -> None:
    told = letters(office, office.house)
    address = f"{URL}/staff/queue?campaign={KEY}"
    assert {notice for notice, text in told.items() if address in text} == {"digest", "alert"}
    assert "/staff/" not in told["receipt"]


def test_without_a_portal_there_is_nothing_to_lead_to(office: Office) -> None:
    house = replace(office.house, portal_url="")
    told = letters(office, house)
    assert not any("/staff/" in text for text in told.values())
    assert {campaign_url(house, KEY), queue_url(house), unit_url(house, KEY, "BH001")} == {""}
    assert {submission_url(house, 1), mail_url(house, 1)} == {""}
