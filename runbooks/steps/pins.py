"""Pins in the stack file: the release that `pulumi up` must leave in place. Comments and formatting stay."""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from infra.pins.pinned import DATABASE, Pin
from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import ActError, ActRefused, Refused
from runbooks.model.settings import composed, read_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from ruamel.yaml.nodes import CollectionNode

    from runbooks.clients.cloudflare import Origin

KEY: Final = "ems-ops:pins"


def pin_release(
    stack_file: Path,
    service: str,
    *,
    version: str | Callable[[Sight], str],
    reason: str,
    declared: str = "",
    clock: Callable[[], datetime],
    name: str = "pin",
) -> Step:
    """Return the step that pins a service's release in the stack file, with when, why and by which run."""

    def wanted(sight: Sight) -> str:
        return version if isinstance(version, str) else version(sight)

    def act(sight: Sight) -> Json:
        since = clock().isoformat(timespec="seconds")
        pin = Pin(version=wanted(sight), since=since, reason=reason, run=sight.run, declared=declared)
        write_pins(stack_file, {**read_pins(stack_file), service: pin})
        return {"pin": msgspec.to_builtins(pin)}

    shown = version[:8] if isinstance(version, str) else "the new version"
    return _step(stack_file, service, wanted, act, name=name, title=f"pin {service} to {shown} in {stack_file.name}")


def pin_database(
    stack_file: Path, origin: Origin, *, reason: str, stays: str, clock: Callable[[], datetime], name: str
) -> Step:
    """Return the step that pins the database which the API uses from now on: the program refuses another one.

    `stays` says why it cannot be taken back, "" where it can.
    """
    server = f"{origin.user}@{origin.host}:{origin.port}"

    def act(sight: Sight) -> Json:
        sight.note(f"commit {stack_file.name}: whoever deploys needs its pin")
        since = clock().isoformat(timespec="seconds")
        pin = Pin(version=origin.database, since=since, reason=reason, run=sight.run, server=server)
        write_pins(stack_file, {**read_pins(stack_file), DATABASE: pin})
        return {"pin": msgspec.to_builtins(pin)}

    title = f"pin database {origin.database} in {stack_file.name}, for `pulumi up`"
    step = _step(stack_file, DATABASE, lambda _: origin.database, act, server=server, name=name, title=title)
    return replace(step, undo=NoUndo(stays)) if stays else step


def unpin_release(stack_file: Path, service: str, *, name: str = "unpin") -> Step:
    """Return the step that removes a service's pin from the stack file."""

    def act(_sight: Sight) -> Json:
        pins = read_pins(stack_file)
        pins.pop(service, None)
        write_pins(stack_file, pins)
        return {"pin": None}

    return _step(
        stack_file, service, lambda _: None, act, name=name, title=f"remove the pin of {service} from {stack_file.name}"
    )


def read_pins(stack_file: Path) -> dict[str, Pin]:
    """Return the pins of a stack file by service. Raises Refused when the file isn't right."""
    return dict(read_stack(stack_file).pins)


def refuse_unwritable(stack_file: Path) -> None:
    """Raise Refused where no pin could be written later: the stack file is replaced by a new one beside it."""
    folder = stack_file.resolve().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        message = f"{stack_file}: expected to be allowed to replace it, {folder} cannot be written. Nothing was begun."
        raise Refused(message, next_command=f"ls -ld {shlex.quote(str(folder))}")


def write_pins(stack_file: Path, pins: Mapping[str, Pin]) -> None:
    """Replace the pins in a stack file: every other byte stays, and a reader sees the old or the new file whole.

    Raises Refused when the result would not be the stack file that was meant, ActError when it cannot be written; the
    file is untouched then.
    """
    real = stack_file.resolve()
    text = real.read_bytes().decode("utf-8")
    start, end = _span(text, stack_file)
    plain = {service: msgspec.to_builtins(pin) for service, pin in pins.items()}
    changed = text[:start] + json.dumps(plain, ensure_ascii=False) + text[end:]
    try:
        _replace(real, changed.encode("utf-8"), lambda draft: _refuse_more(draft, real, pins, stack_file))
    except OSError as error:
        message = f"{stack_file}: the pins could not be written: {error.strerror}. It is as it was."
        raise ActError(message, next_command=f"ls -ld {shlex.quote(str(real.parent))}") from None


def _refuse_more(draft: Path, real: Path, pins: Mapping[str, Pin], stack_file: Path) -> None:
    if read_stack(draft) != msgspec.structs.replace(read_stack(real), pins=dict(pins)):
        message = f"{stack_file}: expected only {KEY} to change, more would; the file is as it was."
        raise Refused(message, next_command=f"edit {stack_file}")


def _replace(real: Path, content: bytes, check: Callable[[Path], None]) -> None:
    """Replace a file by a draft that was checked and is on disk. Raises OSError, and what the check raises."""
    with tempfile.NamedTemporaryFile(
        "wb", dir=real.parent, prefix=f".{real.stem}-", suffix=".yaml", delete=False
    ) as out:
        draft = Path(out.name)
        try:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
            check(draft)
            draft.chmod(real.stat().st_mode)
            draft.replace(real)
        finally:
            draft.unlink(missing_ok=True)


def _step(
    stack_file: Path,
    service: str,
    wanted: Callable[[Sight], str | None],
    act: Callable[[Sight], Json],
    *,
    name: str,
    title: str,
    server: str = "",
) -> Step:
    def is_so(pin: Pin | None, version: str | None) -> bool:
        return (pin.version, pin.server) == (version, server) if pin else version is None

    def holds(sight: Sight) -> Held:
        pin, version = read_pins(stack_file).get(service), wanted(sight)
        seen: dict[str, Json] = {"pin": msgspec.to_builtins(pin)}
        if is_so(pin, version):
            return Yes(seen)
        got = f"{pin.version} {pin.server}".strip() if pin else None
        wants = f"{version} {server}".strip()
        return No(seen, f"{stack_file.name}, {KEY}.{service}: expected {wants}, got {got}")

    def undo(sight: Sight) -> Json:
        pins = read_pins(stack_file)
        before, now = msgspec.convert(sight.before.get("pin"), Pin | None), pins.pop(service, None)
        if now != before and not is_so(now, wanted(sight)):
            message = (
                f"{stack_file}: somebody else has changed the pin of {service} meanwhile (now "
                f"{f'{now.version}, by run {now.run}' if now else 'none'}). It was left as it is."
            )
            raise ActRefused(message, next_command=f"edit {stack_file}")
        write_pins(stack_file, {**pins, **({service: before} if before else {})})
        return {"pin": msgspec.to_builtins(before)}

    return Step(name=name, title=title, effect=Effect.WRITE, holds=holds, act=act, undo=undo, expect=0.05)


def _span(text: str, stack_file: Path) -> tuple[int, int]:
    """Return where the value of the pins begins and ends in the text, without comments after it."""
    pins = _child(_child(composed(text), "config"), KEY)
    if pins is None:
        message = f"{stack_file}: {KEY} is missing; expected it under config."
        raise Refused(message, next_command=f"edit {stack_file}")
    return int(pins.start_mark.index), _end(pins)


def _child(mapping: Any, key: str) -> Any:  # noqa: ANN401 - nodes of an untyped library
    pairs = mapping.value if mapping is not None else []
    return next((value for name, value in pairs if name.value == key), None)


def _end(node: CollectionNode) -> int:
    """Return the end of a node's last character: a block mapping's own end lies behind its comments."""
    if isinstance(node.value, list) and node.value and not node.flow_style:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)
