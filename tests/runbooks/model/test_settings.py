"""Stack files: what is right is read, what is wrong is refused with file, key and expectation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies
from ruamel.yaml import YAML

from infra.shapes import Limiter
from runbooks.model.errors import Exit, Refused
from runbooks.model.settings import is_local, load, read_stack

if TYPE_CHECKING:
    from pathlib import Path


def stack_file(root: Path, folder: Path, change: dict[str, Any], *, drop: str = "") -> Path:
    """Write the twin's stack file to `folder` with some keys replaced and one dropped."""
    document = YAML(typ="safe", pure=True).load((root / "Pulumi.twin.yaml").read_text("utf-8"))
    document["config"].update(change)
    document["config"].pop(drop, None)
    file = folder / "Pulumi.other.yaml"
    YAML().dump(document, file)
    return file


def refusal(file: Path) -> str:
    """Read the file, which must be refused, and return the text."""
    with pytest.raises(Refused) as caught:
        read_stack(file)
    assert caught.value.exit is Exit.REFUSED
    return str(caught.value)


@pytest.mark.parametrize("name", ["prod", "twin"])
def test_reads_the_stacks_that_are_shipped(root: Path, name: str) -> None:
    """Both shipped stack files are whole and right."""
    read = load(name, root=root, environ={})
    assert read.name == name
    assert read.stack.product.name == "ems"
    assert is_local(read.stack) == (name == "twin")


def test_shipped_stacks_have_the_same_keys(root: Path) -> None:
    """Production and twin differ in values, never in keys, at any depth."""

    def keys(value: Any, at: str = "") -> set[str]:  # noqa: ANN401 - YAML holds anything
        if isinstance(value, dict):
            return {f"{at}.{key}" for key in value} | {k for key in value for k in keys(value[key], f"{at}.{key}")}
        return set()

    first, second = (
        keys(YAML(typ="safe", pure=True).load((root / f"Pulumi.{name}.yaml").read_text("utf-8")))
        for name in ("prod", "twin")
    )
    assert first == second


def test_names_a_missing_key(root: Path, tmp_path: Path) -> None:
    """A missing key is refused by file and key."""
    file = stack_file(root, tmp_path, {}, drop="ems-ops:objectives")
    assert refusal(file) == "Pulumi.other.yaml: ems-ops:objectives is missing."


def test_guesses_what_a_misspelt_key_meant(root: Path, tmp_path: Path) -> None:
    """A misspelt key is refused with the key that was probably meant."""
    file = stack_file(root, tmp_path, {"ems-ops:objectifs": {}})
    assert refusal(file) == "Pulumi.other.yaml: ems-ops:objectifs is not known; did you mean ems-ops:objectives."


def test_says_what_type_was_expected(root: Path, tmp_path: Path) -> None:
    """A value of the wrong type is refused with its whole path and what was expected."""
    file = stack_file(root, tmp_path, {"ems-ops:objectives": {"rto_seconds": "soon", "rpo_seconds": 1}})
    assert refusal(file) == (
        "Pulumi.other.yaml: ems-ops:objectives.rto_seconds is not right: Expected `float`, got `str` 'soon'."
    )


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("contacts.time_zone", "Europe/Pariss", "IANA database (Europe/Paris), got 'Europe/Pariss'"),
        (
            "database.operator_cidrs",
            ["192.0.2.1/99"],
            "expected operator_cidrs to be networks such as 192.0.2.10/32, got",
        ),
        ("database.operator_cidrs", [], "Expected `array` of length >= 1"),
        ("backups.store", "", "Expected `str` of length >= 1"),
        ("backups.proof_days", 1e308, "Expected `float` <= 3653.0"),
        ("database.checks", [{"name": "x", "sql": ""}], "Expected `str` of length >= 1"),
        ("endpoints.supabase", "http://[bad", "Expected `str` matching regex"),
        ("database.schema", "a\0b", "ems-ops:database.schema holds a character of code 0"),
        ("api.build", [], "Expected `array` of length >= 1"),
    ],
)
def test_refuses_what_would_fail_much_later(root: Path, tmp_path: Path, where: str, value: object, said: str) -> None:
    """What could only fail in the middle of a run is refused when the file is read, by its key."""
    key, _, field = where.partition(".")
    values = YAML(typ="safe", pure=True).load((root / "Pulumi.twin.yaml").read_text("utf-8"))["config"]
    told = refusal(stack_file(root, tmp_path, {f"ems-ops:{key}": {**values[f"ems-ops:{key}"], field: value}}))
    assert f"ems-ops:{key}" in told
    assert said in told


def test_says_what_was_got_and_takes_names_as_the_world_has_them(root: Path, tmp_path: Path) -> None:
    """A value that does not fit is shown; wildcards, underscores and encoded top domains are names of records."""
    names = ("*.apps.example.com", "k1._domainkey.example.com", "a_b.example.com", "xn--e1afmkfd.xn--p1ai")
    records = [{"name": name, "type": "A", "content": "192.0.2.1", "ttl": 1} for name in names]
    read = read_stack(stack_file(root, tmp_path, {"ems-ops:records": records}))
    assert [record.name for record in read.records] == list(names)
    file = stack_file(root, tmp_path, {"ems-ops:records": [*records, {**records[0], "name": "bücher.example"}]})
    said = refusal(file)
    assert said.startswith("Pulumi.other.yaml: ems-ops:records[4].name is not right: Expected `str` matching regex")
    assert said.endswith(", got 'bücher.example'.")
    database = YAML(typ="safe", pure=True).load((root / "Pulumi.twin.yaml").read_text("utf-8"))["config"][
        "ems-ops:database"
    ]
    database["heartbeat"]["table"] = '"Ops"."Heart Beat"'
    heartbeat = read_stack(stack_file(root, tmp_path, {"ems-ops:database": database})).database.heartbeat
    assert heartbeat is not None
    assert heartbeat.table == '"Ops"."Heart Beat"'


def test_refuses_an_unknown_key_inside_a_value(root: Path, tmp_path: Path) -> None:
    """An unknown key deep inside is refused too."""
    objectives = {"rto_seconds": 1, "rpo_seconds": 1, "rtto": 2}
    file = stack_file(root, tmp_path, {"ems-ops:objectives": objectives})
    assert "ems-ops:objectives is not right: Object contains unknown field `rtto`" in refusal(file)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("vars", "it is variables here"),
        ("bukets", "did you mean buckets?"),
        ("d1_databases", "it keeps data of its own, which no backup here holds and no restore takes back"),
        ("queues", "messages outlive a restore, and the twin has none, so that no drill would prove what"),
        ("services", "a stack has one Worker, and so has a drill's twin"),
        ("ai", "the twin cannot run it, so that no drill would prove a release that needs it"),
        ("zzz", "there is none"),
    ],
)
def test_what_a_worker_cannot_have_is_told(root: Path, tmp_path: Path, key: str, why: str) -> None:
    """A key of wrangler's, or a typo: what it is called here or why there is none, and what there is."""
    api = YAML(typ="safe", pure=True).load((root / "Pulumi.twin.yaml").read_text("utf-8"))["config"]["ems-ops:api"]
    said = refusal(stack_file(root, tmp_path, {"ems-ops:api": {**api, key: {}}}))
    assert f"ems-ops:api is not right: Object contains unknown field `{key}` ({why}" in said
    assert "; expected one of name, host, build, " in said


def test_what_makes_a_version_another_is_in_its_name(root: Path) -> None:
    """A dataset, a limiter, the order of nothing: the name changes with what the Worker is bound to, and only then."""
    api = read_stack(root / "Pulumi.twin.yaml").api
    changed: list[dict[str, Any]] = [
        {"analytics": {"POINTS": "seen"}},
        {"limiters": {"GATE": Limiter(namespace=1, limit=2)}},
        {"limiters": {"GATE": Limiter(namespace=1, limit=3)}},
        {"variables": {"A": {"x": 1, "y": 2}}},
    ]
    names = [msgspec.structs.replace(api, **values).message(b"code") for values in changed]
    assert len({api.message(b"code"), *names}) == len(names) + 1
    turned = msgspec.structs.replace(api, variables={"A": {"y": 2, "x": 1}})
    assert turned.message(b"code") == names[-1]  # the CLI hands on mappings by key


@pytest.mark.parametrize("traffic", [[], [10], [50, 10, 100], [10, 10, 100], [100, 10]])
def test_refuses_stages_that_do_not_grow_to_everything(root: Path, tmp_path: Path, traffic: list[int]) -> None:
    """A release that would stay half-way, or go back and forth, is told before it begins."""
    text = refusal(stack_file(root, tmp_path, {"ems-ops:release": {"traffic": traffic}}))
    shown = [float(stage) for stage in traffic]
    assert f"ems-ops:release is not right: expected stages that grow and end with 100, got {shown}" in text


def test_a_release_needs_no_policy(root: Path, tmp_path: Path) -> None:
    """An older stack file has none: all traffic at once, taken back by itself when a check fails."""
    release = read_stack(stack_file(root, tmp_path, {}, drop="ems-ops:release")).release
    assert (release.traffic, release.bake_seconds, release.on_failure) == ((100,), 0, "rollback")


def test_refuses_an_encrypted_value(root: Path, tmp_path: Path) -> None:
    """A `secure:` value can't be read without Pulumi, so runbooks refuse it by name."""
    file = stack_file(root, tmp_path, {"ems-ops:zone": {"secure": "v1:abc"}})
    assert "ems-ops:zone is encrypted (`secure:`)" in refusal(file)


def test_accepts_what_the_cli_adds(root: Path, tmp_path: Path) -> None:
    """The keys that the Pulumi CLI writes at the top of a stack file are accepted."""
    file = stack_file(root, tmp_path, {})
    file.write_text("encryptionsalt: v1:abc\n" + file.read_text("utf-8"), "utf-8")
    assert read_stack(file).product.name == "ems"


@pytest.mark.parametrize("value", [None, ""])
def test_null_leaves_an_optional_key_out(root: Path, tmp_path: Path, value: str | None) -> None:
    """So does the empty text that the CLI writes over a null; a key that must be there stays refused."""
    assert read_stack(stack_file(root, tmp_path, {"ems-ops:logpush": value})).logpush is None
    assert read_stack(stack_file(root, tmp_path, {"ems-ops:web": value})).sites == ()
    file = stack_file(root, tmp_path, {"ems-ops:api": value})
    assert "ems-ops:api is not right: Expected `object`" in refusal(file)


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "config: 3", "config:\n  a: !!python/object:os.system {}", "\x00"])
def test_refuses_garbage(tmp_path: Path, text: str) -> None:
    """Garbage is refused in one line that names the file."""
    file = tmp_path / "Pulumi.bad.yaml"
    file.write_text(text, "utf-8")
    assert refusal(file).startswith("Pulumi.bad.yaml: ")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(junk=strategies.binary(max_size=200))
def test_never_fails_otherwise(tmp_path: Path, junk: bytes) -> None:
    """Whatever bytes a stack file holds, the answer is a refusal, never a traceback."""
    file = tmp_path / "Pulumi.junk.yaml"
    file.write_bytes(junk)
    refusal(file)


def test_names_the_stacks_that_exist(root: Path) -> None:
    """An unknown stack is refused with those that exist."""
    with pytest.raises(Refused, match=r"a stack \(prod, twin\)"):
        load("prd", root=root, environ={})


def test_takes_secrets_from_the_environment_only(root: Path) -> None:
    """A secret that is not set is named with what it is; one that is set is listed for redaction."""
    environ = {"EMS_DATABASE_URL": "postgresql://u:pass%20word@h:5432/d", "OTHER": "x"}
    read = load("prod", root=root, environ=environ)
    assert read.require("EMS_DATABASE_URL") == environ["EMS_DATABASE_URL"]
    assert "pass%20word" in read.secrets()
    assert "pass word" in read.secrets()
    assert "OTHER" not in read.environment
    with pytest.raises(Refused, match="CLOUDFLARE_API_TOKEN is not set"):
        read.require("CLOUDFLARE_API_TOKEN")


def test_knows_the_twins_own_tokens(root: Path, tmp_path: Path) -> None:
    """For a stack on loopback, the tokens that the running twin wrote are found by themselves."""
    (tmp_path / "twin.json").write_text(
        json.dumps({"tokens": {"CLOUDFLARE_API_TOKEN": "t" * 40}, "database_url": "postgresql://a:b@127.0.0.1/p"}),
        "utf-8",
    )
    twin = read_stack(root / "Pulumi.twin.yaml").twin
    ports = {name: getattr(twin.ports, name) for name in twin.ports.__struct_fields__}
    file = stack_file(root, tmp_path, {"ems-ops:twin": {"state": str(tmp_path), "ports": ports}})
    assert load(str(file), root=root, environ={}).require("CLOUDFLARE_API_TOKEN") == "t" * 40
