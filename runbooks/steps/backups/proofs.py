"""When each backup was last restored and compared, and with what result: `proofs/<backup>/<moment>.json`."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads it from the annotations
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import ActError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.engine.record.home import Home
    from runbooks.steps.backups.catalog import Catalog

PROOFS: Final = "proofs"


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """One proof: a restore of a backup into a server of `major`, compared with its manifest. `seconds` it took.

    `manifest` is the SHA-256 of that manifest: of a backup that another one was put in the place of, nothing is proven.
    """

    backup: str
    at: datetime
    run: str
    good: bool
    major: int
    seconds: float
    tables: int
    rows: int
    faults: tuple[str, ...] = ()
    not_checked: tuple[str, ...] = ()
    manifest: str = ""


def proofs(home: Home, catalog: Catalog) -> dict[str, Proof]:
    """Return the newest proof of each backup that has one; a bad one where it is not the backup any more that it was.

    Raises Unreachable where the ops home or the backups do not answer.
    """
    catalog.all()
    return {backup: _of(proof, catalog.digests.get(backup)) for backup, proof in _read(home).items()}


def _of(proof: Proof, digest: str | None) -> Proof:
    if not proof.manifest or digest in (None, proof.manifest):
        return proof
    altered = f"its manifest was altered since its proof of {proof.at:%Y-%m-%d %H:%M} UTC"
    return msgspec.structs.replace(proof, good=False, faults=(altered, *proof.faults))


def _read(home: Home) -> dict[str, Proof]:
    found: dict[str, Proof] = {}
    try:
        for backup in home.names(PROOFS):
            for name in reversed(home.names(f"{PROOFS}/{backup}")):
                content = home.get(f"{PROOFS}/{backup}/{name}")
                try:
                    found[backup] = msgspec.json.decode(content or b"", type=Proof)
                except msgspec.MsgspecError:
                    continue  # cut off by a crash: an older one counts
                break
    except OSError as error:
        message = f"{home.where(PROOFS)}: cannot be read: {error}"
        raise Unreachable(message) from None
    return found


def proven_last(home: Home, catalog: Catalog) -> Proof | None:
    """Return the newest good proof of a backup that is still there: that of another helps nobody."""
    found = proofs(home, catalog)
    good = [found[one.id] for one in catalog.all() if one.id in found and found[one.id].good]
    return max(good, key=lambda proof: proof.at, default=None)


def record(home: Home, backup: str, proof: Callable[[Sight], Proof], *, name: str) -> Step:
    """Return the step that writes down how a proof went; it is found again by its run."""

    def place(sight: Sight) -> str:
        return f"{PROOFS}/{backup}/{sight.run}.json"

    def holds(sight: Sight) -> Held:
        try:
            there = home.get(place(sight))
        except OSError as error:
            message = f"{home.where(place(sight))}: cannot be read: {error}"
            raise Unreachable(message) from None
        return Yes({"proof": home.where(place(sight))}) if there else No({}, f"there is no {place(sight)}")

    def act(sight: Sight) -> Json:
        try:
            home.put_new(place(sight), msgspec.json.format(msgspec.json.encode(proof(sight))))
        except OSError as error:
            message = f"{home.where(place(sight))}: cannot be written: {error}"
            raise ActError(message) from None
        return None

    return Step(
        name=name,
        title="write down how the proof went",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=NoUndo("a proof is only ever added: a later one overrules it"),
        expect=0.1,
    )
