"""Secrets of the Worker: refused, set, read by a real Worker, changed, and changed again after a rollback."""

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

SHOWING = """
import app from {entry};
export default {{
  ...app,
  fetch(request, env, context) {{
    if (new URL(request.url).pathname === "/secrets") return Response.json([env.API_KEY ?? "", env.MAIL_KEY ?? ""]);
    return app.fetch(request, env, context);
  }},
}};
"""


def show_secrets(operator: Operator, folder: Path) -> None:
    """Let the stack file build the app with a route that shows its secrets."""
    *words, entry = read_stack(operator.stack_file).api.build
    file = folder / "showing.js"
    file.write_text(SHOWING.format(entry=f'"{operator.root / entry}"'), "utf-8")
    operator.edit("ems-ops:api", build=[*words, str(file)], secrets=["API_KEY", "MAIL_KEY"])


def seen(operator: Operator) -> list[str]:
    """Ask the Worker for its secrets, as the edge serves it now."""
    edge = Edge(operator.addresses.edge)
    try:
        answer = edge.get(read_stack(operator.stack_file).api.host, "/secrets")
        return answer.decode(list[str])
    finally:
        edge.close()


def test_secrets_are_set_changed_and_never_written(operator: Operator, tmp_path: Path) -> None:
    """First values come with the deploy, new ones while it runs, also on a pinned release; nothing holds a value."""
    planted = ["first-value-of-a-key", "first-value-for-mail", "second-value-of-a-key", "third-value-of-a-key"]
    show_secrets(operator, tmp_path)
    refused = operator.types("twin.up")
    assert refused.code == 2, refused.text
    assert "EMS_SECRET_API_KEY, EMS_SECRET_MAIL_KEY" in refused.text
    assert "export EMS_SECRET_API_KEY=… export EMS_SECRET_MAIL_KEY=…" in refused.text
    assert operator.calls("POST", "/versions") == []

    operator.environment.update({"EMS_SECRET_API_KEY": planted[0], "EMS_SECRET_MAIL_KEY": planted[1]})
    up = operator.types("twin.up")
    assert up.code == 0, up.text
    assert seen(operator) == planted[:2]
    del operator.environment["EMS_SECRET_API_KEY"], operator.environment["EMS_SECRET_MAIL_KEY"]

    nothing = operator.consents("deploy.secrets")
    assert (nothing.code, nothing.document["next_command"]) == (2, "export EMS_SECRET_API_KEY=…"), nothing.text

    operator.environment["EMS_SECRET_API_KEY"] = planted[2]
    planned = operator.types("deploy.secrets", "--dry-run")
    assert (planned.code, seen(operator)) == (0, planted[:2]), planned.text
    changed = operator.consents("deploy.secrets")
    assert changed.code == 0, changed.text
    assert seen(operator) == [planted[2], planted[1]]
    del operator.environment["EMS_SECRET_API_KEY"]

    same = operator.consents("deploy")
    assert same.code == 0, same.text
    assert seen(operator) == [planted[2], planted[1]]
    operator.edit("ems-ops:api", variables={"RELEASE": "second"})
    second = operator.consents("deploy")
    assert second.code == 0, second.text
    assert seen(operator) == [planted[2], planted[1]]

    back = operator.consents("rollback")
    assert back.code == 0, back.text
    operator.environment["EMS_SECRET_API_KEY"] = planted[3]
    rotated = operator.consents("deploy.secrets")
    assert rotated.code == 0, rotated.text
    assert seen(operator) == [planted[3], planted[1]]
    pinned = read_stack(operator.stack_file).pins["api"].version
    assert pinned == rotated.document["results"]["set"]["version"]
    again = operator.consents("rollback")
    assert (again.code, again.document["status"]) == (0, "already so"), again.text
    kept = operator.consents("deploy")
    assert (kept.code, seen(operator)) == (0, [planted[3], planted[1]]), kept.text

    homes = (file for folder in ("ops", "twin/apply.json") for file in _files(tmp_path / folder))
    hits = [(file, value) for file in homes for value in planted if value in file.read_text("utf-8", "replace")]
    assert hits == []
    assert all(value not in said.text for said in (up, changed, rotated, kept) for value in planted)


def test_an_undo_brings_the_former_values_back(operator: Operator, tmp_path: Path) -> None:
    """A lost answer uploads once; `runs.undo` sends the traffic back to the version with the values before."""
    show_secrets(operator, tmp_path)
    operator.environment.update({"EMS_SECRET_API_KEY": "the-good-value", "EMS_SECRET_MAIL_KEY": "for-mail"})
    assert operator.types("twin.up").code == 0
    operator.environment["EMS_SECRET_API_KEY"] = "the-wrong-value"
    uploads = len(operator.calls("POST", "/versions"))
    operator.control.fault(Fault(provider="cloudflare", method="POST", path="/versions$", do=Do(reset="after")))
    changed = operator.consents("deploy.secrets")
    assert (changed.code, seen(operator)[0]) == (0, "the-wrong-value"), changed.text
    assert len(operator.calls("POST", "/versions")) == uploads + 1
    del operator.environment["EMS_SECRET_API_KEY"]
    undone = operator.consents("runs.undo")
    assert (undone.code, seen(operator)[0]) == (0, "the-good-value"), undone.text


def _files(place: Path) -> list[Path]:
    return [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]
