"""Which calls a fault hits, and what a wrong fault is told."""

from __future__ import annotations

from typing import Any

import pytest

from twin.faults.fault import Fault, Faults


def fault(**given: Any) -> Fault:  # noqa: ANN401 - a fault's own fields
    """Read a fault that answers 503."""
    return Fault.read({"do": {"status": 503}, **given})


def test_after_and_times() -> None:
    """`after` matches go well, the next `times` do not, the rest do again."""
    one = fault(path="/x$", after=2, times=1)
    assert [one.hits("cloudflare", "GET", "/x") for _ in range(4)] == [False, False, True, False]
    assert fault(path="/x$").hits("cloudflare", "GET", "/x")


@pytest.mark.parametrize("given", [{"provider": "supabase"}, {"method": "POST"}, {"path": "^/y"}, {"path": "/x/more"}])
def test_other_calls_go_well(given: dict[str, str]) -> None:
    """Provider, method and path must all fit."""
    assert not fault(**given).hits("cloudflare", "GET", "/client/v4/x")


def test_the_first_fault_decides_and_all_count() -> None:
    """Two faults on one call: the older one acts, the younger one has seen the call too."""
    older, younger = fault(times=1), fault(after=1)
    faults = Faults([older, younger])
    assert faults.strike("supabase", "GET", "/") is older
    assert faults.strike("supabase", "GET", "/") is younger


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"do": {"status": 500}, "paht": "/"}, "unknown keys: paht"),
        ({"do": {"sttus": 500}}, "unknown keys: sttus"),
        ({"do": {"reset": "during"}}, 'reset is "before" or "after"'),
        ({"do": {"truncate": True}}, "truncate is a share of the body from 0 to below 1, not True"),
        ({"do": {"truncate": 1.0}}, "truncate is a share of the body from 0 to below 1, not 1.0"),
    ],
)
def test_a_misspelt_fault_is_refused(given: dict[str, Any], error: str) -> None:
    """A fault that would never hit is told at once."""
    with pytest.raises(ValueError, match=error):
        Fault.read(given)
