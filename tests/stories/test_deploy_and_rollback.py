"""A release, a bad one, the way back, and the next deploy: on the real runtime and a real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runbooks.clients.edge import Edge
from runbooks.clients.twin import Do, Fault
from runbooks.model.settings import read_stack

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stories.conftest import Operator

pytestmark = pytest.mark.twin

BAD = """
import app from {entry};
const path = {path};
export default {{
  ...app,
  fetch(request, env, context) {{
    if (new URL(request.url).pathname === path) throw new Error("a bad release");
    return app.fetch(request, env, context);
  }},
}};
"""


def break_the_code(operator: Operator, folder: Path) -> None:
    """Let the stack file build a release that throws on one route."""
    stack = read_stack(operator.stack_file)
    *words, entry = stack.api.build
    bad = folder / "bad.js"
    path = f'"{stack.drill.bad_release.path}"'
    bad.write_text(BAD.format(entry=f'"{operator.root / entry}"', path=path), "utf-8")
    operator.edit("ems-ops:api", build=[*words, str(bad)])


def status_of(operator: Operator) -> int:
    """Ask the route that the bad release breaks, as a user does."""
    stack = read_stack(operator.stack_file)
    edge = Edge(operator.addresses.edge)
    try:
        return edge.get(stack.api.host, stack.drill.bad_release.path).status
    finally:
        edge.close()


def test_a_bad_release_is_rolled_back_and_stays_away(operator: Operator, tmp_path: Path) -> None:
    """The bad release is noticed by deploy, rollback undoes it, the pin keeps it away until it is taken off."""
    filled = operator.types("twin.up")
    assert filled.code == 0, filled.text
    assert status_of(operator) == 200

    break_the_code(operator, tmp_path)
    operator.edit("ems-ops:release", on_failure="stop")
    bad = operator.consents("deploy")
    assert (bad.code, bad.document["status"]) == (5, "unproven"), bad.text
    assert bad.document["next_command"] == f"invoke rollback --stack {operator.stack_file}"
    assert status_of(operator) == 500

    planned = operator.types("rollback", "--dry-run")
    assert (planned.code, planned.document["status"]) == (0, "planned"), planned.text
    assert status_of(operator) == 500

    deployments = len(operator.calls("POST", "/deployments"))
    back = operator.consents("rollback")
    assert (back.code, back.document["status"]) == (0, "done"), back.text
    assert status_of(operator) == 200
    assert len(operator.calls("POST", "/deployments")) == deployments + 1
    good = back.document["results"]["route traffic"]["version"]
    assert read_stack(operator.stack_file).pins["api"].version == good

    again = operator.consents("rollback")
    assert (again.code, again.document["status"]) == (0, "already so"), again.text
    assert len(operator.calls("POST", "/deployments")) == deployments + 1

    kept = operator.consents("deploy")
    assert (kept.code, kept.document["results"]["apply"]["live"]) == (0, good), kept.text
    assert status_of(operator) == 200

    assert operator.consents("rollback", "--unpin").code == 0
    gone = operator.consents("deploy")
    assert (gone.code, gone.document["next_command"]) == (
        2,
        f"invoke deploy --accept-quarantined --stack {operator.stack_file}",
    ), gone.text
    assert status_of(operator) == 200
    assert operator.consents("deploy", "--accept-quarantined").code == 5
    assert status_of(operator) == 500


def test_a_lost_answer_makes_one_deployment(operator: Operator) -> None:
    """The connection is cut after Cloudflare has routed the traffic: the rollback finds that and does it once."""
    first = operator.types("twin.up")
    assert first.code == 0, first.text
    operator.edit("ems-ops:api", variables={"RELEASE": "second"})
    second = operator.consents("deploy")
    assert second.code == 0, second.text
    before = len(operator.calls("POST", "/deployments"))
    operator.control.fault(Fault(provider="cloudflare", method="POST", path="/deployments$", do=Do(reset="after")))
    back = operator.consents("rollback")
    assert (back.code, back.document["status"]) == (0, "done"), back.text
    assert len(operator.calls("POST", "/deployments")) == before + 1
    shown = operator.types("runs.show")
    assert any("lost" in entry["payload"] for entry in shown.document["entries"])
    assert operator.types("runs.verify").code == 0
    assert operator.types("runs", folder=operator.root / "runbooks").document["runs"][-1]["status"] == "done"
