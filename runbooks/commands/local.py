"""What the commands on the local twin do: start it with data and a release, stop it, break it."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from runbooks.clients import twin
from runbooks.clients.postgres_programs import Programs
from runbooks.commands.frame.console import Console
from runbooks.engine.runner import Consent
from runbooks.model.errors import ActRefused, Exit, Refused
from runbooks.model.settings import is_local

if TYPE_CHECKING:
    from runbooks.clients.twin import Addresses, Fault
    from runbooks.model.settings import Settings


def up(console: Console) -> Exit:
    """Start the twin where it doesn't run, fill its database where it is empty, deploy, and tell what to try."""
    settings = _local(console)
    state = settings.twin_state
    if twin.running(state) is None:
        _tell(console, f"Starting the twin of stack {settings.name} in {state}")
        twin.install(root=settings.root, environment=console.environ)
        twin.start(
            state=state,
            account=settings.stack.account,
            zone=settings.stack.zone,
            project=settings.stack.database.project,
            ports=settings.stack.twin.ports,
            root=settings.root,
            environment=console.environ,
            outlives_us=True,
        )
    fresh = Console(replace(console.flags, yes=True), root=settings.root, environ=console.environ)
    try:
        fill(fresh)
        outcome = fresh.runner.run(
            fresh.book("deploy", {"preview": False}),
            arguments={"preview": False},
            consent=Consent(yes=True, reason="invoke twin.up"),
        )
        if outcome.exit is not Exit.DONE:
            return fresh.finish(outcome)
        found = twin.running(state)
        if found is None:
            message = f"{state}: expected a running twin, it has ended; its logs are in {state / 'logs'}."
            raise Refused(message, next_command=f"invoke twin.up --stack {shlex.quote(settings.argument)}")
        _introduce(fresh, found)
    finally:
        fresh.close()
    return Exit.DONE


def fill(console: Console) -> None:
    """Load schema and seed into a twin's database that has not got the product's tables yet."""
    settings = console.settings
    database = settings.stack.database
    table = database.heartbeat.table if database.heartbeat else settings.stack.drill.workload.table
    with console.postgres.reading() as session:
        if session.value("select to_regclass(%s) is not null", (table,)):
            return
    _tell(console, "Loading schema and data")
    programs = Programs(console.postgres, settings.root, console.environ)
    schema = settings.root / database.schema
    if database.seed:
        programs.run_stream(database.seed, after=(schema,))
    else:
        programs.run_script(schema)


def down(console: Console) -> Exit:
    """Stop the twin of this stack. Its data stays in its folder."""
    settings = _local(console)
    stopped = twin.stop(settings.twin_state)
    if console.flags.json:
        console.print_json({"stopped": stopped, "state": str(settings.twin_state)})
    else:
        words = "stopped; its data stays" if stopped else "not running"
        _tell(console, f"The twin in {settings.twin_state} is {words}.")
    return Exit.DONE


def break_down(console: Console, *, what: str, seconds: int, fault: Fault | None, clear: bool) -> Exit:
    """Break one of the twin's engines, or calls to it, or mend all calls."""
    settings = _local(console)
    found = twin.running(settings.twin_state)
    if found is None:
        message = f"Stack {settings.name}: expected a running twin in {settings.twin_state}, got none."
        raise Refused(message, next_command=f"invoke twin.up --stack {shlex.quote(settings.argument)}")
    control = twin.control(found.cloudflare)
    if clear:
        control.clear_faults()
    try:
        if what:
            control.break_down(what, seconds=seconds)
        if fault is not None:
            control.fault(fault)
    except ActRefused as error:
        raise Refused(str(error), next_command="invoke --help twin.break") from None
    if not (clear or what or fault):
        message = "Nothing to break: expected --what, --path or --clear."
        raise Refused(message, next_command="invoke --help twin.break")
    if console.flags.json:
        console.print_json({"cleared": clear, "broken": what or None, "fault": fault})
    else:
        _tell(console, "Done. `invoke twin.break --clear` lets all calls go well again.")
    return Exit.DONE


def _local(console: Console) -> Settings:
    """Return the settings of a stack that is a twin; raise Refused for one that speaks to real providers."""
    if not is_local(console.settings.stack):
        message = f"Stack {console.settings.name} speaks to real providers: expected one whose endpoints are local."
        raise Refused(message, next_command="invoke twin.up --stack twin")
    return console.settings


def _introduce(console: Console, found: Addresses) -> None:
    """Print where the twin answers and what to try; its tokens stay in its folder."""
    settings = console.settings
    stack, argument = settings.stack, shlex.quote(settings.argument)
    health = f"curl -H 'Host: {stack.api.host}' {found.edge}{stack.api.health.path}"
    point = f"invoke restore --stack {argument} --point='30s ago' --dry-run"
    tries = [health, point, f"invoke rollback --stack {argument} --dry-run", f"invoke twin.down --stack {argument}"]
    if console.flags.json:
        addresses = {
            "cloudflare": found.cloudflare,
            "supabase": found.supabase,
            "edge": found.edge,
            "dns": found.dns,
        }
        console.print_json({"pid": found.pid, "state": str(settings.twin_state), **addresses, "try": tries})
        return
    for name in ("cloudflare", "supabase", "edge", "dns"):
        print(f"{name:<11}{getattr(found, name)}")  # noqa: T201 - the command's own output
    print(f"{'database':<11}address and password in {settings.twin_state / twin.NOTE}")  # noqa: T201 - as above
    print("Try")  # noqa: T201 - as above
    for command in tries:
        print(f"  {command}")  # noqa: T201 - as above


def _tell(console: Console, text: str) -> None:
    print(console.redact(text), file=sys.stderr if console.flags.json else sys.stdout)
