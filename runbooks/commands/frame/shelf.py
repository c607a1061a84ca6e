"""Every book by the name under which a journal remembers it, made from its arguments as the journal holds them.

A book is imported when it is opened: an operator who rolls back does not wait for what only a restore needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from runbooks.commands.frame.homes import open_catalog
from runbooks.model.settings import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runbooks.commands.frame.console import Console
    from runbooks.engine.step import Book

Maker: TypeAlias = "Callable[[Console, Mapping[str, Any]], Book[Any]]"


def _backup(console: Console, _arguments: Mapping[str, Any]) -> Book[Any]:
    from runbooks import backup

    return backup.book(console.settings, console.programs, open_catalog(console.settings), clock=console.clock)


def _verify(console: Console, arguments: Mapping[str, Any]) -> Book[Any]:
    from runbooks import backup_verify

    return backup_verify.book(
        console.settings,
        open_catalog(console.settings),
        home=console.runner.home,
        arguments=msgspec.convert(arguments, backup_verify.Arguments),
        environment={name: value for name, value in console.environ.items() if name not in VARIABLES},
        clock=console.clock,
    )


def _prune(console: Console, _arguments: Mapping[str, Any]) -> Book[Any]:
    from runbooks import backup

    return backup.prune_book(
        console.settings, open_catalog(console.settings), home=console.runner.home, clock=console.clock
    )


def _deploy(console: Console, arguments: Mapping[str, Any]) -> Book[Any]:
    from runbooks import deploy

    return deploy.book(
        console.settings,
        console.cloudflare,
        console.edge,
        console.pulumi,
        home=console.runner.home,
        arguments=msgspec.convert(arguments, deploy.Arguments),
        clock=console.clock,
    )


def _rollback(console: Console, arguments: Mapping[str, Any]) -> Book[Any]:
    from runbooks import rollback

    return rollback.book(
        console.settings,
        console.cloudflare,
        console.edge,
        home=console.runner.home,
        arguments=msgspec.convert(arguments, rollback.Arguments),
        clock=console.clock,
    )


def _restore(console: Console, arguments: Mapping[str, Any]) -> Book[Any]:
    from runbooks import restore

    return restore.book(
        console.settings,
        console.cloudflare,
        console.edge,
        console.supabase,
        console.programs,
        catalog=lambda: open_catalog(console.settings),
        home=console.runner.home,
        arguments=msgspec.convert(arguments, restore.Arguments),
        clock=console.clock,
    )


def _secrets(console: Console, arguments: Mapping[str, Any]) -> Book[Any]:
    from runbooks import worker_secrets

    msgspec.convert(arguments, worker_secrets.Arguments)
    return worker_secrets.book(
        console.settings, console.cloudflare, console.edge, home=console.runner.home, clock=console.clock
    )


def _finish(console: Console, _arguments: Mapping[str, Any]) -> Book[Any]:
    from runbooks import finish_restore
    from runbooks.steps.archive.own import own_of

    return finish_restore.book(console.postgres, own_of(console.settings, console.programs))


def _release(console: Console, _arguments: Mapping[str, Any]) -> Book[Any]:
    from runbooks import release_held

    return release_held.book(console.postgres, console.settings.stack.hazards.outgoing)


SHELF: Final[Mapping[str, Maker]] = {
    "backup": _backup,
    "backup-prune": _prune,
    "backup-verify": _verify,
    "deploy": _deploy,
    "restore": _restore,
    "restore-finish": _finish,
    "restore-release": _release,
    "rollback": _rollback,
    "secrets": _secrets,
}
