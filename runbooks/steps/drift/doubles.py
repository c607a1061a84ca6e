"""What stands several times under a name: a creation whose answer was lost is repeated by Pulumi's provider.

The provider sends a POST again after a lost answer, without a key (recorded 2026-11-23): the first one is in no state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbooks.engine.step import ONLY_READS, Effect, Evidence, Json, Sight, Step, Yes
from runbooks.model.account import Difference, Kind
from runbooks.model.errors import CheckError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from infra.stack import Stack
    from runbooks.clients.account import Account


def doubled(account: Account, stack: Stack, *, known: Collection[str]) -> Iterator[Difference]:
    """Yield what stands there besides the one of its name that is `known` to be in use, or the first one listed."""
    spaces = [(space.title, space.id) for space in account.namespaces()] if stack.api.kv else []
    ways = [(way.name, way.id) for way in account.hyperdrives()]
    checks = [(check.name, check.id) for check in account.healthchecks()] if stack.alerts.health_check_seconds else []
    policies = [(policy.name, policy.id) for policy in account.policies()] if stack.alerts.policies else []
    told = [f"{stack.product.name} {policy.name}" for policy in stack.alerts.policies]
    own, zone = f"/accounts/{stack.account}", f"/zones/{account.zone}" if checks else ""
    for system, names, there, path in (
        ("KV", sorted(set(stack.api.kv.values())), spaces, f"{own}/storage/kv/namespaces"),
        ("Hyperdrive", [stack.database.hyperdrive], ways, f"{own}/hyperdrive/configs"),
        ("health check", [stack.api.name], checks, f"{zone}/healthchecks"),
        ("notification policy", told, policies, f"{own}/alerting/v3/policies"),
    ):
        for name in names:
            ids = [one for called, one in there if called == name]
            used = next((one for one in ids if one in known), ids[0] if ids else "")
            for one in ids:
                if one != used and one not in known:
                    mend = f"once nothing is bound to it, remove it: DELETE {path}/{one}"
                    yield Difference(
                        system, name, Kind.DOUBLE, f"one, {used}", f"also {one}", mend, one, (f"{path}/{one}", one)
                    )


def see_doubles(account: Account, stack: Stack, *, after: str, name: str) -> Step:
    """Return the step that says what the step `after` created twice. It never fails: a double harms nobody yet."""

    def act(sight: Sight) -> Json:
        applied = sight.results.get(after)
        ids = applied.get("ids") if isinstance(applied, dict) else None
        try:
            found = [*doubled(account, stack, known={str(one) for one in ids} if isinstance(ids, list) else ())]
        except CheckError as error:
            sight.note(f"whether something was created twice could not be seen: {error}")
            return None
        for one in found:
            sight.note(f"{one.system} {one.what} is there twice, {one.id} is in no state; {one.mend}")
        return {"doubles": [one.id for one in found]}

    seen: Evidence = {}
    return Step(
        name=name,
        title="see whether anything was created twice",
        effect=Effect.READ,
        holds=lambda _sight: Yes(seen),
        act=act,
        undo=ONLY_READS,
        expect=0.1,
    )
