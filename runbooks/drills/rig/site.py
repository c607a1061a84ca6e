"""One twin stack with everything that acts on it: what a command has in production, a drill has on its own twin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from infra.shapes import SECRET_PREFIX
from runbooks.clients import cloudflare, supabase
from runbooks.clients.cloudflare import Cloudflare
from runbooks.clients.edge import Edge
from runbooks.clients.postgres import Postgres
from runbooks.clients.postgres_programs import Programs
from runbooks.clients.pulumi import Pulumi
from runbooks.clients.stores.files import FolderFiles
from runbooks.clients.supabase import Supabase
from runbooks.clients.transport import Transport
from runbooks.engine.record.folder import Folder
from runbooks.engine.redaction import Redactor
from runbooks.engine.runner import Consent, Runner
from runbooks.engine.signals import AT_ONCE
from runbooks.model.errors import Exit, NotSo, Refused
from runbooks.model.settings import is_local, is_secret, load, read_stack
from runbooks.steps.backups.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runbooks.engine.runner import Outcome, Show
    from runbooks.engine.signals import Stop
    from runbooks.engine.step import Book
    from runbooks.model.settings import Settings


PROGRAM: Final = ("EMS_WEBHOOK_SECRET", "EMS_LOGPUSH_ACCESS_KEY_ID", "EMS_LOGPUSH_SECRET_ACCESS_KEY")
"""What the program may want from the environment beside the providers' tokens."""


def utc_now() -> datetime:
    """Return the present, in UTC."""
    return datetime.now(UTC)


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without secrets: a drill breaks things, it must not hold a real key."""
    return {name: value for name, value in environ.items() if not is_secret(name)}


def made_up(stack_file: Path) -> dict[str, str]:
    """Return values for what the program and the Worker want from the environment."""
    wanted = (*PROGRAM, *(SECRET_PREFIX + name for name in read_stack(stack_file).api.secrets))
    return {name: f"made-up-for-a-drill-{name}" for name in wanted}


@dataclass(frozen=True)
class Site:
    """A stack's settings, its clients, and what runs books on it."""

    settings: Settings
    environ: Mapping[str, str]
    redact: Redactor
    cloudflare: Cloudflare
    supabase: Supabase
    edge: Edge
    postgres: Postgres
    programs: Programs
    pulumi: Pulumi
    runner: Runner
    stop: Stop | None = None
    """Hears the signals of the whole command."""

    def run(self, book: Book[Any], arguments: msgspec.Struct | None = None, *, reason: str) -> Outcome:
        """Run a book as an operator who agrees to its plan. Raises NotSo when it was paused: then the drill is over.

        Raises StopNow when a signal came meanwhile: then all drills are.
        """
        given = {} if arguments is None else msgspec.to_builtins(arguments)
        outcome = self.runner.run(book, arguments=given, consent=self.consent(reason))
        if self.stop is not None:
            self.stop.again(AT_ONCE)
        if outcome.exit is Exit.PAUSED:
            message = f"{book.name} was paused: {outcome.text} (journal {outcome.journal})"
            raise NotSo(message)
        return outcome

    def consent(self, reason: str) -> Consent:
        """Return how a drill agrees to a plan."""
        return Consent(yes=True, reason=reason)

    def catalog(self) -> Catalog:
        """Return the own backups of this stack, which lie in its folder."""
        return Catalog(FolderFiles(self.settings.backup_folder))

    def close(self) -> None:
        """Close every connection."""
        self.cloudflare.transport.close()
        self.supabase.transport.close()
        self.edge.close()


def open_site(
    stack_file: Path, *, root: Path, environ: Mapping[str, str], show: Show, actor: str, stop: Stop | None = None
) -> Site:
    """Return the way to the twin of this stack file. Raises Refused unless all of it is on this machine."""
    plain = without_secrets(environ) | made_up(stack_file)
    settings = load(str(stack_file), root=root, environ=plain)
    postgres = Postgres(settings.require("EMS_DATABASE_URL"))
    _refuse_elsewhere(settings, postgres)
    stack, redact = settings.stack, Redactor(settings.secrets())
    to_cloudflare = Transport(
        "Cloudflare", stack.base_url, settings.require("CLOUDFLARE_API_TOKEN"), explain=cloudflare.explain
    )
    to_supabase = Transport(
        "Supabase", stack.endpoints.supabase, settings.require("SUPABASE_ACCESS_TOKEN"), explain=supabase.explain
    )
    return Site(
        settings=settings,
        environ=plain,
        redact=redact,
        cloudflare=Cloudflare(to_cloudflare, stack.account),
        supabase=Supabase(to_supabase, stack.database.project),
        edge=Edge(stack.endpoints.edge),
        postgres=postgres,
        programs=Programs(postgres, settings.root, plain),
        pulumi=Pulumi(
            stack=settings.name,
            stack_file=settings.file,
            root=settings.root,
            environment={**plain, **settings.environment},
            twin_state=settings.twin_state,
            redact=redact,
        ),
        runner=Runner(
            home=Folder(settings.home), stack=settings.name, stack_argument=settings.argument, actor=actor, show=show,
            redact=redact, clock=utc_now, stop=stop,
        ),
        stop=stop,
    )  # fmt: skip


def _refuse_elsewhere(settings: Settings, postgres: Postgres) -> None:
    if not (is_local(settings.stack) and postgres.is_local):
        message = (
            f"{settings.file}: a drill breaks what it works on; expected a twin on this machine, got other addresses."
        )
        raise Refused(message)
