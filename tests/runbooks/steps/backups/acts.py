"""The acts on backups and on databases that take each other's place, each ready to be done once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runbooks.clients.cloudflare import Origin
from runbooks.clients.postgres_programs import Programs
from runbooks.clients.stores.files import FolderFiles
from runbooks.engine.step import Sight, Step
from runbooks.model.reconciliation import SWITCH
from runbooks.steps.backups.beside import Beside, forget, have_on_this_machine, load_beside
from runbooks.steps.backups.catalog import Catalog
from runbooks.steps.backups.dumping import Dump, dump_database
from runbooks.steps.backups.proofs import Proof, record
from runbooks.steps.backups.pruning import take_away
from runbooks.steps.backups.sealing import public_of
from runbooks.steps.backups.storing import publish, store
from runbooks.steps.cloudflare.hyperdrive import Moving, move_connection
from runbooks.steps.database.renaming import FORMER, LOADED, Places, drop_former, switch
from runbooks.steps.database.replaced import note_place
from tests.runbooks.desk import now
from tests.runbooks.steps.backups.test_sealing import private_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.clients.postgres import Postgres
    from tests.runbooks.desk import Desk

ID: Final = "2026-11-20T03-00-00Z"
KEY: Final = private_key()


class Acts:
    """Backups of one database in a folder of their own."""

    def __init__(self, desk: Desk, database: Postgres) -> None:
        self.desk, self.database = desk, database
        self.catalog = Catalog(FolderFiles(desk.settings.backup_folder))
        self.programs = Programs(database, desk.settings.root)

    @property
    def dump(self) -> Dump:
        """Return a dump that is encrypted."""
        return Dump(self.programs, self.desk.settings.backup_folder, ID, (), public_of(KEY), 0, 18)

    def dumped(self) -> Step:
        """Return the dump."""
        return dump_database(self.dump, stored=lambda: self.catalog.has(ID), name="dump")

    def stored(self) -> Step:
        """Return what stores a dump."""
        self.dump.make(Sight(run="r"))
        return store(self.catalog, self.dump.draft, ID, name="store")

    def published(self) -> Step:
        """Return what publishes a stored dump."""
        self.stored().act(Sight())
        return publish(self.catalog, self.dump.draft, ID, name="publish")

    def taken_away(self) -> Step:
        """Return what deletes a backup."""
        self.published().act(Sight())
        return take_away(self.catalog, ID, what="old", name="delete")

    def recorded(self) -> Step:
        """Return what writes a proof down."""
        proof = Proof(backup=ID, at=now(), run="r", good=True, major=18, seconds=1.0, tables=1, rows=1)
        return record(self.desk.home, ID, lambda _sight: proof, name="record")

    @property
    def beside(self) -> Beside:
        """Return a published backup on its way into a new database."""
        if not self.catalog.has(ID):
            self.published().act(Sight())
        manifest, home = self.catalog.get(ID), self.desk.settings.home
        return Beside(self.programs, self.catalog, manifest, home, KEY, "postgres", "lost_load")

    def fetched(self) -> Step:
        """Return what decrypts a backup on this machine."""
        return have_on_this_machine(self.beside, name="fetch")

    def loaded(self) -> Step:
        """Return what loads a backup beside the present."""
        self.fetched().act(Sight())
        return load_beside(self.beside, name="load")

    def forgotten(self) -> Step:
        """Return what removes the decrypted backup."""
        self.fetched().act(Sight())
        return forget(self.beside, name="forget")

    def make(self, *databases: str, note: tuple[str, str]) -> None:
        """Make empty databases, one of them with a note."""
        with self.database.commanding(SWITCH) as session:
            for name in databases:
                session.connection.execute(f"drop database if exists {name}".encode())
                session.connection.execute(f"create database {name}".encode())
            session.connection.execute(f"comment on database {note[0]} is '{note[1]}'".encode())

    def switched(self) -> Step:
        """Return the switch of two empty databases."""
        self.make("lost_now", "lost_fresh", note=("lost_fresh", LOADED + ID))
        return switch(Places(self.database, "lost_now", "lost_fresh", "lost_former", ID), name="switch")

    def noted(self) -> Step:
        """Return what notes whose place a loaded database has."""
        self.make("lost_loaded", note=("lost_loaded", LOADED + ID))
        return note_place(self.database, "lost_loaded", "postgres", ID, name="note")

    def dropped(self) -> Step:
        """Return what drops a former database."""
        self.make("lost_kept", note=("lost_kept", f"{FORMER}r when backup {ID} took its place at 2026-11-20T03:05:00Z"))
        return drop_former(self.database, "lost_kept", what="-", name="drop")

    def moved(self) -> Step:
        """Return what moves Hyperdrive's connections."""
        origin = Origin(**{key: self.desk.stand_in.origin[key] for key in ("host", "port", "database", "user")})
        to = replace_origin(origin, "new.example.com")
        return move_connection(Moving(self.desk.cloudflare, "db", to, origin, lambda: "p"), name="move")


def replace_origin(origin: Origin, host: str) -> Origin:
    """Return the same database on another host."""
    return Origin(host, origin.port, origin.database, origin.user)


MAKERS: Final[dict[str, Callable[[Acts], Step]]] = {
    "dumping.dump_database": Acts.dumped,
    "storing.store": Acts.stored,
    "storing.publish": Acts.published,
    "pruning.take_away": Acts.taken_away,
    "proofs.record": Acts.recorded,
    "beside.have_on_this_machine": Acts.fetched,
    "beside.load_beside": Acts.loaded,
    "beside.forget": Acts.forgotten,
    "renaming.switch": Acts.switched,
    "renaming.drop_former": Acts.dropped,
    "replaced.note_place": Acts.noted,
    "hyperdrive.move_connection": Acts.moved,
}
