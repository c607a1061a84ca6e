"""The stage's own stack file leads to its twin only, and what killed drills left is swept away."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from runbooks.clients.twin import Addresses
from runbooks.drills.rig.site import open_site, without_secrets
from runbooks.drills.rig.stage import OWNER, STATE, Phases, sweep, write_stack
from runbooks.model.errors import Refused
from runbooks.model.evidence import DRILLS
from runbooks.model.settings import load, read_stack
from runbooks.render.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

TWIN = Addresses(
    pid=1,
    cloudflare="http://127.0.0.1:1001/client/v4",
    supabase="http://127.0.0.1:1002",
    edge="http://127.0.0.1:1003",
    dns="127.0.0.1:1004",
    database_url="postgresql://postgres:pw@127.0.0.1:1005/postgres",
    tokens={},
    account="0" * 32,
)


@pytest.mark.parametrize("stack", ["twin", "prod"])
def test_the_stack_file_leads_to_the_twin_only(root: Path, tmp_path: Path, stack: str) -> None:
    """Whatever stack it is made from, every address is the twin's, and everything else is as it was."""
    base = load(stack, root=root, environ={})
    written = read_stack(write_stack(base, tmp_path, TWIN))
    assert (written.base_url, written.endpoints.edge, written.endpoints.supabase) == (
        TWIN.cloudflare,
        TWIN.edge,
        TWIN.supabase,
    )
    assert written.pins == {}
    assert written.database.operator_cidrs == ("127.0.0.1/32",)
    assert (written.api, written.web, written.drill) == (base.stack.api, base.stack.web, base.stack.drill)


def test_another_build_is_named(root: Path, tmp_path: Path) -> None:
    """A bad release differs from the good one by how it is built."""
    written = read_stack(write_stack(load("twin", root=root, environ={}), tmp_path, TWIN, build=["python", "x"]))
    assert written.api.build == ("python", "x")


def test_a_drill_refuses_real_addresses(root: Path) -> None:
    """A stack whose providers are real is never opened for a drill."""
    show = Terminal.__new__(Terminal)
    with pytest.raises(Refused):
        open_site(root / "Pulumi.prod.yaml", root=root, environ={}, show=show, actor="olga")


def test_real_secrets_never_reach_a_drill() -> None:
    """Of the environment only what is no provider's secret is passed on."""
    environ = {"EMS_DATABASE_URL": "postgresql://real", "CLOUDFLARE_API_TOKEN": "real", "PATH": "/bin"}
    assert without_secrets(environ) == {"PATH": "/bin"}


def test_only_what_nobody_uses_is_swept(tmp_path: Path) -> None:
    """The twin of a dead drill goes, with the database that it put elsewhere; that of a living one stays."""
    dead, living, elsewhere = tmp_path / DRILLS / "dead", tmp_path / DRILLS / "living", tmp_path / "elsewhere"
    for folder, owner in ((dead, "999999999"), (living, str(os.getpid()))):
        (folder / STATE).mkdir(parents=True)
        (folder / OWNER).write_text(owner)
        (folder / "ledger.jsonl").touch()
    elsewhere.mkdir()
    (dead / STATE / "postgres.json").write_text(f'{{"folder": "{elsewhere}"}}')
    sweep(tmp_path)
    assert not (dead / STATE).exists()
    assert not elsewhere.exists()
    assert (dead / "ledger.jsonl").exists()
    assert (living / STATE).exists()


def test_phases_add_up() -> None:
    """A phase that comes again adds its time, also when it fails."""
    phases = Phases()
    with phases.measured("one"):
        pass
    with pytest.raises(ValueError, match="no"), phases.measured("two"):
        raise ValueError("no")  # noqa: EM101 - a test's own
    assert list(phases.seconds) == ["one", "two"]
