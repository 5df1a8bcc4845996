"""The contact work list: units that mail does not reach, or no longer at the address it should."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from definition.loading import LoadedCampaign
from ledger.campaigns import CORRESPONDENT
from ledger.facts import Address, contacts_by_party
from ledger.tables import ContactRow, PartyKind, PartyRow
from office import wording
from rules.addresses import ADDRESS

NO_ADDRESS = "no e-mail address"  # on record where a roster has something else
MANY_SOFT = 3  # soft bounces in a row after which somebody should ask


class Trouble(StrEnum):
    """What is wrong with a unit's contacts, worst first."""

    UNREACHED = "unreached"  # no working address at all: telephone
    REPLACED = "replaced"  # an address failed; the next contact is written to
    FULL = "full"  # accepted, then returned again and again: mailbox full or the like


@dataclass(frozen=True, kw_only=True)
class ContactTrouble:
    """One line of the work list."""

    code: str
    name: str
    trouble: Trouble
    written_to: str  # the address used now; empty if there is none
    failing: tuple[str, ...]  # address: reason
    phones: tuple[str, ...]


def contact_troubles(session: Session, campaign_id: int) -> list[ContactTrouble]:
    """Return the units of a campaign that need a person's look, those that nobody reaches first.

    The office itself is none of them: whoever reads the list is in it.
    """
    in_trouble = select(ContactRow.party_id).where(
        ContactRow.role != CORRESPONDENT,
        (ContactRow.bad_since.is_not(None)) | (ContactRow.soft_bounces >= MANY_SOFT),
    )
    without = ~select(ContactRow.id).where(ContactRow.party_id == PartyRow.id).exists()
    query = select(PartyRow).where(
        PartyRow.campaign_id == campaign_id,
        PartyRow.kind == PartyKind.UNIT,
        PartyRow.left_at.is_(None),
        PartyRow.id.in_(in_trouble) | without,
    )
    parties = session.scalars(query.order_by(PartyRow.code)).all()
    contacts = contacts_by_party(session, [p.id for p in parties])
    lines = [_line(party, contacts[party.id]) for party in parties]
    return sorted(lines, key=lambda line: (list(Trouble).index(line.trouble), line.code))


def _line(party: PartyRow, contacts: Sequence[Address]) -> ContactTrouble:
    own = [c for c in contacts if c.role != CORRESPONDENT]
    working = [c for c in own if c.bad_since is None]
    bad = [c for c in own if c.bad_since is not None]
    shaky = Trouble.REPLACED if bad else Trouble.FULL
    return ContactTrouble(
        code=party.code,
        name=party.name,
        trouble=shaky if working else Trouble.UNREACHED,
        written_to=working[0].address if working else "",
        failing=tuple(
            [_failing(c.address, wording.cause_text(c.bad_reason)) for c in bad]
            + [_failing(c.address, _soft(c)) for c in working if c.soft_bounces >= MANY_SOFT]
        ),
        phones=tuple(dict.fromkeys(c.phone for c in contacts if c.phone)),
    )


def _failing(address: str, cause: str) -> str:
    return f"{address}：{cause}" if address else wording.NO_ADDRESS


def _soft(contact: Address) -> str:
    return wording.SOFT.format(count=contact.soft_bounces, cause=wording.cause_text(contact.soft_reason))


def roster_troubles(loaded: LoadedCampaign) -> list[ContactTrouble]:
    """Return the same of a campaign that has not been launched, from its roster."""
    found = []
    for unit in loaded.units:
        working = [c.address for c in unit.contacts if ADDRESS.fullmatch(c.address)]
        failing = [c.address for c in unit.contacts if c.address and not ADDRESS.fullmatch(c.address)]
        if working and not failing:
            continue
        found.append(
            ContactTrouble(
                code=unit.code,
                name=unit.name,
                trouble=Trouble.REPLACED if working else Trouble.UNREACHED,
                written_to=working[0] if working else "",
                failing=tuple(_failing(address, wording.cause_text(NO_ADDRESS)) for address in failing),
                phones=tuple(dict.fromkeys(c.phone for c in unit.contacts if c.phone)),
            )
        )
    return sorted(found, key=lambda line: (list(Trouble).index(line.trouble), line.code))
