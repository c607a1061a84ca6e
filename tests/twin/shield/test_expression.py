"""The rules language: what an expression means for a request, what is none, what the twin does not know."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from twin.shield.expression import compiled
from twin.shield.visit import Visit
from twin.shield.words import MalformedError, UnknownError

HEADERS = CIMultiDict({"User-Agent": "curl/8", "X-Key": "k1", "Cookie": "a=1; session=s1"})
VISIT = Visit(
    method="POST", host="api.ems.example", target="/Login.PHP?user=me+too&n=1", headers=HEADERS, remote="192.0.2.7"
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("true", True),
        ("not true", False),
        ('http.host eq "api.ems.example"', True),
        ('http.host == "www.ems.example"', False),
        ('http.host ne "www.ems.example"', True),
        ('http.request.method in {"PUT" "POST"}', True),
        ('not http.request.method in {"PUT" "POST"}', False),
        ('http.request.uri.path eq "/Login.PHP"', True),
        ('http.request.uri.path contains "login"', False),
        ('lower(http.request.uri.path) contains "login"', True),
        ('starts_with(http.request.uri.path, "/Log") and ends_with(http.request.uri.path, ".PHP")', True),
        ('http.request.uri.path.extension in {"php" "asp"}', True),
        ('http.request.uri eq "/Login.PHP?user=me+too&n=1"', True),
        ('http.request.uri.query contains "user="', True),
        ('http.request.uri.args["user"][0] eq "me too"', True),
        ('http.request.full_uri wildcard "https://*.ems.example/login.php*"', True),
        ('http.request.full_uri strict wildcard "https://*.ems.example/login.php*"', False),
        (r'http.request.uri.path wildcard r"/Log*.p\*p"', False),
        (r'http.request.uri.path matches "^/[A-Z][a-z]+\\.PHP$"', True),
        ('http.request.uri.path ~ r#"^/x"#', False),
        ("ip.src eq 192.0.2.7", True),
        ("ip.src in {198.51.100.0/24 192.0.2.0/28}", True),
        ("ip.src ne 192.0.2.0/24", False),
        ("ip.src in {2001:db8::/32}", False),
        ('ip.src.country eq "FR" and ssl', True),
        ("len(http.host) ge 15", True),
        ("len(http.host) in {1..14 16}", False),
        ('http.request.headers["x-key"][0] eq "k1"', True),
        ('http.request.headers["x-none"][0] ne "k1"', False),
        ('http.request.cookies["session"][0] eq "s1"', True),
        ('concat("/", http.request.method) eq "/POST"', True),
        ("false or true and false", False),
        ("(false or true) && !false", True),
        ("true xor true", False),
        ("true ^^ false", True),
        ("not (true and false) or false", True),
    ],
)
def test_what_an_expression_means(expression: str, expected: bool) -> None:  # noqa: FBT001 - a table of them
    """Every operator, function and field that the twin knows, on one request."""
    assert compiled(expression)(VISIT) is expected


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("", "Filter parsing error (1:1): the expression ends too early"),
        ("http.host eq", "Filter parsing error (1:13): the expression ends too early"),
        ('http.host eq "a', "Filter parsing error (1:14): unrecognised input"),
        ("http.host eq 5", "Filter parsing error (1:14): a value of another type is expected"),
        ("http.host", "Filter parsing error (1:10): expected an operator"),
        ("(true", "Filter parsing error (1:6): expected ')'"),
        ("true)", "Filter parsing error (1:5): unrecognised input ')'"),
        ("ip.src contains 1.2.3.4", "Filter parsing error (1:17): contains cannot be applied here"),
        ("ip.src eq 1.2.3.999", "Filter parsing error (1:11): 1.2.3.999 is no address"),
        ("http.host in {}", "Filter parsing error (1:16): expected a value"),
        ("((" * 60 + "true" + "))" * 60, "too many brackets in brackets"),
        ('http.host eq "' + "a" * 4096 + '"', "an expression has at most 4096 characters"),
    ],
)
def test_what_is_no_expression(expression: str, text: str) -> None:
    """The error says where and what was expected, as the provider's does."""
    with pytest.raises(MalformedError) as refused:
        compiled(expression)
    assert text in str(refused.value)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("cf.threat_score gt 5", "field 'cf.threat_score'"),
        ("ip.src in $bad_ones", "list $bad_ones"),
        ('any(http.request.headers["x"][*] eq "y")', "http.request.headers with anything but a name and [0]"),
        ('url_decode(http.host) eq "a"', "function 'url_decode'"),
        ('http.host matches "("', "regular expression '('"),
    ],
)
def test_what_the_twin_does_not_know(expression: str, text: str) -> None:
    """It is named; such a rule is kept and does nothing."""
    with pytest.raises(UnknownError) as unknown:
        compiled(expression)
    assert text in str(unknown.value)


@given(st.text(alphabet='()"\\{}[]!<>=~$*., abhtp_orandnot0123456789:/', max_size=60))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    """Nothing but the two errors comes out, and a test answers with a truth."""
    try:
        test = compiled(text)
    except (MalformedError, UnknownError):
        return
    assert test(VISIT) in {True, False}
