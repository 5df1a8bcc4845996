"""Addresses of staff pages, for mails to staff and for what stands in the run UI. Empty where there is no portal."""

from urllib.parse import quote

from office.premises import Premises


def campaign_url(house: Premises, key: str) -> str:
    """Return the address of a campaign's page."""
    return _url(house, f"c/{quote(key, safe='')}")


def queue_url(house: Premises, key: str = "") -> str:
    """Return the address of the queue, of one campaign if it is named."""
    return _url(house, f"queue?campaign={quote(key, safe='')}" if key else "queue")


def unit_url(house: Premises, key: str, code: str) -> str:
    """Return the address of a unit's page."""
    return _url(house, f"u/{quote(key, safe='')}/{quote(code, safe='')}")


def submission_url(house: Premises, submission_id: int) -> str:
    """Return the address of a version's page."""
    return _url(house, f"s/{submission_id}")


def mail_url(house: Premises, message_id: int) -> str:
    """Return the address of a mail's page."""
    return _url(house, f"m/{message_id}")


def request_url(house: Premises, request_id: int) -> str:
    """Return the address of a request's page."""
    return _url(house, f"r/{request_id}")


def _url(house: Premises, path: str) -> str:
    return f"{house.portal_url.rstrip('/')}/staff/{path}" if house.portal_url else ""
