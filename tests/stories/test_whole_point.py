"""A restore to before a migration brings the API back on the version that fits the database of then."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from benchmarks.sweeping.product import JOBS_REST
from runbooks.clients import twin
from tests.stories.conftest import Operator
from tests.stories.test_restore import a_second_passes, health, sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.sweeping.place import Place

pytestmark = pytest.mark.twin

LATER = "29990101000000"
MIGRATE = "insert into ops.schema_migrations (version, name) values ('29990101000000', 'a later one')"
THERE = "select exists (select from ops.schema_migrations where version = '29990101000000')"


@pytest.fixture
def operator(place: Place, root: Path) -> Iterator[Operator]:
    """Give an operator of the shared twin, whose stack file and ops home are their own."""
    place.rest()
    point = place.direct(RELEASE="whole point")
    control = twin.control(place.stage.addresses.cloudflare)
    operator = Operator(root, point.stack_file, place.stage.addresses, dict(os.environ), control)
    sql(operator, JOBS_REST)
    yield operator
    control.transport.close()
    place.rest()


def test_a_restore_to_before_a_migration_restarts_what_fits(place: Place, operator: Operator) -> None:
    """The live version needs what is gone at the point: the plan says so, the earlier one serves, and is proven to."""
    point = a_second_passes()
    sql(operator, MIGRATE)
    migrations = {"table": "ops.schema_migrations", "column": "version", "at": "applied_at", "needs": LATER}
    operator.edit("ems-ops:database", migrations=migrations)
    deployed = operator.consents("deploy")
    assert deployed.code == 0, deployed.text
    live = deployed.document["results"]["record"]["version"]
    after = a_second_passes()

    kept = operator.types("restore", f"--point={after}", "--dry-run")
    assert kept.document["plan"]["facts"]["whole"]["restart"] == live, kept.text
    assert f"Restart  api on {live[:8]}: it serves now, and fits: migration {LATER}" in "\n".join(
        kept.document["plan"]["shows"]
    )
    asked = operator.types("restore", f"--point={point}", f"--version={live[:8]}", "--dry-run")
    assert asked.document["plan"]["facts"]["whole"]["why"] == "as asked", asked.text
    by_name = operator.types("restore", f"--point=before:{live[:13]}", "--dry-run")
    assert by_name.document["plan"]["facts"]["whole"]["version"] == place.new, by_name.text

    done = operator.consents("restore", f"--point={point}")
    assert (done.code, done.document["status"]) == (0, "done"), done.text
    whole = done.document["plan"]["facts"]["whole"]
    assert (whole["restart"], whole["version"]) == (place.new, place.new)
    assert whole["why"].startswith(
        f"the newest verified that fits; {live[:8]}, which serves now, needs migration {LATER}"
    )
    assert done.document["results"]["fit"]["needs"] != LATER
    served = place.stage.site.cloudflare.live(place.stage.site.settings.stack.api.name)
    assert served is not None
    assert (served.version, health(operator), sql(operator, THERE)) == (place.new, 200, False)
