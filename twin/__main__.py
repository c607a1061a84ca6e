"""Read the command line of `python -m twin`: serve, bundle, install, coverage, apply."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from twin.world import UnableError

_UNABLE = 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m twin", description="A local Cloudflare and Supabase.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run it; prints its addresses as one JSON line when it is ready")
    serve.add_argument("--state", type=Path, required=True, help="folder that it remembers everything in")
    for name in ("cloudflare", "supabase", "edge", "dns", "postgres"):
        serve.add_argument(f"--{name}-port", type=int, default=0, help="port on 127.0.0.1; a free one when not given")
    serve.add_argument("--account", help="Cloudflare account id, 32 hex digits")
    serve.add_argument("--zone", help="name of the DNS zone")
    serve.add_argument("--project", help="Supabase project reference, 20 letters")
    serve.add_argument("--outlive-parent", action="store_true", help="go on when the starting process ends")
    bundle = commands.add_parser("bundle", help="print a Worker and all that it imports as one ES module")
    bundle.add_argument("entry", type=Path)
    commands.add_parser("install", help="fetch the Workers runtime and the bundler into the user's cache")
    coverage = commands.add_parser("coverage", help="list the calls that it answers and those that it lacks")
    coverage.add_argument("--write", action="store_true", help="put the list into twin/COVERAGE.md")
    commands.add_parser("apply", help="make a Pulumi program real on the twin", add_help=False)
    return parser


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code: 2 with one line on stderr for what cannot be done."""
    # Each command imports only its own part: `serve` is judged by how fast it is ready.
    try:
        if arguments[:1] == ["apply"]:
            from twin import apply  # noqa: PLC0415

            return apply.main(arguments[1:])
        given = _parser().parse_args(arguments)
        if given.command == "serve":
            from twin import serve  # noqa: PLC0415

            return serve.main(given)
        if given.command == "coverage":
            from twin import coverage  # noqa: PLC0415

            return coverage.main(write=given.write)
        from twin import packages  # noqa: PLC0415

        if given.command == "bundle":
            sys.stdout.write(packages.bundle(given.entry))
        else:
            packages.install()
    except UnableError as error:
        sys.stderr.write(f"twin: {error}\n")
        return _UNABLE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
