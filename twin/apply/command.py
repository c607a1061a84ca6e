"""Read the command line of `python -m twin apply` and say what happens, one JSON object a line."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.apply import language, stackfile
from twin.apply.deployment import Deployment, Providers
from twin.apply.errors import ApplyError
from twin.apply.masking import Masker, load_key
from twin.apply.monitor import Monitor
from twin.apply.provider import functions
from twin.apply.provider.cloudflare import Cloudflare
from twin.apply.provider.dynamic import Dynamic
from twin.apply.provider.wire import Wire
from twin.apply.state import State, held

if TYPE_CHECKING:
    from collections.abc import Mapping

FAILED = 1
INTERRUPTED = 130
PUBLIC = "https://api.cloudflare.com/client/v4"


def run(arguments: list[str]) -> int:
    """Apply a program and return the exit code: 1 with one message on standard error when it can't be done."""
    given = _parser().parse_args(arguments)
    try:
        _apply(given, os.environ)
    except ApplyError as error:
        sys.stderr.write(f"twin apply: {error}\n")
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("twin apply: interrupted; the next one goes on from here\n")
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m twin apply",
        description="Make a Pulumi program real on the twin. CLOUDFLARE_API_TOKEN holds the twin's token.",
    )
    parser.add_argument("--program", type=Path, required=True, help="the file that Pulumi.yaml names as main")
    parser.add_argument("--stack-file", type=Path, required=True, help="Pulumi.<stack>.yaml with the configuration")
    parser.add_argument("--state", type=Path, required=True, help="folder that remembers what was made")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--preview", action="store_true", help="say what would happen; change nothing")
    what.add_argument("--destroy", action="store_true", help="remove everything but what is protected")
    return parser


def _apply(given: argparse.Namespace, environment: Mapping[str, str]) -> None:
    started = time.monotonic()
    program = language.locate(given.program)
    stack = stackfile.read(given.stack_file)
    token = environment.get("CLOUDFLARE_API_TOKEN", "")
    if not token:
        message = "CLOUDFLARE_API_TOKEN: expected the twin's token in the environment, got nothing"
        raise ApplyError(message)
    folder = given.state.resolve()
    wire = Wire(stack.config.get("cloudflare:baseUrl", PUBLIC), token)
    with held(folder), contextlib.closing(wire):
        state = State(folder, writes=not given.preview)
        providers = Providers(Cloudflare(wire), Dynamic(stack.config, program.project))
        masker = Masker(load_key(folder / "apply.key"))
        deployment = Deployment(state, providers, masker, _print, preview=given.preview)
        language.make_importable(program)
        monitor = Monitor(
            deployment,
            lambda token, inputs: functions.call(wire, token, inputs),
            stack=stack.name,
            project=program.project,
        )
        if given.destroy:
            deployment.destroy()
        else:
            language.run(program, stack, monitor, preview=given.preview)
            deployment.remove_rest()
    seconds = round(time.monotonic() - started, 3)
    _print({"outputs": monitor.outputs, "changes": deployment.changes, "seconds": seconds})


def _print(event: Mapping[str, Any]) -> None:
    sys.__stdout__.write(json.dumps(event) + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]
