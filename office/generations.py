"""Generations: a mail written anew on the same occasion, to the next contact or by the word of staff."""

from collections.abc import Sequence

from ledger.outbox import Item, NewMessage
from ledger.tables import MessageRow
from rules.notices import ItemDue


def next_generation(message: MessageRow, items: Sequence[Item]) -> NewMessage:
    """Return the message that takes another's place: same party, notice, occasion and items, one generation on.

    The items bear the generation too, so that what the first one said does not stand in the way.
    """
    return NewMessage(
        party_id=message.party_id,
        notice=message.notice,
        occasion=message.occasion,
        items=tuple(ItemDue(obligation_id=i.obligation_id, rung=i.rung, due=i.due_at) for i in items),
        expires=message.expires_at,
        detail=message.detail,
        generation=message.generation + 1,
        caused_by=message.id,
    )
