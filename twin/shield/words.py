"""Split an expression of the rules language into words. Source: Cloudflare's rules language, read 2026-11-28."""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST = 4096  # characters, the provider's limit
_WORDS = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<raw>r(?P<hashes>\#*)"(?P<inside>.*?)"(?P=hashes))
  | (?P<text>"(?:\\.|[^"\\])*")
  | (?P<ip>(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+)(?:/\d{1,3})?)
  | (?P<number>-?\d+(?:\.\.-?\d+)?)
  | (?P<word>[A-Za-z_][A-Za-z0-9_.]*)
  | (?P<sign>==|!=|<=|>=|&&|\|\||\^\^|[()\[\]{}<>~!,$*])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([0-7]{3})|(.))", re.DOTALL)


class MalformedError(Exception):
    """No expression at all: the provider refuses it. Its text says where and what was expected."""

    def __init__(self, at: int, expected: str) -> None:
        super().__init__(f"Filter parsing error (1:{at + 1}): {expected}")


class UnknownError(Exception):
    """Perhaps an expression that the provider understands, but not the twin: the rule is kept and does nothing."""


@dataclass(frozen=True)
class Word:
    """One word: its kind (text, ip, number, word, sign, end), its value and where it begins."""

    kind: str
    value: str
    at: int


def split(expression: str) -> list[Word]:
    """Return the words and an end; MalformedError for what is no word."""
    if len(expression) > LONGEST:
        raise MalformedError(LONGEST, f"an expression has at most {LONGEST} characters")
    words: list[Word] = []
    at = 0
    while at < len(expression):
        found = _WORDS.match(expression, at)
        if found is None:
            raise MalformedError(at, "unrecognised input")
        kind = found.lastgroup or ""
        if found["raw"] is not None:
            words.append(Word("text", found["inside"], at))
        elif found["text"] is not None:
            words.append(Word("text", _ESCAPES.sub(_unescaped, found["text"][1:-1]), at))
        elif kind != "space":
            words.append(Word(kind, found[0], at))
        at = found.end()
    return [*words, Word("end", "", at)]


def _unescaped(found: re.Match[str]) -> str:
    if found[1]:
        return chr(int(found[1], 16))
    return chr(int(found[2], 8)) if found[2] else str(found[3])
