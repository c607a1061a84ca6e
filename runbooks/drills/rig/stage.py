"""Set the stage: a fresh twin on free ports, an own stack file, data, and a release; none of it outlives the drill."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML

from runbooks import deploy
from runbooks.clients import child, twin
from runbooks.drills.rig.site import Site, open_site, utc_now, without_secrets
from runbooks.model.errors import Exit, NotSo, Refused
from runbooks.model.evidence import DRILLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Future
    from pathlib import Path

    from runbooks.clients.twin import Addresses
    from runbooks.engine.runner import Outcome, Show
    from runbooks.engine.signals import Stop
    from runbooks.model.settings import Settings

OWNER: Final = "pid"
STATE: Final = "twin"
SEED: Final = "seed.sql"


@dataclass
class Phases:
    """Seconds by phase, in the order in which they ended."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measured(self, name: str) -> Iterator[None]:
        """Take the time of a block."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - began, 3)


@dataclass(frozen=True)
class Stage:
    """A running twin with a deployed release. `folder` is the drill's own ops home; it stays, the twin does not."""

    site: Site
    folder: Path
    addresses: Addresses
    phases: Phases
    show: Show
    actor: str
    leaving: ExitStack
    """What is undone when the stage is left."""

    def site_of(self, stack_file: Path) -> Site:
        """Return the same twin by another stack file."""
        site = self.site
        return open_site(
            stack_file, root=site.settings.root, environ=site.environ, show=self.show, actor=self.actor, stop=site.stop
        )


def release(site: Site, *, reason: str) -> Outcome:
    """Deploy by the real book."""
    arguments = deploy.Arguments(preview=False)
    book = deploy.book(
        site.settings,
        site.cloudflare,
        site.edge,
        site.pulumi,
        home=site.runner.home,
        arguments=arguments,
        clock=utc_now,
    )
    return site.run(book, arguments, reason=reason)


@contextmanager
def staged(
    base: Settings,
    *,
    environ: Mapping[str, str],
    show: Show,
    actor: str,
    phases: Phases,
    stop: Stop | None = None,
) -> Iterator[Stage]:
    """Start a twin, load schema and seed, deploy; when the block ends, stop it and remove it.

    Raises NotSo when the release does not come up, Refused when the engines cannot be fetched or the ops home cannot
    be written.
    """
    with ExitStack() as leaving:
        with phases.measured("cold start"):
            with phases.measured("install"):
                twin.install(root=base.root, environment=environ)
            folder = _own_folder(base.home)
            state = folder / STATE
            leaving.callback(_tidy, folder)
            leaving.callback(twin.discard, state)
            pool = leaving.enter_context(ThreadPoolExecutor(1))
            seed = pool.submit(_generate, base, without_secrets(environ), folder / SEED)  # while the engines start
            with phases.measured("twin"):
                process = twin.start(
                    state=state,
                    account=base.stack.account,
                    zone=base.stack.zone,
                    project=base.stack.database.project,
                    root=base.root,
                    environment=without_secrets(environ),
                )
            leaving.callback(process.stop)
            stack_file = write_stack(base, folder, process.addresses)
            site = open_site(stack_file, root=base.root, environ=environ, show=show, actor=actor, stop=stop)
            leaving.callback(site.close)
            _fill_and_release(site, seed, phases)
        yield Stage(site, folder, process.addresses, phases, show, actor, leaving)


def write_stack(
    base: Settings, folder: Path, addresses: Addresses, *, build: list[str] | None = None, site: Path | None = None
) -> Path:
    """Write a copy of a stack file that names this twin, in `folder`.

    `build` replaces how the API is built, `site` the folder of the site. Pins stay in a copy of the drill's own file.
    """
    yaml = YAML()
    yaml.width = 10_000  # a line stays a line
    yaml.preserve_quotes = True
    document: dict[str, Any] = yaml.load(base.file.read_text("utf-8"))
    config = document["config"]
    config["cloudflare:baseUrl"] = addresses.cloudflare
    config["ems-ops:endpoints"] = {
        "supabase": addresses.supabase,
        "edge": addresses.edge,
        "resolver": addresses.dns,
    }
    config["ems-ops:database"]["operator_cidrs"] = ["127.0.0.1/32"]
    config["ems-ops:ops_home"] = str(_home_of(base, folder))
    config["ems-ops:twin"]["state"] = str(_home_of(base, folder) / STATE)
    if folder.is_relative_to(base.home / DRILLS):
        config["ems-ops:pins"] = {}
    if "ems-ops:backups" in config:  # a drill's own, which it must be able to read
        config["ems-ops:backups"].update(store=None, encryption=None)
    config["ems-ops:release"] = {"on_failure": "stop"}  # at once, and what fails is left for the drill's book to repair
    if build is not None:
        config["ems-ops:api"]["build"] = build
    if site is not None:
        config["ems-ops:web"]["folder"] = str(site)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "Pulumi.twin.yaml"
    with file.open("w", encoding="utf-8") as out:
        yaml.dump(document, out)
    return file


def sweep(home: Path) -> None:
    """Remove the twins that killed drills left in this ops home."""
    for folder in sorted((home / DRILLS).glob("*")):
        owner, state = folder / OWNER, folder / STATE
        if owner.is_file() and _alive(int(owner.read_text() or "0")):
            continue
        if state.is_dir() and twin.running(state) is None:
            twin.discard(state)


def _home_of(base: Settings, folder: Path) -> Path:
    """Return the drill's own ops home: the folder directly in `drills/` that `folder` is or lies in."""
    drills = base.home / DRILLS
    return drills / folder.relative_to(drills).parts[0] if folder.is_relative_to(drills) else base.home


def own_name() -> str:
    """Return a name for a folder in `drills/` that no other drill takes."""
    return f"{utc_now():%Y-%m-%d-%H%M%S-%f}-{os.getpid()}"


def _own_folder(home: Path) -> Path:
    try:
        sweep(home)
        folder = home / DRILLS / own_name()
        folder.mkdir(parents=True)
        (folder / OWNER).write_text(str(os.getpid()))
    except OSError as error:
        message = f"nothing was done: the ops home cannot be written: {error}"
        raise Refused(message) from error
    return folder


def _tidy(folder: Path) -> None:
    """Leave only what tells of the drills: of a stage on which none was run, nothing."""
    for name in (SEED, OWNER):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _generate(base: Settings, environ: Mapping[str, str], file: Path) -> Path:
    """Write the SQL that the stack file's seed command prints."""
    seed = base.stack.database.seed
    file.write_bytes(child.printed(seed, folder=base.root, environment=environ) if seed else b"")
    return file


def _fill_and_release(site: Site, seed: Future[Path], phases: Phases) -> None:
    """Load the schema, then the data while the program is imported; the release's own proof needs both."""
    with phases.measured("schema"):
        site.programs.run_script(site.settings.root / site.settings.stack.database.schema)
    with ThreadPoolExecutor(1) as pool:
        seeding = pool.submit(_load, site, seed, phases)
        with phases.measured("deploy"):
            outcome = release(site, reason="the drill's first release")
        seeding.result()
    if outcome.exit is not Exit.DONE:
        message = f"The drill's first release did not come up: {outcome.text} (journal {outcome.journal})"
        raise NotSo(message, next_command=outcome.next_command)


def _load(site: Site, seed: Future[Path], phases: Phases) -> None:
    with phases.measured("seed"):
        file = seed.result()
        site.programs.run_script(file)
        file.unlink()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0
