"""What units have asked for."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.errors import UnknownRequest
from ledger.tables import RequestRow

EXTENSION, CONTACT = "extension", "contact"  # kinds
REFUSED = "request_refused"  # the kind of the decision


def find_request(session: Session, request_id: int) -> RequestRow:
    """Return a request.

    Raises:
        UnknownRequest: there is none of that number.

    """
    row = session.get(RequestRow, request_id)
    if row is None:
        raise UnknownRequest(f"there is no request {request_id}; `muster requests` lists those that wait")
    return row


def open_requests(session: Session, campaign_id: int | None = None) -> list[RequestRow]:
    """Return the requests that wait for staff, the oldest first."""
    query = select(RequestRow).where(RequestRow.decision_id.is_(None)).order_by(RequestRow.asked_at, RequestRow.id)
    if campaign_id is not None:
        query = query.where(RequestRow.campaign_id == campaign_id)
    return list(session.scalars(query))
