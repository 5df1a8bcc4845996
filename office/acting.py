"""Forms that act: who is named in an accepted one becomes the unit's first contact.

Which form, and which of its cells, is the form's own data.
"""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from ledger import audit
from ledger.acts import Act
from ledger.review import sources_of, versions_of
from ledger.tables import CampaignRow, DeliverableRow, ObligationRow, PartyRow, SubmissionRow
from office.contact_changes import Named, change_contact, read_named
from office.premises import Premises
from office.refusals import NotPossible
from office.rulebook import rulebook_of
from rules.forms import ActsAs
from rules.obligations import SubmissionState


def act_on_accepted(
    session: Session, premises: Premises, act: Act, submission: SubmissionRow, obligation: ObligationRow
) -> None:
    """Let an accepted version do what its form says; one whose form only counts does nothing."""
    campaign = rulebook_of(session.get_one(CampaignRow, obligation.campaign_id)).campaign
    deliverable = campaign.deliverable(session.get_one(DeliverableRow, obligation.deliverable_id).key)
    form = campaign.form_of(deliverable)
    if form is None or form.acts_as is None or _is_overtaken(session, submission):
        return
    party = session.get_one(PartyRow, obligation.party_id)
    figures = sources_of(session, [submission.id])[submission.id]
    cells = {key: figure.text or "" for key, figure in figures.items()}
    for named in _named(session, act, party, form.acts_as, cells):
        grounds = f"《{deliverable.title}》第{submission.version}版"
        change_contact(session, premises, act, party, named, grounds)


def _is_overtaken(session: Session, submission: SubmissionRow) -> bool:
    """Whether a later version counts: what an earlier one says is no longer news."""
    accepted = SubmissionState.ACCEPTED.value
    versions = versions_of(session, submission.obligation_id)
    return any(v.version > submission.version and v.state == accepted for v in versions)


def _named(
    session: Session, act: Act, party: PartyRow, acts_as: ActsAs, cells: dict[tuple[str, str], str]
) -> Iterator[Named]:
    """Yield the contacts a form names. One without a usable address changes nothing, which is put on record."""
    for row, role in acts_as.rows.items():
        said = {part: cells.get((row, column), "") for part, column in acts_as.columns.items()}
        if not said["address"]:
            continue
        try:
            yield read_named(role, said.get("name", ""), said["address"], said.get("phone", ""))
        except NotPossible as error:
            detail = {"role": role, "reason": str(error)}
            audit.append(session, act, "contact.unusable", detail, campaign_id=party.campaign_id, party_id=party.id)
