"""An operator's desk for tests of books: a stack file and an ops home of its own, clients of the stand-in provider."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runbooks.clients.cloudflare import Cloudflare, explain
from runbooks.clients.edge import Edge
from runbooks.clients.transport import Patience, Transport
from runbooks.engine.record.folder import Folder
from runbooks.engine.redaction import Redactor
from runbooks.engine.runner import Consent, Outcome, Runner
from runbooks.engine.step import Sight
from runbooks.model.settings import Settings, load
from runbooks.steps.cloudflare.workers import given
from runbooks.steps.releases import record_verified

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runbooks.engine.record.home import Home
    from runbooks.engine.step import Book
    from tests.runbooks.stand_in import StandIn


class Silent:
    """Show nothing."""

    def __getattr__(self, _name: str) -> Any:  # noqa: ANN401 - any method of Show
        return lambda *_args: None


@dataclass
class Desk:
    """Where an operator works. `consent` is what they say to every plan."""

    settings: Settings
    stand_in: StandIn
    cloudflare: Cloudflare
    edge: Edge
    consent: Consent = field(default_factory=lambda: Consent(yes=True, reason="it throws"))

    @property
    def home(self) -> Home:
        """Return where operations are remembered."""
        return Folder(self.settings.home)

    def runner(self) -> Runner:
        """Make what runs books."""
        return Runner(
            home=self.home,
            stack="twin",
            stack_argument="twin",
            actor="tester",
            show=Silent(),
            redact=Redactor(()),
        )

    def run(self, book: Book[Any], **arguments: Any) -> Outcome:  # noqa: ANN401 - the book's own arguments
        """Run a book."""
        return self.runner().run(book, arguments=arguments, consent=self.consent)

    def release(self, *, good: bool = True) -> str:
        """Upload a version, send the traffic to it, and record it as good where it is."""
        version = self.stand_in.upload()
        self.stand_in.deploy(version)
        if good:
            record_verified(self.home, "api", version=given(version), proofs=(), clock=now).act(Sight())
        return version


def now() -> datetime:
    """Tell the time."""
    return datetime.now(UTC)


@contextmanager
def opened(stand_in: StandIn, *, root: Path, folder: Path) -> Iterator[Desk]:
    """Open a desk in a folder, with a copy of the twin's stack file."""
    (folder / "Pulumi.twin.yaml").write_bytes((root / "Pulumi.twin.yaml").read_bytes())
    settings = load("twin", root=folder, environ={})
    patience = Patience(connect=1, answer=1, read=2, attempts=3)
    transport = Transport("Cloudflare", stand_in.address, "t" * 40, explain=explain, patience=patience)
    edge = Edge(stand_in.address, patience=2)
    try:
        yield Desk(settings, stand_in, Cloudflare(transport, settings.stack.account), edge)
    finally:
        transport.close()
        edge.close()
