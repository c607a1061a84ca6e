"""Make a Pulumi program real on the twin, without the Pulumi CLI: `python -m twin apply`.

The program runs under the SDK's mock monitor as it would under the language host; each resource that it registers
becomes real at that moment, by the requests that the real provider makes, so that the next one sees real ids.
Knows no program of ours: it is loaded by path. Talks to loopback only, so that nobody takes it for `pulumi up`.
"""

from __future__ import annotations


def main(arguments: list[str]) -> int:
    """Run `python -m twin apply` and return its exit code."""
    from twin.apply.command import run  # noqa: PLC0415 - httpx and pulumi are for those who apply

    return run(arguments)
