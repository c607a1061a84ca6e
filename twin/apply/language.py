"""Run a Pulumi program as the language host does: by path, in its own folder, with the project's root importable.

Source: pulumi/pulumi, `sdk/python/cmd/pulumi-language-python-exec`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import runpy
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
from pulumi import runtime
from pulumi.runtime.mocks import MockEngine, MockSettings
from pulumi.runtime.stack import run_in_stack
from ruamel.yaml import YAML

from twin.apply import lazy_package
from twin.apply.errors import ApplyError

if TYPE_CHECKING:
    from pathlib import Path

    from twin.apply.monitor import Monitor
    from twin.apply.stackfile import StackFile

SDK: Final = "pulumi_cloudflare"


@dataclass(frozen=True)
class Program:
    """A program's file, the folder of its Pulumi.yaml, and the name of the project in that."""

    file: Path
    root: Path
    project: str


def locate(file: Path) -> Program:
    """Find the project that a program belongs to; raise ApplyError when there is none."""
    if not file.is_file():
        message = f"{file}: there is no such program"
        raise ApplyError(message)
    for folder in file.resolve().parents:
        if (folder / "Pulumi.yaml").is_file():
            project = YAML(typ="safe", pure=True).load((folder / "Pulumi.yaml").read_text("utf-8"))
            return Program(file.resolve(), folder, str(project["name"]))
    message = f"{file}: expected a Pulumi.yaml in a folder above it, got none"
    raise ApplyError(message)


def make_importable(program: Program) -> None:
    """Let the program, and the pickles of its dynamic resources, import from the project's root."""
    sys.path[:] = [str(program.root), *(place for place in sys.path if place != str(program.root))]


def run(program: Program, stack: StackFile, monitor: Monitor, *, preview: bool) -> None:
    """Run the program to its end, every resource included.

    Raises ApplyError with what went wrong first. What the program prints goes to standard error.
    """
    gc.disable()  # a short life, and millions of objects that are all needed: collecting costs a third of the time
    lazy_package.install(SDK)
    runtime.set_all_config(stack.config, [])
    runtime.configure(
        MockSettings(  # type: ignore[no-untyped-call]
            monitor=monitor,
            monitor_features=set(monitor.GetDeploymentInfo(None).supportedFeatures),  # type: ignore[no-untyped-call]
            engine=MockEngine(logging.getLogger("pulumi")),
            project=program.project,
            stack=stack.name,
            dry_run=preview,
            organization="organization",
        )
    )
    # The SDK leaves the futures of a failed program behind; what failed is told from the monitor.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    sys.argv = [str(program.file)]
    os.chdir(program.file.parent)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            asyncio.run(run_in_stack(lambda: _execute(program.file)))
    except pulumi.RunError as error:
        raise ApplyError(str(error)) from None
    finally:
        gc.freeze()  # nor is it worth the time when the process ends: 0.6 s
        if monitor.failures:
            raise monitor.failures[0] from None


def _execute(file: Path) -> None:
    runpy.run_path(str(file), run_name="__main__")
