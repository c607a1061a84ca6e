"""Every book by the name under which a journal remembers it, made from its arguments as the journal holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from runbooks import deploy, restore, rollback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runbooks.commands.frame.console import Console
    from runbooks.engine.step import Book

Maker: TypeAlias = "Callable[[Console, Mapping[str, Any]], Book[Any]]"


def _deploy(console: Console, arguments: Mapping[str, Any]) -> Book[Any]:
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
    return rollback.book(
        console.settings,
        console.cloudflare,
        console.edge,
        home=console.runner.home,
        arguments=msgspec.convert(arguments, rollback.Arguments),
        clock=console.clock,
    )


def _restore(console: Console, arguments: Mapping[str, Any]) -> Book[Any]:
    return restore.book(
        console.settings,
        console.cloudflare,
        console.edge,
        console.supabase,
        console.programs,
        home=console.runner.home,
        arguments=msgspec.convert(arguments, restore.Arguments),
        clock=console.clock,
    )


SHELF: Final[Mapping[str, Maker]] = {deploy.NAME: _deploy, restore.NAME: _restore, rollback.NAME: _rollback}
