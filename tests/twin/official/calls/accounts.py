"""Accounts: who calls, tokens, the audit log, notifications, Logpush, Access."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.twin.official.sdk import Sdk

ALERTING = "/accounts/{account}/alerting/v3"
USER = "com.cloudflare.api.user"
ALERT = "http_alert_origin_error"


def webhook(it: Sdk) -> str:
    """Create a destination that takes everything and return its id."""
    return str(it.api.alerting.destinations.webhooks.create(**it.a, name=it.fresh("hook"), url=it.listener).id)


def policy(it: Sdk) -> str:
    """Create a notification policy and return its id."""
    told = {"email": [{"id": "operator@example.com"}]}
    made = it.api.alerting.policies.create(
        **it.a, name=it.fresh("policy"), alert_type=ALERT, enabled=True, mechanisms=told
    )
    return str(made.id)


def silenced(it: Sdk) -> str:
    """Silence a policy and return the silence's id."""
    now = datetime.now(UTC)
    span = {"start_time": now.isoformat(), "end_time": (now + timedelta(hours=1)).isoformat()}
    it.api.alerting.silences.create(**it.a, body=[{"policy_id": policy(it), **span}])
    return str(next(iter(it.api.alerting.silences.list(**it.a))).id)


def job(it: Sdk) -> int:
    """Create a Logpush job and return its id."""
    made = it.api.logpush.jobs.create(**it.a, destination_conf="r2://logs/{DATE}", dataset="workers_trace_events")
    return int(made.id)


def application(it: Sdk) -> Any:  # noqa: ANN401 - the client's model
    """Create an Access application."""
    return it.api.zero_trust.access.applications.create(
        **it.a, domain="ops.example.com", type="self_hosted", name="ops"
    )


def token(it: Sdk, room: Any) -> str:  # noqa: ANN401 - the client's room: the user's tokens, or the account's
    """Create a token and return its id."""
    where = {} if room is it.api.user.tokens else it.a
    return str(room.create(**where, name=it.fresh("token"), policies=it.policies()).id)


CASES: dict[str, Callable[[Sdk], object]] = {
    "GET /user": lambda it: it.api.user.get(),
    "GET /user/tokens/verify": lambda it: it.api.user.tokens.verify(),
    "GET /user/tokens": lambda it: token(it, it.api.user.tokens) and list(it.api.user.tokens.list()),
    "POST /user/tokens": lambda it: token(it, it.api.user.tokens),
    "GET /user/tokens/permission_groups": lambda it: list(it.api.user.tokens.permission_groups.list()),
    "GET /user/tokens/{token}": lambda it: it.api.user.tokens.get(token(it, it.api.user.tokens)),
    "PUT /user/tokens/{token}": lambda it: it.api.user.tokens.update(
        token(it, it.api.user.tokens), name="renamed", policies=it.policies(), status="active"
    ),
    "DELETE /user/tokens/{token}": lambda it: it.api.user.tokens.delete(token(it, it.api.user.tokens)),
    "PUT /user/tokens/{token}/value": lambda it: it.api.user.tokens.value.update(token(it, it.api.user.tokens)),
    "GET /accounts": lambda it: list(it.api.accounts.list()),
    "GET /accounts/{account}": lambda it: it.api.accounts.get(**it.a),
    "GET /accounts/{account}/tokens/verify": lambda it: it.api.accounts.tokens.verify(**it.a),
    "GET /accounts/{account}/tokens": lambda it: (
        token(it, it.api.accounts.tokens) and list(it.api.accounts.tokens.list(**it.a))
    ),
    "POST /accounts/{account}/tokens": lambda it: token(it, it.api.accounts.tokens),
    "GET /accounts/{account}/tokens/permission_groups": lambda it: list(
        it.api.accounts.tokens.permission_groups.list(**it.a)
    ),
    "GET /accounts/{account}/tokens/{token}": lambda it: it.api.accounts.tokens.get(
        token(it, it.api.accounts.tokens), **it.a
    ),
    "PUT /accounts/{account}/tokens/{token}": lambda it: it.api.accounts.tokens.update(
        token(it, it.api.accounts.tokens), **it.a, name="renamed", policies=it.policies(), status="active"
    ),
    "DELETE /accounts/{account}/tokens/{token}": lambda it: it.api.accounts.tokens.delete(
        token(it, it.api.accounts.tokens), **it.a
    ),
    "PUT /accounts/{account}/tokens/{token}/value": lambda it: it.api.accounts.tokens.value.update(
        token(it, it.api.accounts.tokens), **it.a
    ),
    "GET /accounts/{account}/logs/audit": lambda it: (
        it.script
        and list(
            it.api.accounts.logs.audit.list(
                **it.a,
                since=datetime.now(UTC).date() - timedelta(days=1),
                before=datetime.now(UTC).date() + timedelta(days=1),
            )
        )
    ),
    "GET /accounts/{account}/audit_logs": lambda it: it.script and list(it.api.audit_logs.list(**it.a)),
    f"GET {ALERTING}/available_alerts": lambda it: it.api.alerting.available_alerts.list(**it.a),
    f"GET {ALERTING}/destinations/eligible": lambda it: it.api.alerting.destinations.eligible.get(**it.a),
    f"GET {ALERTING}/destinations/webhooks": lambda it: (
        webhook(it) and list(it.api.alerting.destinations.webhooks.list(**it.a))
    ),
    f"POST {ALERTING}/destinations/webhooks": webhook,
    f"GET {ALERTING}/destinations/webhooks/{{id}}": lambda it: it.api.alerting.destinations.webhooks.get(
        webhook(it), **it.a
    ),
    f"PUT {ALERTING}/destinations/webhooks/{{id}}": lambda it: it.api.alerting.destinations.webhooks.update(
        webhook(it), **it.a, name="renamed", url=it.listener
    ),
    f"DELETE {ALERTING}/destinations/webhooks/{{id}}": lambda it: it.api.alerting.destinations.webhooks.delete(
        webhook(it), **it.a
    ),
    f"GET {ALERTING}/history": lambda it: list(it.api.alerting.history.list(**it.a)) == [],
    f"GET {ALERTING}/policies": lambda it: policy(it) and list(it.api.alerting.policies.list(**it.a)),
    f"POST {ALERTING}/policies": policy,
    f"GET {ALERTING}/policies/{{id}}": lambda it: it.api.alerting.policies.get(policy(it), **it.a),
    f"PUT {ALERTING}/policies/{{id}}": lambda it: it.api.alerting.policies.update(
        policy(it),
        **it.a,
        name="renamed",
        alert_type=ALERT,
        enabled=False,
        mechanisms={"email": [{"id": "a@example.com"}]},
    ),
    f"DELETE {ALERTING}/policies/{{id}}": lambda it: it.api.alerting.policies.delete(policy(it), **it.a),
    f"GET {ALERTING}/silences": lambda it: silenced(it) and list(it.api.alerting.silences.list(**it.a)),
    f"POST {ALERTING}/silences": silenced,
    f"PUT {ALERTING}/silences": lambda it: list(
        it.api.alerting.silences.update(
            **it.a, body=[{"id": silenced(it), "end_time": (datetime.now(UTC) + timedelta(hours=2)).isoformat()}]
        )
    ),
    f"GET {ALERTING}/silences/{{silence}}": lambda it: it.api.alerting.silences.get(silenced(it), **it.a),
    f"DELETE {ALERTING}/silences/{{silence}}": lambda it: it.api.alerting.silences.delete(silenced(it), **it.a),
    "GET /accounts/{account}/logpush/jobs": lambda it: job(it) and list(it.api.logpush.jobs.list(**it.a)),
    "POST /accounts/{account}/logpush/jobs": job,
    "GET /accounts/{account}/logpush/jobs/{id}": lambda it: it.api.logpush.jobs.get(job(it), **it.a),
    "PUT /accounts/{account}/logpush/jobs/{id}": lambda it: it.api.logpush.jobs.update(
        job(it), **it.a, destination_conf="r2://logs/other", enabled=True
    ),
    "DELETE /accounts/{account}/logpush/jobs/{id}": lambda it: it.api.logpush.jobs.delete(job(it), **it.a),
    "GET /accounts/{account}/access/apps": lambda it: (
        application(it) and list(it.api.zero_trust.access.applications.list(**it.a))
    ),
    "POST /accounts/{account}/access/apps": application,
    "GET /accounts/{account}/access/apps/{id}": lambda it: it.api.zero_trust.access.applications.get(
        application(it).id, **it.a
    ),
    "PUT /accounts/{account}/access/apps/{id}": lambda it: it.api.zero_trust.access.applications.update(
        application(it).id, **it.a, domain="new.example.com", type="self_hosted"
    ),
    "DELETE /accounts/{account}/access/apps/{id}": lambda it: it.api.zero_trust.access.applications.delete(
        application(it).id, **it.a
    ),
}
