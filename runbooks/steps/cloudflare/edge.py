"""The operated service as its users see it: the health contract and the smoke checks, through the edge."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.engine.step import ONLY_READS, Effect, Evidence, Held, Json, No, Settling, Sight, Step, Yes
from runbooks.model.errors import NotSo, Unreachable

if TYPE_CHECKING:
    from infra.stack import Api, Health, Smoke
    from runbooks.clients.edge import Edge
    from runbooks.clients.transport import Answer

OK: Final = 200
IN_A_ROW: Final = 3
"""Good answers one after the other before a release counts as answering: one may come from an edge that lags."""
PROPAGATION: Final = 30.0
"""Seconds within which a deployment must have reached the edge; Cloudflare says "seconds", seen 2026: below 10."""
LOOK_AGAIN: Final = 0.1  # seconds between looks at the edge

Clock = Callable[[], datetime]
Version = Callable[[Sight], str | None]
"""Which version must answer; None accepts any."""
Headers = Callable[[Sight], Mapping[str, str]]
"""What is sent along: by which version a request asks to be answered."""
Look = Callable[[Sight], tuple[list[str], Evidence]]
"""What is wrong, in words, and what was seen."""


class HealthBody(msgspec.Struct, frozen=True):
    """What the health path answers: the contract between the service and its operators."""

    status: str
    message: str
    timestamp: str
    version: str


def health_faults(answer: Answer, contract: Health, *, version: str | None, now: datetime) -> list[str]:
    """Return what in this answer breaks the health contract, field by field; nothing when it is kept.

    `version` None accepts any. Each fault says what was expected and what came.
    """
    if answer.status != OK:
        return [f"status code: expected {OK}, got {answer.status}"]
    try:
        body = msgspec.json.decode(answer.body, type=HealthBody)
    except msgspec.MsgspecError as error:
        return [f"body: expected JSON with status, message, timestamp, version; got {error}"]
    expected = {"status": contract.status, "message": contract.message}
    if version is not None:
        expected["version"] = version
    faults = [
        f"{field}: expected {value!r}, got {getattr(body, field)!r}"
        for field, value in expected.items()
        if getattr(body, field) != value
    ]
    return faults + _age_faults(body.timestamp, contract.fresh_seconds, now)


def smoke_faults(answer: Answer, smoke: Smoke) -> list[str]:
    """Return what in this answer breaks a smoke check; nothing when it passes."""
    if answer.status != smoke.status:
        return [f"{answer.what}: expected {smoke.status}, got {answer.status}"]
    if smoke.contains is not None and smoke.contains not in answer.body.decode("utf-8", "replace"):
        return [f"{answer.what}: expected {smoke.contains!r} in the body, it is not there"]
    return []


class Said(msgspec.Struct, frozen=True):
    """What a release says of itself."""

    version: str


def users_get(edge: Edge, host: str, path: str) -> str:
    """Say what users get at this moment, by their own way."""
    try:
        answer = edge.get(host, path)
    except Unreachable as error:
        return f"Users get no answer either: {error}"
    try:
        by = f" from version {msgspec.json.decode(answer.body, type=Said).version}"
    except msgspec.MsgspecError:
        by = ""
    return f"Users are served as before: {host}{path} answers {answer.status}{by}."


def any_version(_sight: Sight) -> None:
    """Accept whichever version answers: where traffic is split."""


def of_stage(name: str) -> str:
    """Return what a step's title says of its stage: "health at 10 %" is one of a release's stages."""
    _, at, stage = name.partition(" at ")
    return f", by the new release at {stage}" if at else ""


def plainly(_sight: Sight) -> Mapping[str, str]:
    """Send nothing along: be a user."""
    return {}


def serves(
    edge: Edge,
    api: Api,
    *,
    version: Version,
    clock: Clock,
    next_command: str | None,
    headers: Headers = plainly,
    prefix: str = "",
    suffix: str = "",
) -> tuple[Step, ...]:
    """Return the steps that prove that the API serves its users: the health contract, then every smoke check.

    `prefix` and `suffix` stand around the names of the steps.
    """
    checks = tuple((api.host, smoke) for smoke in api.smoke)
    return (
        edge_answers(
            edge,
            api.host,
            api.health,
            version=version,
            clock=clock,
            next_command=next_command,
            headers=headers,
            name=f"{prefix}health{suffix}",
        ),
        smoke_passes(edge, checks, next_command=next_command, headers=headers, name=f"{prefix}smoke{suffix}"),
    )


def edge_answers(
    edge: Edge,
    host: str,
    contract: Health,
    *,
    version: Version,
    clock: Clock,
    next_command: str | None,
    in_a_row: int = IN_A_ROW,
    within: float = PROPAGATION,
    headers: Headers = plainly,
    name: str = "health",
) -> Step:
    """Return the step that proves the health contract with this version, `in_a_row` times, `within` seconds."""

    def look(sight: Sight) -> tuple[list[str], Evidence]:
        wanted = version(sight)
        milliseconds: list[Json] = []
        for _ in range(in_a_row):
            answer = edge.get(host, contract.path, headers(sight))
            faults = health_faults(answer, contract, version=wanted, now=clock())
            if faults:
                return [f"{answer.what}: {fault}" for fault in faults], {"version": wanted}
            milliseconds.append(round(answer.milliseconds, 1))
        return [], {"version": wanted, "answers": in_a_row, "milliseconds": milliseconds}

    title = f"prove the health contract at {host}{contract.path}{of_stage(name)}"
    return Proof(look, within, next_command).step(name, title)


def smoke_passes(
    edge: Edge,
    checks: tuple[tuple[str, Smoke], ...],
    *,
    next_command: str | None,
    within: float = 3.0,
    headers: Headers = plainly,
    name: str = "smoke",
) -> Step:
    """Return the step that proves every (host, smoke check) of the stack file, all in one pass, `within` seconds."""

    def look(sight: Sight) -> tuple[list[str], Evidence]:
        sent = headers(sight)
        faults = [fault for host, smoke in checks for fault in smoke_faults(edge.get(host, smoke.path, sent), smoke)]
        return faults, {"passed": [f"{host}{smoke.path} {smoke.status}" for host, smoke in checks]}

    return Proof(look, within, next_command).step(name, f"pass {len(checks)} smoke checks{of_stage(name)}")


@dataclass
class Proof:
    """A look that must find no faults: they may settle `within` seconds of the first look, then they are final.

    A look that begins within them is never the last one, however long it takes: one lost answer is no verdict.
    """

    look: Look
    within: float
    next_command: str | None
    first_look: float | None = None
    just_proven: Evidence | None = None

    def holds(self, sight: Sight) -> Held:
        """Tell what the act has seen this very moment; without an act before it, look."""
        if self.just_proven is not None:
            seen, self.just_proven = self.just_proven, None
            return Yes(seen)
        faults, seen, final = self.faults(sight)
        if not faults:
            return Yes(seen)
        told: Evidence = {**seen, "faults": list(faults)}
        return No(told, "; ".join(faults)) if final else Settling(told, LOOK_AGAIN)

    def act(self, sight: Sight) -> Json:
        """Look until there are no faults. Raises NotSo with the next command when they are final."""
        while True:
            faults, seen, final = self.faults(sight)
            if not faults:
                self.just_proven = seen
                return None
            if final:
                raise NotSo("; ".join(faults), next_command=self.next_command)
            time.sleep(LOOK_AGAIN)

    def faults(self, sight: Sight) -> tuple[list[str], Evidence, bool]:
        """Look once: what is wrong, what was seen, and whether this is final: it began when time was over."""
        began = time.monotonic()
        self.first_look = self.first_look or began
        try:
            faults, seen = self.look(sight)
        except Unreachable as error:
            faults, seen = [str(error)], {}
        return faults, seen, began - self.first_look > self.within

    def step(self, name: str, title: str) -> Step:
        """Return the step that reads this proof."""
        return Step(
            name=name,
            title=title,
            effect=Effect.READ,
            holds=self.holds,
            act=self.act,
            undo=ONLY_READS,
            expect=0.1,
            deadline=self.within + 30.0,
        )


def _age_faults(timestamp: str, fresh_seconds: float, now: datetime) -> list[str]:
    try:
        said = datetime.fromisoformat(timestamp)
    except ValueError:
        return [f"timestamp: expected RFC 3339, got {timestamp!r}"]
    if said.tzinfo is None:
        return [f"timestamp: expected a zone, got {timestamp!r}"]
    age = (now - said.astimezone(UTC)).total_seconds()
    if abs(age) > fresh_seconds:
        return [f"timestamp: expected at most {fresh_seconds:g} s from now, got {age:+.0f} s"]
    return []
