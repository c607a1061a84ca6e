"""Every book by the name under which a journal remembers it, made from its arguments as the journal holds them.

A book is imported when it is opened: an operator who rolls back does not wait for what only a restore needs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, get_args, get_type_hints

import msgspec

from runbooks.commands.frame.homes import open_catalog
from runbooks.model.errors import Refused
from runbooks.model.settings import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runbooks.clients.cloudflare import Origin
    from runbooks.commands.frame.console import Console
    from runbooks.engine.step import Book

Maker: TypeAlias = "Callable[[Console, Mapping[str, Any]], Book[Any]]"
ShapeT = TypeVar("ShapeT")


def typed(arguments: Mapping[str, Any], shape: type[ShapeT], *, task: str) -> ShapeT:
    """Return what was typed for this task as its book's arguments. Raises Refused: which flag, expected, got."""
    try:
        return msgspec.convert(arguments, shape)
    except msgspec.ValidationError as error:
        flag = re.search(r"`\$\.(\w+)`", str(error))
        choices = get_args(get_type_hints(shape).get(flag[1])) if flag else ()
        if flag is None or not choices:
            message = f"{error}."
        else:
            name, expected = flag[1].replace("_", "-"), ", ".join(map(str, choices))
            message = f"--{name}={arguments[flag[1]]}: expected one of {expected}."
        raise Refused(message, next_command=f"invoke --help {task}") from None


def _backup(console: Console, _arguments: Mapping[str, Any]) -> Book[Any]:
    from runbooks import backup

    return backup.book(
        console.settings,
        lambda: console.cloudflare,
        console.programs,
        open_catalog(console.settings),
        clock=console.clock,
    )


def _verify(console: Console, arguments: Mapping[str, Any]) -> Book[Any]:
    from runbooks import backup_verify

    return backup_verify.book(
        console.settings,
        open_catalog(console.settings),
        home=console.runner.home,
        arguments=typed(arguments, backup_verify.Arguments, task="backup.verify"),
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
        arguments=typed(arguments, deploy.Arguments, task="deploy"),
        clock=console.clock,
    )


def _rollback(console: Console, arguments: Mapping[str, Any]) -> Book[Any]:
    from runbooks import rollback

    return rollback.book(
        console.settings,
        console.cloudflare,
        console.edge,
        home=console.runner.home,
        arguments=typed(arguments, rollback.Arguments, task="rollback"),
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
        arguments=typed(arguments, restore.Arguments, task="restore"),
        clock=console.clock,
    )


def _secrets(console: Console, arguments: Mapping[str, Any]) -> Book[Any]:
    from runbooks import worker_secrets

    typed(arguments, worker_secrets.Arguments, task="deploy.secrets")
    return worker_secrets.book(
        console.settings, console.cloudflare, console.edge, home=console.runner.home, clock=console.clock
    )


def _finish(console: Console, _arguments: Mapping[str, Any]) -> Book[Any]:
    from infra.pins.pinned import DATABASE
    from runbooks import finish_restore
    from runbooks.steps.archive.own import own_of

    origin = _origin(console)
    pin = console.settings.stack.pins.get(DATABASE)
    return finish_restore.book(console.postgres, own_of(console.settings, console.programs), origin=origin, pin=pin)


def _release(console: Console, _arguments: Mapping[str, Any]) -> Book[Any]:
    from runbooks import release_held
    from runbooks.steps.database.replaced import refuse_replaced

    stack, origin = console.settings.stack, _origin(console)

    def in_use() -> None:
        refuse_replaced(console.postgres, origin()[0], hyperdrive=stack.database.hyperdrive)

    return release_held.book(console.postgres, stack.hazards.outgoing, in_use=in_use)


def _origin(console: Console) -> Callable[[], tuple[Origin | None, str]]:
    """Return how to ask where the API's connections go; without an answer why that is not known."""
    from runbooks.steps.cloudflare.hyperdrive import origin_now

    return lambda: origin_now(lambda: console.cloudflare, console.settings.stack.database.hyperdrive)


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


def typed_as(book: str) -> str:
    """Return the command that begins a book, by which a stack file names it: `backup-prune` is `backup.prune`."""
    return "deploy.secrets" if book == "secrets" else book.replace("-", ".")
