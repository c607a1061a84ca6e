"""Dynamic resources go through their own provider, as Pulumi's plugin does it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.twin.apply.conftest import Applied, Project

MODULE = '''
import json, pathlib, pulumi
from pulumi import dynamic


class Keeper(dynamic.ResourceProvider):
    """Writes down what it is asked."""

    serialize_as_secret_always = False

    def configure(self, req):
        self.log = pathlib.Path(req.config.require("log"))

    def note(self, *what):
        with self.log.open("a") as file:
            file.write(json.dumps(what) + "\\n")

    def check(self, olds, news):
        failures = [dynamic.CheckFailure("size", "expected a positive one")] if news["size"] < 0 else []
        return dynamic.CheckResult(news, failures)

    def diff(self, known_id, olds, news):
        replaces = ["kind"] if olds["kind"] != news["kind"] else []
        return dynamic.DiffResult(changes=bool(replaces) or olds["size"] != news["size"], replaces=replaces)

    def create(self, props):
        self.note("create", props["kind"], props["size"], props["key"])
        if props["size"] == 13:
            raise pulumi.RunError("13 is refused")
        return dynamic.CreateResult(f"{props['kind']}-1", {**props, "double": props["size"] * 2})

    def update(self, known_id, olds, news):
        self.note("update", known_id, olds["size"], olds["double"], news["size"])
        return dynamic.UpdateResult({**news, "double": news["size"] * 2})

    def delete(self, known_id, props):
        self.note("delete", known_id, props["size"])


class Kept(dynamic.Resource, module="probe", name="Kept"):
    double: pulumi.Output[int]

    def __init__(self, name, size, kind, key, note):
        props = {"size": size, "kind": kind, "key": pulumi.Output.secret(key), "note": note, "double": None}
        super().__init__(Keeper(), name, props)
'''
PROGRAM = """
import pulumi
from shelf import Kept

given = pulumi.Config().require_object("resources")
for name, arguments in given.items():
    pulumi.export(name, Kept(name, *arguments).double)
"""


@pytest.fixture
def shelf(project: Project) -> Project:
    """Give a project whose program brings a type of its own along, in a module beside Pulumi.yaml."""
    (project.folder / "shelf.py").write_text(MODULE)
    (project.folder / "program" / "main.py").write_text(PROGRAM)
    return project


def apply(shelf: Project, **kept: Any) -> tuple[Applied, list[list[Any]]]:  # noqa: ANN401 - arguments of any shape
    """Apply and return what was done, with what the provider was asked."""
    log = shelf.folder / "log"
    log.unlink(missing_ok=True)
    done = shelf.apply(kept, outputs={}, **{"probe:log": str(log)})
    return done, [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_a_dynamic_resource_lives_through_its_provider(shelf: Project) -> None:
    """Created, left alone, updated, replaced and deleted by its own provider; its outputs are the program's."""
    done, asked = apply(shelf, box=[2, "wood", "hush-hush", "a"])
    assert (done.code, done.actions, done.summary["outputs"]) == (0, {"box": "create"}, {"box": 4}), done.error
    assert asked == [["create", "wood", 2, "hush-hush"]]

    done, asked = apply(shelf, box=[2, "wood", "hush-hush", "a"])
    assert (done.actions, done.summary["outputs"], asked) == ({"box": "same"}, {"box": 4}, [])
    done, asked = apply(shelf, box=[2, "wood", "hush-hush", "its provider does not care"])
    assert (done.actions, asked) == ({"box": "same"}, [])

    done, asked = apply(shelf, box=[3, "wood", "hush-hush", "a"])
    assert (done.actions, done.summary["outputs"]) == ({"box": "update"}, {"box": 6})
    assert asked == [["update", "wood-1", 2, 4, 3]]

    done, asked = apply(shelf, box=[3, "iron", "hush-hush", "a"])
    assert (done.actions, done.ids) == ({"box": "replace"}, {"box": "iron-1"})
    assert asked == [["create", "iron", 3, "hush-hush"], ["delete", "wood-1", 3]]
    assert b"hush-hush" not in (shelf.state / "apply.json").read_bytes()

    done, asked = apply(shelf)
    assert (done.actions, asked) == ({"box": "delete"}, [["delete", "iron-1", 3]])


@pytest.mark.parametrize(("size", "expected"), [(-1, "size: expected a positive one"), (13, "13 is refused")])
def test_what_its_provider_refuses_is_told(shelf: Project, size: int, expected: str) -> None:
    """A failed check and a refused creation are told with the resource's name."""
    done, _ = apply(shelf, box=[size, "wood", "k", "a"])
    assert done.code == 1
    assert done.error.endswith(f"twin apply: pulumi-python:dynamic/probe:Kept box: {expected}\n")
