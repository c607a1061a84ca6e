"""The address of an ops home: a folder, or a bucket that can be reached safely."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runbooks.model.errors import Refused
from runbooks.model.object_store import EXAMPLE, ObjectStore, object_store
from runbooks.model.settings import load
from tests.runbooks.model.test_settings import refusal, stack_file

if TYPE_CHECKING:
    from pathlib import Path

KEYS = {
    "AWS_ACCESS_KEY_ID": "planted-key-id",
    "AWS_SECRET_ACCESS_KEY": "planted/secret+key",
    "AWS_SESSION_TOKEN": "t" * 9,
}

ASTRAY = "holds something else than letters, digits, `.`, `_` and `-` between slashes"


@pytest.mark.parametrize("folder", [".ops/prod", "/var/lib/ops", "ops home", "s3", "C:ops"])
def test_a_path_is_a_folder(folder: str) -> None:
    """Whatever is no address is a path."""
    assert object_store(folder) is None


@pytest.mark.parametrize(
    ("address", "expected", "label"),
    [
        ("s3://ops", ObjectStore("ops", "", None, "us-east-1"), "ops"),
        ("s3://ops/", ObjectStore("ops", "", None, "us-east-1"), "ops"),
        ("s3://ems.ops/a/b_c/", ObjectStore("ems.ops", "a/b_c", None, "us-east-1"), "ems.ops+a+b_c"),
        ("s3://ops/p?region=eu-west-3", ObjectStore("ops", "p", None, "eu-west-3"), "ops+p"),
        (
            "s3://ops?endpoint=https://x.r2.cloudflarestorage.com/&region=auto",
            ObjectStore("ops", "", "https://x.r2.cloudflarestorage.com", "auto"),
            "ops",
        ),
        ("s3://ops?endpoint=http://127.0.0.1:9", ObjectStore("ops", "", "http://127.0.0.1:9", "us-east-1"), "ops"),
    ],
)
def test_an_address_is_read(address: str, expected: ObjectStore, label: str) -> None:
    """Bucket, prefix, endpoint and region; Amazon's own store and its first region where nothing is said."""
    store = object_store(address)
    assert store == expected
    assert store.label == label


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("gs://ops", f"expected a folder, or an address like {EXAMPLE}"),
        ("https://ops.example.com", f"expected a folder, or an address like {EXAMPLE}"),
        ("s3://", f"expected a folder, or an address like {EXAMPLE}"),
        ("s3:///prefix", f"expected a folder, or an address like {EXAMPLE}"),
        ("s3://Upper/prefix", f"expected a folder, or an address like {EXAMPLE}"),
        ("s3://key:secret@ops", f"expected a folder, or an address like {EXAMPLE}"),
        ("s3://ops:9000", f"expected a folder, or an address like {EXAMPLE}"),
        ("s3://ops/p#x", f"expected a folder, or an address like {EXAMPLE}"),
        ("s3://ops/a//b", f"the prefix a//b {ASTRAY}"),
        ("s3://ops/../b", f"the prefix ../b {ASTRAY}"),
        ("s3://ops/a b", f"the prefix a b {ASTRAY}"),
        ("s3://ops?endpoit=x", f"endpoit is not known there; expected a folder, or an address like {EXAMPLE}"),
        *(
            (f"s3://ops?endpoint={endpoint}", "its endpoint is not an address like https://ACCOUNT.r2.cloudflarestorage.com")
            for endpoint in ("", "x", "http://10.0.0.1", "https://", "https://a:b@host", "https://host/path", "ftp://host")
        ),
    ],
)  # fmt: skip
def test_another_address_is_refused(root: Path, tmp_path: Path, address: str, text: str) -> None:
    """The refusal names file, key and what was expected, and never repeats what may be a secret."""
    file = stack_file(root, tmp_path, {"ems-ops:ops_home": address})
    assert refusal(file) == f"Pulumi.other.yaml: ems-ops:ops_home is not right: {text}."


def test_keys_come_from_the_environment_and_are_secrets(root: Path, tmp_path: Path) -> None:
    """What is missing is named with what it is; what is there is never shown."""
    file = stack_file(root, tmp_path, {"ems-ops:ops_home": "s3://ops/team", "ems-ops:local_folder": "here"})
    settings = load(str(file), root=root, environ=KEYS)
    assert set(KEYS.values()) <= set(settings.secrets())
    assert settings.home == root / "here"
    with pytest.raises(Refused, match=r"AWS_SECRET_ACCESS_KEY is not set\. Expected in the environment: the secret of"):
        load(str(file), root=root, environ={}).require("AWS_SECRET_ACCESS_KEY")


def test_what_stays_here_has_a_folder_for_each_stack(root: Path, tmp_path: Path) -> None:
    """Without a folder of its own, a stack's is named like it."""
    file = stack_file(root, tmp_path, {"ems-ops:ops_home": "s3://ops/team"})
    assert load(str(file), root=root, environ={}).home == root / ".ops" / "other"
