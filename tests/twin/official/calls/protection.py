"""What guards a zone: rules, health checks, load balancers, waiting rooms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudflare.types.rulesets.ruleset_create_response import Ruleset

from tests.twin.official.sdk import PHASE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.twin.official.sdk import Sdk

RULE = {"action": "block", "expression": "true", "description": "all"}


def typed(told: object) -> Ruleset:
    """Return a ruleset by its model: the client itself takes any object for one."""
    return Ruleset.model_validate(told)


def ruleset(it: Sdk) -> Ruleset:
    """Create the ruleset of a phase; one that is there is deleted first."""
    for old in it.api.rulesets.list(**it.z):
        it.api.rulesets.delete(old.id, **it.z)
    return typed(it.api.rulesets.create(**it.z, name="own", kind="zone", phase=PHASE, rules=[RULE]))


def check(it: Sdk) -> Any:  # noqa: ANN401 - the client's model
    """Create a health check."""
    return it.api.healthchecks.create(**it.z, name=it.fresh("check"), address="www.example.com")


def balancer(it: Sdk) -> Any:  # noqa: ANN401 - the client's model
    """Create a load balancer."""
    name = f"{it.fresh('lb')}.example.com"
    return it.api.load_balancers.create(**it.z, name=name, default_pools=["p"], fallback_pool="p")


def room(it: Sdk) -> Any:  # noqa: ANN401 - the client's model
    """Create a waiting room."""
    return it.api.waiting_rooms.create(**it.z, **ROOM, name=it.fresh("room"))


def rule(it: Sdk, method: str, **sent: Any) -> Any:  # noqa: ANN401 - the client's model
    """Call something on the only rule of a new ruleset."""
    made = ruleset(it)
    (only,) = made.rules
    return getattr(it.api.rulesets.rules, method)(only.id, **it.z, ruleset_id=made.id, **sent)


def changed(it: Sdk) -> str:
    """Make a ruleset of two versions and return its id."""
    made = ruleset(it)
    it.api.rulesets.rules.create(made.id, **it.z, **RULE | {"expression": "false"})
    return made.id


def of_phase(it: Sdk) -> dict[str, str]:
    """Have a ruleset of two versions; return its phase and zone as arguments."""
    changed(it)
    return {"ruleset_phase": PHASE, **it.z}


RULESET, ENTRY = "/zones/{zone}/rulesets/{ruleset}", "/zones/{zone}/rulesets/phases/{phase}/entrypoint"
ROOM: dict[str, Any] = {"host": "shop.example.com", "new_users_per_minute": 200, "total_active_users": 200}
CASES: dict[str, Callable[[Sdk], object]] = {
    "GET /zones/{zone}/rulesets": lambda it: ruleset(it) and list(it.api.rulesets.list(**it.z)),
    "POST /zones/{zone}/rulesets": ruleset,
    f"GET {RULESET}": lambda it: it.api.rulesets.get(ruleset(it).id, **it.z),
    f"PUT {RULESET}": lambda it: typed(
        it.api.rulesets.update(ruleset(it).id, **it.z, name="own", kind="zone", phase=PHASE, rules=[])
    ),
    f"DELETE {RULESET}": lambda it: it.api.rulesets.delete(ruleset(it).id, **it.z),
    f"POST {RULESET}/rules": lambda it: it.api.rulesets.rules.create(ruleset(it).id, **it.z, **RULE),
    f"PATCH {RULESET}/rules/{{rule}}": lambda it: rule(it, "edit", **RULE | {"enabled": False}),
    f"DELETE {RULESET}/rules/{{rule}}": lambda it: rule(it, "delete"),
    f"GET {RULESET}/versions": lambda it: list(it.api.rulesets.versions.list(changed(it), **it.z)),
    f"GET {RULESET}/versions/{{version}}": lambda it: it.api.rulesets.versions.get("1", ruleset_id=changed(it), **it.z),
    f"DELETE {RULESET}/versions/{{version}}": lambda it: it.api.rulesets.versions.delete(
        "1", ruleset_id=changed(it), **it.z
    ),
    f"GET {ENTRY}": lambda it: it.api.rulesets.phases.get(**of_phase(it)),
    f"PUT {ENTRY}": lambda it: it.api.rulesets.phases.update(PHASE, **it.z, rules=[RULE]),
    f"GET {ENTRY}/versions": lambda it: list(it.api.rulesets.phases.versions.list(**of_phase(it))),
    f"GET {ENTRY}/versions/{{version}}": lambda it: it.api.rulesets.phases.versions.get("1", **of_phase(it)),
    "GET /zones/{zone}/healthchecks": lambda it: check(it) and list(it.api.healthchecks.list(**it.z)),
    "POST /zones/{zone}/healthchecks": check,
    "GET /zones/{zone}/healthchecks/{id}": lambda it: it.api.healthchecks.get(check(it).id, **it.z),
    "PUT /zones/{zone}/healthchecks/{id}": lambda it: it.api.healthchecks.update(
        check(it).id, **it.z, name="put", address="www.example.com"
    ),
    "PATCH /zones/{zone}/healthchecks/{id}": lambda it: it.api.healthchecks.edit(
        check(it).id, **it.z, name="patched", address="www.example.com"
    ),
    "DELETE /zones/{zone}/healthchecks/{id}": lambda it: it.api.healthchecks.delete(check(it).id, **it.z),
    "GET /zones/{zone}/load_balancers": lambda it: balancer(it) and list(it.api.load_balancers.list(**it.z)),
    "POST /zones/{zone}/load_balancers": balancer,
    "GET /zones/{zone}/load_balancers/{id}": lambda it: it.api.load_balancers.get(balancer(it).id, **it.z),
    "PUT /zones/{zone}/load_balancers/{id}": lambda it: it.api.load_balancers.update(
        balancer(it).id, **it.z, name=f"{it.fresh('lb')}.example.com", default_pools=["q"], fallback_pool="q"
    ),
    "DELETE /zones/{zone}/load_balancers/{id}": lambda it: it.api.load_balancers.delete(balancer(it).id, **it.z),
    "GET /zones/{zone}/waiting_rooms": lambda it: room(it) and list(it.api.waiting_rooms.list(**it.z)),
    "POST /zones/{zone}/waiting_rooms": room,
    "GET /zones/{zone}/waiting_rooms/{id}": lambda it: it.api.waiting_rooms.get(room(it).id, **it.z),
    "PUT /zones/{zone}/waiting_rooms/{id}": lambda it: it.api.waiting_rooms.update(
        room(it).id, **it.z, **ROOM, name=it.fresh("room")
    ),
    "DELETE /zones/{zone}/waiting_rooms/{id}": lambda it: it.api.waiting_rooms.delete(room(it).id, **it.z),
}
