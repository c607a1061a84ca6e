"""One command at work: its settings, its clients, its runner, and what the operator sees of it."""

from __future__ import annotations

import os
import pwd
import shlex
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runbooks.commands.frame.homes import open_home, signer_of
from runbooks.commands.frame.naming import of_stack
from runbooks.commands.frame.shelf import SHELF, typed_as
from runbooks.commands.frame.speaking import print_json
from runbooks.engine.asking import approved
from runbooks.engine.manual import Answers, Ask, with_manual
from runbooks.engine.redaction import Redactor
from runbooks.engine.runner import Consent, Outcome, Runner
from runbooks.model.errors import Exit, Refused
from runbooks.model.settings import is_local, is_secret, load
from runbooks.render.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runbooks.clients.cloudflare import Cloudflare
    from runbooks.clients.edge import Edge
    from runbooks.clients.postgres import Postgres
    from runbooks.clients.postgres_programs import Programs
    from runbooks.clients.pulumi import Pulumi
    from runbooks.clients.supabase import Supabase
    from runbooks.clients.transport import Transport
    from runbooks.commands.frame import Flags
    from runbooks.engine.signals import Stop
    from runbooks.engine.step import Book

RECENT: Final = 20
"""Past runs that are looked through for one that somebody must go on with: enough for weeks, cheap to read."""


class Console:
    """What a command works with. Clients are made, and their libraries loaded, when first asked for.

    A dry run's clients refuse to write.
    """

    def __init__(self, flags: Flags, *, root: Path, environ: Mapping[str, str], stop: Stop | None = None) -> None:
        self.flags = flags
        self.environ = environ
        argument = flags.stack
        if argument.endswith((".yaml", ".yml")):
            argument = str(Path(argument).resolve())  # as the operator sees it from where they stand
        self.settings = load(argument, root=root, environ=environ)
        self.redact = Redactor(self.settings.secrets())
        self.show = Terminal(
            sys.stderr if flags.json else sys.stdout, environ=environ, redact=self.redact, answers=sys.stdin
        )
        self.stop = stop
        self.acted = False
        """Whether a run was begun: what was done then stands, whoever could not be told of it."""
        self._open = ExitStack()
        self._open.callback(self.show.end)

    def close(self) -> None:
        """Stop drawing and close every connection."""
        self._open.close()

    def clock(self) -> datetime:
        """Return the present, in UTC."""
        return datetime.now(UTC)

    @cached_property
    def cloudflare(self) -> Cloudflare:
        """Return the way to Cloudflare. Raises Refused without its token."""
        from runbooks.clients.cloudflare import Cloudflare, explain

        stack = self.settings.stack
        transport = self.transport("Cloudflare", stack.base_url, "CLOUDFLARE_API_TOKEN")
        transport.explain = explain
        return Cloudflare(transport, stack.account)

    @cached_property
    def edge(self) -> Edge:
        """Return the way that users take."""
        from runbooks.clients.edge import Edge

        edge = Edge(self.settings.stack.endpoints.edge, read_only=self.flags.dry_run)
        self._open.callback(edge.close)
        return edge

    @cached_property
    def postgres(self) -> Postgres:
        """Return the way to the database. Raises Refused without its URL."""
        from runbooks.clients.postgres import Postgres

        return Postgres(self.settings.require("EMS_DATABASE_URL"), read_only=self.flags.dry_run)

    @cached_property
    def pulumi(self) -> Pulumi:
        """Return the way to make the program real: the twin's own for a stack on loopback, else the CLI."""
        from runbooks.clients.pulumi import Pulumi

        settings = self.settings
        return Pulumi(
            stack=settings.name,
            stack_file=settings.file,
            root=settings.root,
            environment={**self.environ, **settings.environment},
            twin_state=settings.twin_state if is_local(settings.stack) else None,
            redact=self.redact,
            read_only=self.flags.dry_run,
        )

    @cached_property
    def supabase(self) -> Supabase:
        """Return the way to the project. Raises Refused without its token."""
        from runbooks.clients.supabase import Supabase, explain

        stack = self.settings.stack
        transport = self.transport("Supabase", stack.endpoints.supabase, "SUPABASE_ACCESS_TOKEN")
        transport.explain = explain
        return Supabase(transport, stack.database.project)

    @cached_property
    def programs(self) -> Programs:
        """Return the way into the database, and PostgreSQL's programs for it. Raises Refused without its URL."""
        from runbooks.clients.postgres_programs import Programs

        environment = {name: value for name, value in self.environ.items() if not is_secret(name)}
        return Programs(self.postgres, self.settings.root, environment)

    def transport(self, provider: str, base_url: str, variable: str) -> Transport:
        """Return a door to a provider with the token of this environment variable. Raises Refused without it."""
        from runbooks.clients.transport import Transport

        settings = self.settings
        if is_local(settings.stack) and not settings.environment.get(variable):
            message = f"Stack {settings.name}: expected its twin to run, {settings.twin_state} holds none."
            raise Refused(message, next_command=f"invoke twin.up --stack {shlex.quote(settings.argument)}")
        token = settings.require(variable)
        transport = Transport(provider, base_url, token, read_only=self.flags.dry_run)
        self._open.callback(transport.close)
        return transport

    @cached_property
    def runner(self) -> Runner:
        """Return what runs books for this stack."""
        return Runner(
            home=open_home(self.settings, note=self.show.note),
            stack=self.settings.name,
            stack_argument=self.settings.argument,
            actor=account(),
            show=self.show,
            redact=self.redact,
            clock=self.clock,
            stop=self.stop,
            signer=signer_of(self.settings, note=self.show.note),
        )

    @property
    def interactive(self) -> bool:
        """Tell whether somebody can be asked."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def consent(self) -> Consent:
        """Return how the operator agrees: typed, by --yes, or not at all."""
        flags = self.flags
        return Consent(
            dry_run=flags.dry_run,
            yes=flags.yes,
            reason=flags.reason or None,
            ask=self.show.ask if self.interactive else None,
            take_over=flags.take_over,
        )

    def book(self, name: str, arguments: Mapping[str, Any]) -> Book[Any]:
        """Return a book of the shelf by a run's arguments; private files of a killed one are gone by then."""
        from runbooks.clients.scratch.folder import remove_left

        remove_left()
        if name not in SHELF:
            message = f"book {name}: expected one of {', '.join(sorted(SHELF))}."
            raise Refused(message, next_command="invoke --list")
        book = SHELF[name](self, arguments)
        book = with_manual(
            book,
            [
                Ask(one.title, one.evidence, one.when == "last")
                for one in self.settings.stack.manual
                if one.book == typed_as(name)
            ],
            answers=Answers(self.runner.home, by=account(), clock=self.clock),
            ask=self.show.question if self.interactive else None,
            command=f"invoke runs.answer {{run}} ANSWER --stack {shlex.quote(self.settings.argument)}",
        )
        approvals = self.settings.stack.approvals
        if typed_as(name) not in approvals.books:
            return book
        return approved(
            book,
            home=self.runner.home,
            clock=self.clock,
            seconds=approvals.expires_minutes * 60,
            wait=self.interactive,
            command=f"invoke runs.approve --run {{run}} --as NAME --stack {shlex.quote(self.settings.argument)}",
        )

    def play(self, name: str, arguments: Mapping[str, Any]) -> Exit:
        """Run a book and tell how it ended. What the operator typed is free of secrets from here on."""
        arguments = {key: self.redact(value) for key, value in arguments.items()}
        book = self.book(name, arguments)
        for run in self.runner.runs(newest=RECENT):
            if run.unfinished:
                self.show.note(f"Run {run.run} ({run.book}) is {run.status}: {run.next_command}")
        return self.finish(self.runner.run(book, arguments=dict(arguments), consent=self.consent()))

    def finish(self, outcome: Outcome) -> Exit:
        """Print a run's outcome as JSON where that was asked for, and last what to type next; return its exit code."""
        self.acted = outcome.journal is not None
        next_command = of_stack(outcome.next_command, self.flags.stack)
        if self.flags.json:
            document = {
                "run": outcome.run,
                "book": outcome.plan.book,
                "stack": outcome.plan.stack,
                "status": outcome.status,
                "exit": int(outcome.exit),
                "text": outcome.text,
                "next_command": next_command,
                "journal": outcome.journal,
                "seconds": outcome.seconds,
                "results": outcome.results,
                "plan": {**msgspec.to_builtins(outcome.plan), "digest": outcome.plan.digest},
            }
            self.print_json(document)
        if next_command:
            self.show.next(next_command)
        return outcome.exit

    def print_json(self, document: object) -> None:
        """Print the one JSON document of this command, without secrets."""
        print_json(self.redact.json(document))


def account() -> str:
    """Return who acts, by the operating system's own account of it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
