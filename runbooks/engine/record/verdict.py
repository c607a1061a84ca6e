"""Prove offline that a journal is whole, in order and unaltered, and who signed it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from runbooks.engine.record.entry import Kind, content_of, decode
from runbooks.engine.record.home import JOURNAL, SIGNATURES, journal_of, signatures_of
from runbooks.engine.record.signature import who_signed
from runbooks.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runbooks.engine.record.home import Home


class Verdict(msgspec.Struct, frozen=True):
    """What was proved: so many entries in one chain that ends in `head`, and how the last one says it ended.

    `signed_by` names who signed this very end; nothing where nobody did.
    """

    journal: str
    entries: int
    head: str
    last: Kind
    torn: int
    signed_by: str = ""

    @property
    def complete(self) -> bool:
        """Whether the last entry is the close: of a longer journal whose end was cut off it would not be."""
        return self.last is Kind.CLOSED and not self.torn


def verify(path: Path | str, *, signers: Mapping[str, str] | None = None) -> Verdict:
    """Prove a copied journal: its file, or its run's folder with the signatures in it, also as a bucket holds them.

    `signers` are those who may sign, public key by name: with them an end that nobody of them signed is refused.
    Raises Refused naming the first line that is not as it was written.
    """
    folder = Path(path).parent if Path(path).name == JOURNAL or not Path(path).is_dir() else Path(path)
    files = sorted((folder / SIGNATURES).glob("*.json"))
    signatures = {str(file): file.read_bytes() for file in files}
    return _verdict(
        content_of(path), where=str(path), run=folder.resolve().name, signatures=signatures, signers=signers or {}
    )


def verify_run(home: Home, run: str, *, signers: Mapping[str, str] | None = None) -> Verdict:
    """Prove the same of a run in an ops home. Raises Refused, and OSError."""
    name, folder = journal_of(run), signatures_of(run)
    names = [f"{folder}/{one}" for one in home.names(folder)]
    signatures = {home.where(one): home.get(one) or b"" for one in names}
    return _verdict(home.read_log(name), where=home.where(name), run=run, signatures=signatures, signers=signers or {})


def copied(path: Path) -> list[Path]:
    """Return the folder of every run below a path, or of the one journal that it is. Raises Refused where is none."""
    found = [path.parent] if path.name == JOURNAL else sorted(file.parent for file in path.rglob(JOURNAL))
    if not found:
        message = f"{path}: expected a folder with a {JOURNAL} in it, got none"
        raise Refused(message)
    return found


def _verdict(
    content: bytes, *, where: str, run: str, signatures: Mapping[str, bytes], signers: Mapping[str, str]
) -> Verdict:
    decoded = decode(content, where=where)
    if not decoded.entries:
        message = f"{where}: nothing was written"
        raise Refused(message)
    last = decoded.entries[-1]
    signed_by = who_signed(signatures, decoded.entries, run=run, signers=signers)
    ended = last.kind in (Kind.CLOSED, Kind.PAUSED) and last.step is None
    if signers and ended and not signed_by:
        message = f"{where}: its end is not signed by one of {', '.join(signers)}; the journal may have been altered"
        raise Refused(message)
    return Verdict(where, len(decoded.entries), last.hash, last.kind, len(decoded.torn), signed_by)
