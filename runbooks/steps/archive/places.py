"""Stop the server, let two data folders take each other's place, and start it: each done by what is seen, not hoped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from runbooks.clients.selfhosted.files import exchange, sync
from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Settling, Sight, Step, Yes
from runbooks.model.errors import ActError, ActRefused, Unreachable
from runbooks.steps.database.server import answers, look_at

if TYPE_CHECKING:
    from runbooks.steps.archive.own import Own
    from runbooks.steps.archive.work import Work

STARTS_WITHIN: Final = 600.0
POLL: Final = 0.05


def stop_server(own: Own, *, name: str) -> Step:
    """Return the step that stops the server by the stack file's command; its undo starts it."""

    def holds(_sight: Sight) -> Held:
        seen: dict[str, Json] = {"answers": answers(own.database), "process": own.runs()}
        if seen["answers"] or seen["process"]:
            return No(seen, f"the server at {own.database.where} runs")
        return Yes(seen)

    def act(_sight: Sight) -> Json:
        own.command(own.told.stop)
        return None

    return Step(
        name=name,
        title=f"stop the server: {' '.join(own.told.stop)}",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=lambda _sight: _start(own),
        half=True,
        expect=1.0,
        deadline=STARTS_WITHIN,
        attempts=2,
    )


def exchange_folders(own: Own, work: Work, *, name: str, lost: bool = False) -> Step:
    """Return the step that puts the recovered folder in the place of the present one, which stays as the former.

    `lost`: there is no present one.
    """
    stays = "which is not there" if lost else f"which stays as {work.former}"

    def holds(_sight: Sight) -> Held:
        folders = {"data": own.data, "fresh": work.fresh, "former": work.former}
        there: dict[str, Json] = {name: folder.is_dir() for name, folder in folders.items()}
        if work.is_exchanged:
            return Yes(there)
        return No(there, f"{work.fresh} is not in the place of {own.data}")

    def act(_sight: Sight) -> Json:
        _check_stopped(own)
        if not work.fresh.is_dir():
            message = f"{work.fresh}: expected the recovered folder, it is not there. Nothing was renamed."
            raise ActRefused(message)
        exchange(own.data, work.fresh, work.former)
        return {"former": str(work.former)}

    def undo(_sight: Sight) -> Json:
        _check_stopped(own)
        if work.former.is_dir() or not work.fresh.is_dir():
            exchange(own.data, work.former, work.fresh)
        return {"back": str(own.data)}

    return Step(
        name=name,
        title=f"put it in the place of {own.data}, {stays}",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=undo,
        half=True,
        expect=0.1,
        deadline=60.0,
        attempts=2,
    )


def start_server(own: Own, work: Work, *, name: str) -> Step:
    """Return the step that starts the server on the recovered folder; what counts is that this one answers."""

    def holds(_sight: Sight) -> Held:
        note = work.note
        wanted = note.timeline if note else None
        try:
            with own.database.reading() as session:
                server = look_at(session)
        except Unreachable as error:
            return Settling({"said": str(error)}, POLL) if own.runs() else No({}, str(error))
        seen: dict[str, Json] = {"system": server.system_identifier, "timeline": server.timeline}
        if server.in_recovery:
            return Settling(seen, POLL) if work.is_exchanged else No(seen, "it is in recovery")
        if not work.is_exchanged or server.timeline != wanted:
            return No(seen, f"another server answers: expected timeline {wanted}, got {server.timeline}")
        return Yes(seen)

    def act(_sight: Sight) -> Json:
        if own.runs():
            own.command(own.told.stop)
        own.command(own.told.start)
        return None

    def undo(_sight: Sight) -> Json:
        if own.runs() or answers(own.database):
            own.command(own.told.stop)
        return None

    return Step(
        name=name,
        title=f"start the server: {' '.join(own.told.start)}",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=undo,
        expect=1.0,
        deadline=STARTS_WITHIN,
        attempts=1,
    )


def drop_folder(own: Own, work: Work, *, what: str, name: str) -> Step:
    """Return the step that removes what a recovery has left; never the folder that is the server's now."""

    def holds(_sight: Sight) -> Held:
        if work.folder.is_dir():
            return No({}, f"{work.folder} is there")
        return Yes({"folder": str(work.folder)})

    def act(_sight: Sight) -> Json:
        if not own.data.is_dir():
            message = f"{own.data} is not there: {work.folder} may be all that is left. It was left as it is."
            raise ActRefused(message)
        work.remove()
        sync(work.folder.parent)
        return None

    return Step(
        name=name,
        title=f"remove {work.folder} ({what})",
        effect=Effect.DESTROY,
        holds=holds,
        act=act,
        undo=NoUndo("what was removed is gone"),
        expect=0.5,
        deadline=3600.0,
        attempts=3,
    )


def _start(own: Own) -> Json:
    """Start the server as it was, and wait until it answers; one that is being stopped, as soon as it is."""
    until = time.monotonic() + STARTS_WITHIN
    while not answers(own.database):
        if not own.runs():
            own.command(own.told.start)
        elif time.monotonic() > until:
            message = f"the server at {own.database.where} does not answer {STARTS_WITHIN:.0f} s after its start."
            raise ActError(message)
        else:
            time.sleep(POLL)
    return {"answers": own.database.where}


def _check_stopped(own: Own) -> None:
    if own.runs() or answers(own.database):
        message = f"the server at {own.database.where} runs: expected it to be stopped. Nothing was renamed."
        raise ActRefused(message)
