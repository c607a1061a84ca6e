"""DNS records as data: what a record says, how two states of a zone differ, and by which digest a state is known."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runbooks.model.canonical import digest, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

AUTOMATIC: Final = 1
"""The ttl that leaves the seconds to Cloudflare."""
CHALLENGES: Final = "_acme-challenge."
"""Names of records by which certificates are proven: they live for minutes, and are never ours."""
LETTERS: Final = 60
"""Letters of a content that a line shows."""


class Record(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One record. `ttl` in seconds, 1 means automatic; `managed` belongs to another product and is read only.

    `id` is the provider's: another record with the same words has another one.
    """

    name: str
    type: str
    content: str
    ttl: int = AUTOMATIC
    proxied: bool = False
    priority: int | None = None
    data: dict[str, Any] | None = None
    comment: str | None = None
    tags: tuple[str, ...] = ()
    settings: dict[str, Any] | None = None
    managed: bool = False
    id: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Return the name and type: the set that the record is one of."""
        return self.name, self.type

    def said(self) -> Record:
        """Return the record without its id."""
        return msgspec.structs.replace(self, id="")

    def sent(self) -> dict[str, Any]:
        """Return what is sent to make a record like this one, nothing left to what was before.

        Where there is structured data, the provider makes the content of it.
        """
        fields: dict[str, Any] = {
            "name": self.name,
            "type": self.type,
            "content": self.content,
            "ttl": self.ttl,
            "proxied": self.proxied,
            "comment": self.comment,
            "tags": list(self.tags),
            "settings": self.settings or {},
        }
        if self.priority is not None:
            fields["priority"] = self.priority
        if self.data is not None:
            fields["data"] = self.data
            del fields["content"]
        return fields

    def words(self) -> str:
        """Return it as a line of a zone file, for people."""
        content = self.content if len(self.content) <= LETTERS else f"{self.content[: LETTERS - 1]}…"
        priority = f"{self.priority} " if self.priority is not None and self.data is None else ""
        marks = [*(["proxied"] if self.proxied else []), *([f"ttl {self.ttl}"] if self.ttl != AUTOMATIC else [])]
        return f"{self.name}  {self.type}  {priority}{content}{'  (' + ', '.join(marks) + ')' if marks else ''}"


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record that goes (no `after`), comes (no `before`), or says something else."""

    before: Record | None = None
    after: Record | None = None

    def words(self) -> str:
        """Return a line with its mark: - goes, + comes, ~ becomes another."""
        if self.before is None or self.after is None:
            record = self.before or self.after
            return f"{'-' if self.before else '+'} {record.words() if record else ''}"
        now, then = self.after.words().partition("  ")[2], self.before.words()
        if then.partition("  ")[2] == now:
            return f"~ {then}: its comment, tags or settings"
        return f"~ {then}  →  {now.partition('  ')[2]}"

    @property
    def key(self) -> tuple[str, str]:
        """Return the name and type of its set."""
        record = self.before or self.after
        return record.key if record else ("", "")


def ours(records: Iterable[Record], others: frozenset[str] = frozenset()) -> tuple[Record, ...]:
    """Return the records that a rollback may touch, in an order that does not depend on ids.

    Not those of other products, of certificates being proven, nor of the names `others`.
    """
    mine = [r for r in records if not r.managed and not r.name.startswith(CHALLENGES) and r.name not in others]
    return tuple(sorted(mine, key=lambda record: digest(plain(record.said()))))


def state_of(records: Iterable[Record]) -> str:
    """Return the digest by which these records are known, 12 hexadecimal digits, whatever their ids are."""
    return digest(sorted(digest(plain(record.said())) for record in records))[:12]


def changes(now: Iterable[Record], wanted: Iterable[Record]) -> tuple[Change, ...]:
    """Return the fewest changes by which `now` says what `wanted` says: what is equal stays, ids are kept.

    In the order in which they can be carried out: what goes, what becomes another, what comes. No change makes a
    record that stands already, so none of them is in another one's way.
    """
    have, want = _by_set(now), _by_set(wanted)
    found = [change for key in sorted({*have, *want}) for change in _of_set(have.get(key, []), want.get(key, []))]
    return tuple(sorted(found, key=lambda change: (change.before is None, change.after is not None)))


def _by_set(records: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    sets: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        sets[record.key].append(record)
    return sets


def _of_set(have: list[Record], want: list[Record]) -> Iterator[Change]:
    """Yield the changes of one set: equal ones are paired first, the same content next, the rest in order.

    By content a provider tells whether a record is there already: no change makes one that another change still is.
    """
    left, missing = list(have), []
    for record in want:
        equal = next((one for one in left if one.said() == record.said()), None)
        if equal is None:
            missing.append(record)
        else:
            left.remove(equal)
    by_content = {record.content: record for record in missing}
    for one, record in [(one, by_content[one.content]) for one in left if one.content in by_content]:
        left.remove(one)
        missing.remove(record)
        yield Change(one, record)
    yield from (Change(one, record) for one, record in zip(left, missing, strict=False))
    yield from (Change(before=one) for one in left[len(missing) :])
    yield from (Change(after=record) for record in missing[len(left) :])
