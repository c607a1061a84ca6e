"""Compile an expression of the rules language into one function, once; a request then costs a few comparisons.

`or`, `xor`, `and`, `not`, brackets; `eq ne lt le gt ge contains matches wildcard in`; `starts_with ends_with lower
upper len concat`. A value that the request lacks makes its comparison false, as the provider does.
Source: Cloudflare's rules language, read 2026-11-28.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from twin.shield.visit import FIELDS, MAPS, Value, Visit
from twin.shield.words import MalformedError, UnknownError, Word, split

Test = Callable[[Visit], bool]
Getter = Callable[[Visit], Value]
IP: Final = ipaddress.IPv4Address
_DEEPEST: Final = 100  # brackets in brackets
_SIGNS: Final = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge", "~": "matches"}
_JOINS: Final = (("or", "||"), ("xor", "^^"), ("and", "&&"))  # weakest first
_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": lambda have, want: bool(have == want),
    "ne": lambda have, want: bool(have != want),
    "lt": lambda have, want: bool(have < want),
    "le": lambda have, want: bool(have <= want),
    "gt": lambda have, want: bool(have > want),
    "ge": lambda have, want: bool(have >= want),
    "contains": lambda have, want: want in have,
}
_OPERATORS: Final[dict[type, frozenset[str]]] = {
    str: frozenset({*_ORDER, "in", "matches", "wildcard"}),
    int: frozenset({"eq", "ne", "lt", "le", "gt", "ge", "in"}),
    IP: frozenset({"eq", "ne", "in"}),
    bool: frozenset({"eq", "ne"}),
}


@lru_cache(maxsize=1024)
def compiled(expression: str) -> Test:
    """Return the test that an expression is. MalformedError: it is none; UnknownError: the twin lacks a word of it."""
    reader = _Reader(split(expression))
    test = reader.joined(0)
    if reader.word.kind != "end":
        raise MalformedError(reader.word.at, f"unrecognised input {reader.word.value!r}")
    return test


def compiled_value(expression: str) -> Getter:
    """Return the value that an expression is, such as one a request is counted by."""
    reader = _Reader(split(expression))
    operand = reader.operand()
    if reader.word.kind != "end":
        raise MalformedError(reader.word.at, f"unrecognised input {reader.word.value!r}")
    return operand.get


@dataclass(frozen=True)
class _Operand:
    """What stands left of an operator: its type and how a request answers it."""

    kind: type
    get: Getter


class _Reader:
    """Reads words from left to right."""

    def __init__(self, words: list[Word]) -> None:
        self._words = words
        self._next = 0
        self._depth = 0

    @property
    def word(self) -> Word:
        return self._words[self._next]

    def joined(self, level: int) -> Test:
        """Read tests that are joined by `or`, within them by `xor`, within them by `and`."""
        if level == len(_JOINS):
            return self.negated()
        tests = [self.joined(level + 1)]
        while self.word.value in _JOINS[level] and self.word.kind in {"word", "sign"}:
            self._next += 1
            tests.append(self.joined(level + 1))
        return tests[0] if len(tests) == 1 else _join(_JOINS[level][0], tests)

    def negated(self) -> Test:
        """Read a test, with `not` before it or in brackets."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise MalformedError(self.word.at, "too many brackets in brackets")
        try:
            if self.word.value in {"not", "!"} and self.word.kind != "text":
                self._next += 1
                inner = self.negated()
                return lambda visit: not inner(visit)
            if self._take("("):
                test = self.joined(0)
                self.expect(")")
                return test
            return self.compared()
        finally:
            self._depth -= 1

    def compared(self) -> Test:
        """Read a comparison, or a field or function that is true or false by itself."""
        if self.word.kind == "word" and self.word.value in {"true", "false"}:
            truth = self._pop().value == "true"
            return lambda _: truth
        left = self.operand()
        operator = self._operator()
        if operator is None:
            if left.kind is not bool:
                raise MalformedError(self.word.at, "expected an operator")
            return lambda visit: bool(left.get(visit))
        if operator.removeprefix("strict ") not in _OPERATORS[left.kind]:
            raise MalformedError(self.word.at, f"{operator} cannot be applied here")
        return _comparison(left, operator, self._wanted(left.kind, operator))

    def operand(self) -> _Operand:
        """Read a field or a function."""
        word = self._pop()
        if word.kind != "word":
            raise MalformedError(word.at, "expected a field or a function")
        if self._take("("):
            return self._function(word)
        if word.value in MAPS:
            return self._entry(word.value)
        if word.value not in FIELDS:
            message = f"field {word.value!r}"
            raise UnknownError(message)
        return _Operand(*FIELDS[word.value])

    def expect(self, sign: str) -> None:
        """Read one sign."""
        if not self._take(sign):
            raise MalformedError(self.word.at, f"expected {sign!r}")

    def _pop(self) -> Word:
        word = self.word
        if word.kind == "end":
            raise MalformedError(word.at, "the expression ends too early")
        self._next += 1
        return word

    def _take(self, sign: str) -> bool:
        taken = self.word.kind == "sign" and self.word.value == sign
        self._next += taken
        return taken

    def _operator(self) -> str | None:
        word = self.word
        name = _SIGNS.get(word.value, word.value) if word.kind in {"word", "sign"} else ""
        if name == "strict" and self._words[self._next + 1].value == "wildcard":
            self._next += 2
            return "strict wildcard"
        if name not in _OPERATORS[str]:
            return None
        self._next += 1
        return name

    def _entry(self, name: str) -> _Operand:
        self.expect("[")
        key = self._pop()
        self.expect("]")
        if not self._take("["):
            raise MalformedError(self.word.at, "expected an index")
        index = self._pop()
        self.expect("]")
        if key.kind != "text" or index.value != "0":
            message = f"{name} with anything but a name and [0]"
            raise UnknownError(message)
        look = MAPS[name]
        return _Operand(str, lambda visit: look(visit, key.value))

    def _function(self, word: Word) -> _Operand:
        arguments: list[_Operand] = []
        while not self._take(")"):
            if arguments:
                self.expect(",")
            arguments.append(self._argument())
        return _call(word.value, arguments)

    def _argument(self) -> _Operand:
        if self.word.kind == "text":
            text = self._pop().value
            return _Operand(str, lambda _: text)
        return self.operand()

    def _wanted(self, kind: type, operator: str) -> list[Any]:
        if operator != "in":
            return [_constant(kind, self._pop())]
        if self._take("$"):
            message = f"list ${self.word.value}"
            raise UnknownError(message)
        self.expect("{")
        wanted: list[Any] = []
        while not self._take("}"):
            wanted.append(_constant(kind, self._pop()))
        if not wanted:
            raise MalformedError(self.word.at, "expected a value")
        return wanted


def _join(how: str, tests: list[Test]) -> Test:
    if how == "xor":
        return lambda visit: sum(test(visit) for test in tests) % 2 == 1
    return (lambda visit: any(t(visit) for t in tests)) if how == "or" else (lambda visit: all(t(visit) for t in tests))


def _constant(kind: type, word: Word) -> Any:  # noqa: ANN401 - of the type that is compared
    """Return what a field is compared with: text, a number or a range of them, an address or a network."""
    if kind is str and word.kind == "text":
        return word.value
    if kind is bool and word.value in {"true", "false"}:
        return word.value == "true"
    if kind is int and word.kind == "number":
        first, _, last = word.value.partition("..")
        return range(int(first), int(last or first) + 1) if last else int(first)
    if kind is IP and word.kind == "ip":
        try:
            return ipaddress.ip_network(word.value, strict=False)
        except ValueError:
            raise MalformedError(word.at, f"{word.value} is no address") from None
    raise MalformedError(word.at, "a value of another type is expected")


def _comparison(left: _Operand, operator: str, wanted: list[Any]) -> Test:
    """Return the test of one comparison."""
    get = left.get
    if left.kind is IP:
        networks = tuple(wanted)
        if operator == "ne":
            return lambda visit: not any(get(visit) in network for network in networks)
        return lambda visit: any(get(visit) in network for network in networks)
    if operator == "in":
        plain = frozenset(one for one in wanted if not isinstance(one, range))
        ranges = tuple(one for one in wanted if isinstance(one, range))
        return lambda visit: get(visit) in plain or any(get(visit) in one for one in ranges)
    if operator in _ORDER:
        holds, want = _ORDER[operator], wanted[0]
        return lambda visit: (have := get(visit)) is not None and holds(have, want)
    search = _pattern(operator, wanted[0])
    return lambda visit: (have := get(visit)) is not None and search(str(have)) is not None


def _pattern(operator: str, text: str) -> Callable[[str], re.Match[str] | None]:
    if operator == "matches":
        try:
            return re.compile(text).search
        except re.error as error:
            message = f"regular expression {text!r} ({error})"
            raise UnknownError(message) from None
    parts = (re.escape(part).replace(r"\\\*", r"\*") for part in re.split(r"(?<!\\)\*", text))
    return re.compile(
        ".*".join(parts), re.DOTALL if operator.startswith("strict") else re.DOTALL | re.IGNORECASE
    ).fullmatch


def _call(name: str, arguments: list[_Operand]) -> _Operand:
    """Return what a function gives."""
    kinds, gets = [one.kind for one in arguments], [one.get for one in arguments]
    texts = all(kind is str for kind in kinds)
    if name in {"starts_with", "ends_with"} and texts and len(gets) == 2:  # noqa: PLR2004 - a text and a part of it
        have, want = gets
        if name == "starts_with":
            return _Operand(bool, lambda visit: str(have(visit) or "").startswith(str(want(visit))))
        return _Operand(bool, lambda visit: str(have(visit) or "").endswith(str(want(visit))))
    if name in {"lower", "upper"} and texts and len(gets) == 1:
        turn = str.lower if name == "lower" else str.upper
        return _Operand(str, lambda visit: turn(str(gets[0](visit) or "")))
    if name == "len" and texts and len(gets) == 1:
        return _Operand(int, lambda visit: len(str(gets[0](visit) or "").encode()))
    if name == "concat" and texts and gets:
        return _Operand(str, lambda visit: "".join(str(get(visit) or "") for get in gets))
    message = f"function {name!r}"
    raise UnknownError(message)
