"""A wrong stack file or environment is refused with the file, the key and what was expected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pulumi
import pytest
from pulumi import runtime

from infra import settings
from infra.dynamic.site_files import hash_file
from infra.sources import build_module, read_site
from infra.stack import Stack
from tests.infra.conftest import read

if TYPE_CHECKING:
    from tests.infra.conftest import Config


OPTIONAL = {f"ems-ops:{each.name}" for each in msgspec.structs.fields(Stack) if not each.required}


def load(config: Config) -> object:
    """Read a configuration as the program does."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    runtime.set_all_config(texts, [])
    return settings.read_stack()


def test_a_missing_key_is_named(root: Path) -> None:
    """A key that isn't there is named with its file."""
    for key in read(root, "twin").keys() - OPTIONAL:
        config = read(root, "twin")
        del config[key]
        with pytest.raises(pulumi.RunError, match=rf"^Pulumi\.stack\.yaml: {key}: is missing"):
            load(config)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("ems-ops:api", {}, "ems-ops:api: Object missing required field `name`"),
        ("ems-ops:account", "12", "ems-ops:account: Expected `str` matching regex"),
        ("cloudflare:baseUrl", "nowhere", "cloudflare:baseUrl: Expected `str` matching regex"),
        ("ems-ops:web", "text", "ems-ops:web: expected structured values, got the text 'text'"),
        ("ems-ops:objectives", {"rto_seconds": 1, "rpo_seconds": 1, "rpo": 2}, "unknown field `rpo`"),
    ],
)
def test_a_wrong_value_is_named(root: Path, key: str, value: Any, expected: str) -> None:  # noqa: ANN401 - YAML
    """The key of a wrong value stands in the message, with what was expected."""
    with pytest.raises(pulumi.RunError) as refused:
        load({**read(root, "twin"), key: value})
    assert expected in str(refused.value)


@pytest.mark.parametrize("key", sorted(OPTIONAL))
def test_what_the_cli_makes_of_null_is_the_default(root: Path, key: str) -> None:
    """The CLI hands on a null as an empty text: for a key that may be left out, that is leaving it out."""
    config = read(root, "twin")
    config.pop(key, None)
    assert load({**config, key: ""}) == load(config)


def test_the_origin_is_taken_apart() -> None:
    """User, password and database are decoded; a missing port is PostgreSQL's."""
    origin = settings.read_origin("postgresql://owner.x:a%2Fb@db.example.com/main")
    assert (origin.host, origin.port, origin.database, origin.user) == ("db.example.com", 5432, "main", "owner.x")


@pytest.mark.parametrize("url", ["", "mysql://u:hush@h/d", "postgresql://u:hush@h", "postgresql://u:hush@h:no/d", "["])
def test_a_wrong_database_address_is_never_shown(url: str) -> None:
    """The message says what is expected and keeps what was given to itself."""
    with pytest.raises(pulumi.RunError, match="EMS_DATABASE_URL: expected postgresql://user:password@host") as refused:
        settings.read_origin(url)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("python", "-c", "import sys; sys.exit('no such module')"), "got exit 1: no such module"),
        (("python", "-c", ""), "expected an ES module and exit 0, got exit 0"),
        (("no-such-program",), "there is no program 'no-such-program'"),
    ],
)
def test_a_failed_build_says_what_it_said(root: Path, command: tuple[str, ...], expected: str) -> None:
    """The build's own words stand in the message, after the key."""
    with pytest.raises(pulumi.RunError) as refused:
        build_module(command, root=root)
    assert str(refused.value).startswith("ems-ops:api.build: ")
    assert expected in str(refused.value)


def test_the_build_runs_in_the_root(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the program runs, its build starts at the repository's root."""
    monkeypatch.chdir(tmp_path)
    printed = build_module(("python", "-c", "import os; print(os.getcwd())"), root=root)
    assert Path(printed.decode().strip()) == root


def test_files_are_hashed_as_pages_does(tmp_path: Path) -> None:
    """The hash is the one that wrangler computes for the same file."""
    file = tmp_path / "index.html"
    file.write_bytes(b"<h1>hi</h1>\n")
    assert hash_file(file) == "17453d0cfb9bacc76d9f30d3cb9ca048"


def test_a_site_is_its_files(tmp_path: Path) -> None:
    """Paths start with a slash; what wrangler leaves out stays out."""
    for name in ("index.html", "a/b.css", "_headers", "node_modules/x.js", ".DS_Store"):
        (tmp_path / "web" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "web" / name).write_text(name)
    assert list(read_site("web", root=tmp_path)) == ["/_headers", "/a/b.css", "/index.html"]
    (tmp_path / "web" / "_worker.js").touch()
    with pytest.raises(pulumi.RunError, match="Pages Functions are not uploaded"):
        read_site("web", root=tmp_path)
    with pytest.raises(pulumi.RunError, match="nowhere: expected the files of the site, got none"):
        read_site("nowhere", root=tmp_path)
