"""What can't be done is said in one message that names the resource, the key or the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.twin.apply.conftest import Cut
from twin.apply.stackfile import read

if TYPE_CHECKING:
    from pathlib import Path

    from tests.twin.apply.conftest import Project, Resources

WORKER: Resources = {"worker": ("Worker", {"name": "api"}, {})}


def test_the_provider_s_refusal_is_told_with_its_code(project: Project) -> None:
    """Status, code and text of the provider stand in the message, and the resource's name."""
    project.apply(WORKER)
    done = project.apply({**WORKER, "second": ("Worker", {"name": "api"}, {})})
    assert done.code == 1
    expected = "twin apply: cloudflare:index/worker:Worker second: POST /accounts/0123456789abcdef0123456789abcdef"
    assert done.error.splitlines()[-1].startswith(f"{expected}/workers/workers: 400 10021 A Worker named 'api' already")
    assert done.summary == {}


def test_what_somebody_else_made_is_never_taken_over(project: Project) -> None:
    """A name that is taken is refused, also the second time; the foreign resource stays as it is."""
    namespace: Resources = {"flags": ("WorkersKvNamespace", {"title": "flags"}, {})}
    project.apply(WORKER)
    for file in project.state.iterdir():
        file.unlink()
    for _ in range(2):
        done = project.apply({**WORKER, **namespace})
        assert done.code == 1
        assert "400 10021 A Worker named 'api' already exists" in done.error
        assert [where for method, where in project.api.sent() if "workers" in where] == ["workers/workers"]


def test_a_wrong_token_is_the_provider_s_to_refuse(project: Project) -> None:
    """A token that the twin doesn't know gives the provider's own answer."""
    done = project.apply(WORKER, token="x" * 40)
    assert done.code == 1
    assert ": 40" in done.error


def test_a_missing_zone_is_named(project: Project) -> None:
    """A look-up that finds nothing says what it looked for."""
    zone = {"zoneId": {"$zone": "other.example"}, "name": "a.other.example", "type": "A", "ttl": 1}
    done = project.apply({"record": ("DnsRecord", zone, {})})
    assert done.code == 1
    expected = "expected one zone with name other.example, account.id 0123456789abcdef0123456789abcdef, got 0"
    assert expected in done.error


def test_unknown_types_name_the_file_to_extend(project: Project) -> None:
    """A type that is not in the table is refused before any call."""
    done = project.apply({"bucket": ("Queue", {"queueName": "b"}, {})})
    assert (done.code, project.api.calls) == (1, [])
    assert "cloudflare:index/queue:Queue is not made real yet: add it to twin/apply/provider/kinds.py" in done.error


def test_options_that_nothing_heeds_are_refused(project: Project) -> None:
    """An option that would change what happens is not silently ignored."""
    done = project.apply({"worker": ("Worker", {"name": "api"}, {"ignore_changes": ["name"]})})
    assert (done.code, project.api.calls) == (1, [])
    assert "the option ignoreChanges is not applied here" in done.error


def test_two_resources_of_one_name_are_refused(project: Project) -> None:
    """What is declared twice under one name is refused, as the engine does."""
    main = project.folder / "program" / "main.py"
    main.write_text(main.read_text() + "\npulumi.CustomResource('cloudflare:index/worker:Worker', 'worker', {})\n")
    done = project.apply(WORKER)
    assert done.code == 1
    assert "two resources have this name" in done.error


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"probe:key": {"secure": "v1:abc"}}, "probe:key: an encrypted value can only be read by the Pulumi CLI"),
        ({"cloudflare:baseUrl": "https://api.cloudflare.com/client/v4"}, "on loopback"),
    ],
)
def test_stack_files_for_others_are_refused(project: Project, config: dict[str, object], expected: str) -> None:
    """Encrypted values and addresses beyond this machine belong to the Pulumi CLI."""
    done = project.apply(WORKER, **config)  # type: ignore[arg-type]
    assert (done.code, project.api.calls) == (1, [])
    assert expected in done.error


def test_null_in_a_stack_file_is_an_empty_text(tmp_path: Path) -> None:
    """As the CLI hands it on; within a structured value it stays what it is."""
    file = tmp_path / "Pulumi.one.yaml"
    file.write_text("config: {probe:none: null, probe:inner: {a: null}, probe:text: one}")
    assert read(file).config == {"probe:none": "", "probe:inner": '{"a": null}', "probe:text": "one"}


def test_a_program_s_own_error_is_its_message_alone(project: Project) -> None:
    """`pulumi.RunError` ends an apply with its text and no traceback."""
    main = project.folder / "program" / "main.py"
    main.write_text("import pulumi\nraise pulumi.RunError('Pulumi.test.yaml: probe:x: is missing')\n")
    done = project.apply({})
    assert (done.code, done.error) == (1, "twin apply: Pulumi.test.yaml: probe:x: is missing\n")


def test_a_provider_that_fails_for_good_is_told_after_some_tries(project: Project) -> None:
    """An update that never gets an answer is repeated, then told; the next apply does it."""
    project.apply(WORKER)
    project.api.cuts = [Cut("PUT", "/workers/workers", times=2)]
    changed: Resources = {"worker": ("Worker", {"name": "api", "logpush": True}, {})}
    done = project.apply(changed)
    assert (done.code, done.actions) == (0, {"worker": "update"})
    assert len(project.api.sent("PUT")) == 3


def test_a_damaged_state_is_refused(project: Project) -> None:
    """A state file that can't be read is never overwritten."""
    project.state.mkdir()
    (project.state / "apply.json").write_text(json.dumps({"version": 9}))
    done = project.apply(WORKER)
    assert (done.code, project.api.calls) == (1, [])
    assert "apply.json: expected version 1, got 9" in done.error
