"""The skeletons of mails: what many mails of a step share, made once and kept, so that each can be shown exactly."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ledger.files import FileStore
from mail.skeleton import Enclosure, Fields, Skeleton, dump_fields, load_fields
from office.letters import LetterContext, Renderer

KEPT_AT_HAND = 64


class LostBytesError(Exception):
    """The bytes of a mail cannot be shown as they left: a kept file is missing, or they come out otherwise."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A skeleton and the hash under which it is kept."""

    skeleton: Skeleton
    sha256: str


class Composed(NamedTuple):
    """A mail ready to leave: its bytes in chunks, and what is put on record so that they can be made again."""

    subject: str
    data: tuple[bytes, ...]
    raw_sha256: str
    skeleton_sha256: str
    fields: Mapping[str, Any]


class SkeletonCase:
    """The skeletons in use. The same context and enclosures give the same skeleton, rendered and encoded once."""

    def __init__(self, files: FileStore, renderer: Renderer) -> None:
        """Keep skeletons in a file store."""
        self._files = files
        self._renderer = renderer
        self._at_hand: OrderedDict[tuple[Any, ...], Kept] = OrderedDict()
        self._by_hash: OrderedDict[str, Skeleton] = OrderedDict()

    def of(
        self, context: LetterContext, enclosures: tuple[Enclosure, ...], *, sender_name: str, sender_address: str
    ) -> Kept:
        """Return the skeleton of a context in which marks stand for what differs per recipient."""
        key = (context, enclosures, sender_name, sender_address)
        kept = self._at_hand.get(key)
        if kept is None:
            rendered = self._renderer.render(context)
            skeleton = Skeleton(
                sender_name=sender_name,
                sender_address=sender_address,
                subject=rendered.subject,
                text=rendered.text,
                html=rendered.html,
                enclosures=enclosures,
            )
            sha256 = self._files.put(skeleton.dump(self._files.put))
            kept = Kept(skeleton=skeleton, sha256=sha256)
            _keep(self._at_hand, key, kept)
        return kept

    def compose(self, kept: Kept, fields: Fields) -> Composed:
        """Fill a skeleton for one recipient.

        Raises:
            ValueError: something would break a header; the message names the field.

        """
        data = kept.skeleton.fill(fields)
        return Composed(
            subject=kept.skeleton.subject(fields.values)[:500],
            data=data,
            raw_sha256=_digest(data),
            skeleton_sha256=kept.sha256,
            fields=dump_fields(fields, self._files.put),
        )

    def again(self, skeleton_sha256: str, fields: Mapping[str, Any], raw_sha256: str) -> tuple[bytes, ...]:
        """Return the bytes of a mail composed before, in chunks.

        Raises:
            LostBytesError: a kept file is missing, or the bytes are not those of the hash on record.

        """
        try:
            skeleton = self._by_hash.get(skeleton_sha256)
            if skeleton is None:
                skeleton = Skeleton.load(self._files.get(skeleton_sha256), self._files.get)
                _keep(self._by_hash, skeleton_sha256, skeleton)
            data = skeleton.fill(load_fields(dict(fields), self._files.get))
        except FileNotFoundError as error:
            raise LostBytesError(f"a file of this mail is no longer in the file store: {error}") from error
        except ValueError as error:
            raise LostBytesError(f"this mail cannot be made again: {error}") from error
        if _digest(data) != raw_sha256:
            raise LostBytesError(f"this mail comes out otherwise than it left; its bytes had sha256 {raw_sha256}")
        return data


def _keep(case: OrderedDict[Any, Any], key: Any, value: Any) -> None:  # noqa: ANN401  any key, any value
    case[key] = value
    while len(case) > KEPT_AT_HAND:
        case.popitem(last=False)


def _digest(data: tuple[bytes, ...]) -> str:
    digest = hashlib.sha256()
    for chunk in data:
        digest.update(chunk)
    return digest.hexdigest()
