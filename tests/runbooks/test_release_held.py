"""What a restore has held back leaves when a person says so, and not before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runbooks import release_held
from runbooks.model.errors import Exit
from tests.runbooks.steps.hazards.product import MAILS, Product

if TYPE_CHECKING:
    from runbooks.clients.postgres import Postgres
    from tests.runbooks.desk import Desk


@pytest.mark.twin
@pytest.mark.usefixtures("nothing_left")
def test_what_is_held_leaves_once(desk: Desk, database: Postgres) -> None:
    """The plan says how much, the run lets it go, a second run has nothing to do."""
    product = Product(database, desk.home)
    product.sql(MAILS.hold)
    book = release_held.book(database, (MAILS,), in_use=lambda: None)
    facts = book.gather()
    assert book.summary(facts).endswith(": held are mails 2")
    assert book.losses(facts)[0].startswith("2 of mails leave, some perhaps a second time; look at them first: select")
    assert desk.run(book).exit is Exit.DONE
    assert product.sql(MAILS.waiting) == 2
    again = desk.run(book)
    assert (again.exit, again.status) == (Exit.DONE, "already so")
    assert again.plan.summary.endswith("nothing is held, there is nothing to do")
