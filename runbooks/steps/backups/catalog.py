"""What own backups there are: `<id>/manifest.json` beside `<id>/dump/…`, in a folder or in an object store.

A backup is there once its manifest is: that is written last, and only if absent.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - msgspec reads it from the annotations
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from runbooks.model.errors import CheckError, Refused, Unreachable
from runbooks.steps.database.server import Server  # noqa: TC001 - as above

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.clients.stores.files import Files

MANIFEST: Final = "manifest.json"
DUMP: Final = "dump"
CONTENTS: Final = "contents.json"
"""What the database held: compared with what is loaded from the dump. Encrypted like the dump."""
ID: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ")
"""How a backup is named: by when it was begun."""
FileName = Annotated[str, msgspec.Meta(pattern=r"^(contents\.json|dump/[A-Za-z0-9_]+(\.[A-Za-z0-9]+)*)\Z")]
"""A file of a backup: nothing outside its folder, whoever wrote the manifest."""
Options = Annotated[str, msgspec.Meta(pattern=r"^(no)?login (no)?inherit( bypassrls)?( createdb)?( createrole)?\Z")]
"""What a role may do, in words of SQL: nothing else, whoever wrote the manifest."""
HOW: Final = "x25519 hkdf-sha256 aes-256-gcm, pieces of 1 MiB"
"""How files are encrypted, where they are."""


class Envelope(msgspec.Struct, frozen=True):
    """What opens a backup beside the private key: whom it is for, and its own public key; both in base64."""

    recipient: str
    ephemeral: str
    how: str = HOW


class StoredFile(msgspec.Struct, frozen=True):
    """One file as it lies in the store: its bytes and their SHA-256, so that no key is needed to see it whole."""

    name: FileName
    bytes: int
    sha256: str


class Role(msgspec.Struct, frozen=True):
    """A role that the dump may name: its options in SQL (never a password), and the roles that it is a member of."""

    name: str
    options: Options
    member_of: tuple[str, ...]


class Extension(msgspec.Struct, frozen=True):
    """An extension, and what its functions look like: enough to load tables that name them where it is missing."""

    name: str
    schema: str
    version: str
    functions: tuple[str, ...]

    @property
    def schemas(self) -> tuple[str, ...]:
        """Return the schemas that its functions lie in, sorted."""
        return tuple(sorted({signature.partition(".")[0] for signature in self.functions}))


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds. `at`: everything that was committed before it is in it, nothing that was committed later.

    `rows` are those of each table, `left_out` the tables that the stack file leaves out, `bytes` those of the files.
    `pg_dump` is the program's version.
    """

    id: str
    at: datetime
    run: str
    code: str
    database: str
    server: Server
    pg_dump: str
    rows: dict[str, int]
    left_out: tuple[str, ...]
    roles: tuple[Role, ...]
    extensions: tuple[Extension, ...]
    envelope: Envelope | None
    files: tuple[StoredFile, ...]

    @property
    def bytes(self) -> int:
        """Return the size of all files."""
        return sum(file.bytes for file in self.files)


@dataclass
class Catalog:
    """The backups of one place. What was found whole once is not read again by the same process.

    `digests` are the SHA-256 of the manifests that were read, by the backup's id.
    """

    files: Files
    whole: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def ids(self) -> list[str]:
        """Return the ids of what lies there, oldest first, unfinished ones too; others' files are none of ours.

        Raises Unreachable.
        """
        try:
            return [name for name in self.files.names("") if ID.fullmatch(name)]
        except OSError as error:
            raise _unreachable(self.files, error) from None

    def leftovers(self) -> list[str]:
        """Return what lies there without any manifest: what killed backups left. Raises Unreachable."""
        return [name for name in self.ids() if not self.has(name)]

    def unreadable(self) -> list[str]:
        """Return the backups whose manifest says nothing to us: damaged, another one's, or by another version."""
        return [name for name in self.ids() if self.has(name) and self._read(name) is None]

    def all(self) -> list[Manifest]:
        """Return every backup that has its manifest, oldest first; `unreadable` ones are left out."""
        found = (self._read(name) for name in self.ids())
        return sorted((manifest for manifest in found if manifest is not None), key=lambda one: (one.at, one.id))

    def get(self, backup: str) -> Manifest:
        """Return one backup by its id or the end of it. Raises Refused, naming those that there are."""
        there = self.all()
        found = [one for one in there if one.id == backup] or [one for one in there if one.id.endswith(backup)]
        if len(found) != 1:
            listed = ", ".join(one.id for one in there[-10:]) or "none"
            message = f"backup {backup}: expected one backup in {self.files.where('')}, got {len(found)} of: {listed}."
            raise Refused(message, next_command="invoke backup.list")
        return found[0]

    def has(self, backup: str) -> bool:
        """Tell whether a backup is there: whether its manifest is. Raises Unreachable."""
        try:
            return self.files.get(f"{backup}/{MANIFEST}") is not None
        except OSError as error:
            raise _unreachable(self.files, error) from None

    def faults(self, manifest: Manifest, *, report: Callable[[int], None] = lambda _bytes: None) -> str:
        """Read every file of a backup and say which of them is not as the manifest says; nothing when all are."""
        if manifest.id not in self.whole:
            self.whole[manifest.id] = self._faults(manifest, report)
        return self.whole[manifest.id]

    def _faults(self, manifest: Manifest, report: Callable[[int], None]) -> str:
        try:
            sizes = self.files.sizes(manifest.id)
            for file in manifest.files:
                if file.name not in sizes:
                    return f"{file.name} is missing"
                if sizes[file.name] != file.bytes:
                    return f"{file.name} has {sizes[file.name]} bytes, its manifest says {file.bytes}"
            for file in manifest.files:
                digest = hashlib.sha256()
                for piece in self.files.pieces(f"{manifest.id}/{file.name}"):
                    digest.update(piece)
                    report(len(piece))
                if digest.hexdigest() != file.sha256:
                    return f"{file.name} is not what was written: its SHA-256 differs from the manifest's"
        except FileNotFoundError as error:
            return str(error)
        except OSError as error:
            raise _unreachable(self.files, error) from None
        return ""

    def _read(self, backup: str) -> Manifest | None:
        """Return its manifest; None where it has none, or that of another backup: a copy would stand for that one."""
        try:
            content = self.files.get(f"{backup}/{MANIFEST}")
            manifest = msgspec.json.decode(content or b"null", type=Manifest | None)
        except OSError as error:
            raise _unreachable(self.files, error) from None
        except msgspec.MsgspecError:
            return None
        if manifest is None or manifest.id != backup:
            return None
        self.digests[backup] = hashlib.sha256(content or b"").hexdigest()
        return manifest


def check_file(backup: str, file: StoredFile, digest: str, size: int) -> None:
    """Raise CheckError unless a file that was read is the one that the manifest names."""
    if (digest, size) != (file.sha256, file.bytes):
        message = f"backup {backup}: {file.name} is not what was written: expected SHA-256 {file.sha256}, got {digest}."
        raise CheckError(message)


def _unreachable(files: Files, error: OSError) -> Unreachable:
    return Unreachable(f"the backups in {files.where('')} cannot be read: {error}")
