"""Secrets of a Worker: which upload is a run's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbooks.clients.cloudflare_secrets import WorkerSecrets
from runbooks.engine.step import No, Sight
from runbooks.steps.cloudflare.secrets import set_secrets

if TYPE_CHECKING:
    from tests.runbooks.desk import Desk


def test_a_run_of_the_same_id_from_another_ops_home_is_another_one(desk: Desk) -> None:
    """Two operators with ops homes of their own, in the same minute: each uploads its own values."""
    secrets, base, made = WorkerSecrets(desk.cloudflare, "ems-api"), desk.release(), []
    for value in ("first", "second"):
        step = set_secrets(desk.cloudflare, secrets, base=base, names=("KEY",), values={"KEY": value})
        held = step.holds(Sight(run="r"))
        assert isinstance(held, No)
        answer = step.act(Sight(run="r", request=value, before=held.evidence))
        assert isinstance(answer, dict)
        base = str(answer["version"])
        made.append(base)
    assert len(set(made)) == 2
