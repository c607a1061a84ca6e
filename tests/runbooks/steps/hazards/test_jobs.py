"""Scheduled jobs (pg_cron) during a restore: ours stand still and follow the database, the others are named."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from runbooks.engine.step import No, NoUndo, Sight, Yes
from runbooks.steps.hazards.jobs import Jobs, Sees, hold_jobs, jobs_of, release_jobs
from tests.runbooks.steps.hazards.product import GONE, Product
from tests.runbooks.steps.hazards.test_hazards import done

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runbooks.clients.postgres import Postgres
    from tests.runbooks.desk import Desk

pytestmark = pytest.mark.twin

NARROW = """
create role narrow_jobs login password 'narrow';
alter table cron.job enable row level security;
create policy own on cron.job using (username = current_user);
alter function cron.alter_job security definer;
grant usage on schema cron to narrow_jobs;
grant select on cron.job to narrow_jobs;
insert into cron.job values (5, true, 'narrow_jobs', null);
"""
"""A role without bypassrls, beside the row policy that pg_cron itself puts on its table."""
STATES = (
    "select string_agg(jobid || ' ' || database || ' ' || active, ', ' order by jobid) from cron.job where jobid < 3"
)


@pytest.fixture
def product(database: Postgres, desk: Desk) -> Iterator[Product]:
    """Give the tables of a product, of which nothing stays."""
    made = Product(database, desk.home)
    yield made
    made.sql(GONE)
    made.sql("drop role if exists narrow_jobs")


@pytest.fixture
def narrow(product: Product) -> Postgres:
    """Give the database as a role sees it that is no superuser and does not pass row policies by."""
    product.sql(NARROW)
    scheme, _, rest = product.database.url.partition("//")
    return replace(product.database, url=f"{scheme}//narrow_jobs:narrow@{rest.partition('@')[2]}")


def test_jobs_of_other_roles_are_named(product: Product) -> None:
    """They run during a restore: the plan says which, when and where, and counts the rest."""
    (line,) = jobs_of(product.database).not_held()
    assert line == (
        "not held: jobs of other roles, which run all the same: 4 “nightly” of somebody (0 3 * * *, in postgres)"
    )
    product.sql("insert into cron.job select 10 + n, true, 'somebody', null from generate_series(1, 6) n")
    assert jobs_of(product.database).not_held()[0].endswith(", 14 of somebody (0 3 * * *, in postgres) and 2 more")
    product.sql("update cron.job set active = false where username = 'somebody'")
    assert jobs_of(product.database).not_held() == ()


def test_a_role_that_sees_its_own_jobs_holds_those_and_says_so(narrow: Postgres, product: Product) -> None:
    """By pg_cron's row policy the jobs of others are hidden: that they may be there is said, and nothing fails."""
    found = jobs_of(narrow)
    assert ([job.id for job in found.jobs], found.sees) == ([5], Sees.OWN)
    said = "not held: jobs (pg_cron) that our role cannot see: it sees its own jobs only; it lacks bypassrls"
    assert found.not_held() == (said,)
    sight = done(hold_jobs(narrow, name="hold"))
    assert (sight.before["active"], product.sql("select active from cron.job where jobid = 5")) == ([5], False)
    assert product.sql("select active from cron.job where jobid = 4") is True


def test_a_role_that_may_not_look_stops_no_restore(narrow: Postgres, product: Product) -> None:
    """Without the right on pg_cron's table the plan says that nothing can be held; the step passes with that."""
    product.sql("revoke select on cron.job from narrow_jobs")
    said = (
        "not held: jobs (pg_cron) that our role cannot see: it sees no job; it lacks usage on schema cron and select "
        "on cron.job"
    )
    assert jobs_of(narrow).not_held() == (said,)
    held = hold_jobs(narrow, name="hold").holds(Sight())
    assert isinstance(held, Yes)
    assert held.evidence["sees"] == "no job"
    product.sql("revoke usage on schema cron from narrow_jobs")
    assert jobs_of(narrow) == Jobs(Sees.NOTHING)
    assert Jobs().not_held(answers=False) == (
        "jobs (pg_cron) of other roles are not held; which there are cannot be told, nobody answers",
    )


def test_jobs_follow_a_database_that_took_anothers_place(product: Product) -> None:
    """pg_cron's table stays where it is and names the database: jobs of the former run in the new one, or go back."""
    fresh = product.database.named("template1")
    assert [job.id for job in jobs_of(fresh).jobs] == [1, 2, 3, 4]
    release = release_jobs(fresh, lambda _: [1], name="release", former="postgres")
    product.sql("update cron.job set active = false where jobid = 1")
    before = release.holds(Sight())
    assert isinstance(before, No)
    assert before.why == "jobs are held, or run in postgres: 1"
    release.act(Sight())
    assert product.sql(STATES) == "1 template1 true, 2 postgres false"
    assert isinstance(release.holds(Sight()), Yes)
    assert not isinstance(release.undo, NoUndo)
    release.undo(Sight(before=before.evidence))
    assert product.sql(STATES) == "1 postgres false, 2 postgres false"
