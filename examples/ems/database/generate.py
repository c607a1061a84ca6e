"""Print a riding school's life as SQL for psql: the same arguments give the same bytes.

    python generate.py --horses 200 --years 3 | psql -v ON_ERROR_STOP=1 …

One transaction of COPY blocks into an empty schema, then the sequences, the statistics and the materialised view.
Every name is made up and every address is at example.com. Nothing depends on the day on which it runs. Memory stays
the same at any scale: the school has yards of at most 500 horses each, and one yard's month is made at a time.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import sys
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from names import ARENAS, BREEDS, COATS, FIRST_NAMES, HORSE_NAMES, LAST_NAMES, LESSONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

T = TypeVar("T")

UNTIL = date(2026, 1, 1)
YARD_HORSES = 500
RIDERS_PER_HORSE = 4
HORSES_PER_LESSON = 10
"""A yard of that many horses gives one lesson a day."""
PASSWORD_ROUNDS = 100_000
"""The most that PBKDF2 may take in the Workers runtime."""
MONDAY, WEDNESDAY, SATURDAY = 0, 2, 5

COLUMNS = {
    "public.horses": "id, name, ueln, breed, sex, birth_date, height_cm, coat, status, created_at, updated_at",
    "public.instructors": "id, first_name, last_name, email, diploma, created_at, updated_at",
    "public.riders": "id, first_name, last_name, email, phone, birth_date, galop, active, created_at, updated_at",
    "public.lessons": "id, title, discipline, instructor_id, arena, starts_at, duration_minutes, min_galop, seats, "
    "price_cents, status, created_at, updated_at",
    "public.bookings": "id, lesson_id, rider_id, horse_id, status, note, created_at, updated_at",
    "public.invoices": "id, number, rider_id, status, issued_on, due_on, total_cents, created_at, updated_at",
    "public.invoice_lines": "id, invoice_id, booking_id, label, quantity, unit_cents, created_at",
    "public.payments": "id, invoice_id, method, amount_cents, paid_at",
    "ops.accounts": "id, email, password_hash, role, created_at",
}


class Yard(NamedTuple):
    """The ids of what stands in one yard: ranges that start at `first_…`."""

    number: int
    first_horse: int
    horses: int
    first_rider: int
    riders: int
    first_instructor: int
    instructors: int


@dataclass
class Month:
    """The rows of one yard's month, ready for COPY, and the last ids that they used."""

    ids: dict[str, int]
    rows: dict[str, list[str]] = field(default_factory=dict)

    def add(self, table: str, values: str) -> int:
        """Append a row of `table`, whose values but the id are `values` in COPY text form; return its id."""
        number = self.ids[table] = self.ids.get(table, 0) + 1
        self.rows.setdefault(table, []).append(f"{number}\t{values}\n")
        return number


def yards(horses: int) -> Iterator[Yard]:
    """Cut the school into yards of at most `YARD_HORSES` horses."""
    horse = rider = instructor = 1
    for number, start in enumerate(range(0, horses, YARD_HORSES)):
        here = min(YARD_HORSES, horses - start)
        yard = Yard(number, horse, here, rider, here * RIDERS_PER_HORSE, instructor, 1 + here // 25)
        yield yard
        horse, rider, instructor = (
            horse + yard.horses,
            rider + yard.riders,
            instructor + yard.instructors,
        )


def months(since: date, until: date) -> Iterator[tuple[date, date]]:
    """Give the first day and the day after the last of each month from `since` to `until`."""
    first = since
    while first < until:
        after = min(until, date(first.year + first.month // 12, first.month % 12 + 1, 1))
        yield first, after
        first = after


def copy(table: str, rows: Iterable[str]) -> Iterator[str]:
    """Wrap rows into the COPY block of `table`."""
    yield f"copy {table} ({COLUMNS[table]}) from stdin;\n"
    yield from rows
    yield "\\.\n"


def chance(*key: object) -> Random:
    """Give the random numbers that belong to a key: they depend on nothing else."""
    return Random(":".join(map(str, key)))  # noqa: S311 - made-up data, no secret


def pick(random: Random, choices: Sequence[T]) -> T:
    """Choose one; several times faster than `Random.choice`, which matters at this many rows."""
    return choices[int(random.random() * len(choices))]


def horses(random: Random, yard: Yard, since: date) -> Iterator[str]:
    """Make up the horses of a yard."""
    for number in range(yard.first_horse, yard.first_horse + yard.horses):
        breed, height = pick(random, BREEDS)
        born = since - timedelta(days=1200 + int(random.random() * 5500))
        sex = pick(random, ("mare", "gelding", "gelding", "mare", "stallion"))
        status = pick(random, ("active",) * 9 + ("resting",))
        bought = f"{since - timedelta(days=30 + int(random.random() * 1000))} 09:{number % 60:02}:00+00"
        yield (
            f"{number}\t{pick(random, HORSE_NAMES)}\t250001{number:09}\t{breed}\t{sex}\t{born}\t"
            f"{height - 5 + int(random.random() * 11)}\t{pick(random, COATS)}\t{status}\t{bought}\t{bought}\n"
        )


def address(first: str, last: str, number: int) -> str:
    """Write a person's address at example.com, unique by the number."""
    plain = f"{first}.{last}".lower().translate(str.maketrans("àâäçèéêëîïôöûüÿ", "aaaceeeeiioouuy"))
    return f"{plain}.{number}@example.com"


def instructors(random: Random, yard: Yard, since: date) -> Iterator[str]:
    """Make up the instructors of a yard."""
    for number in range(yard.first_instructor, yard.first_instructor + yard.instructors):
        first, last = pick(random, FIRST_NAMES), pick(random, LAST_NAMES)
        hired = f"{since - timedelta(days=30 + int(random.random() * 1000))} 08:00:00+00"
        diploma = pick(random, ("BPJEPS", "BPJEPS", "DEJEPS"))
        mail = address(first, last, number).replace("@", ".moniteur@")
        yield f"{number}\t{first}\t{last}\t{mail}\t{diploma}\t{hired}\t{hired}\n"


def riders(random: Random, yard: Yard, since: date) -> Iterator[str]:
    """Make up the riders of a yard; telephone numbers are of the range that no one can have (06 39 98)."""
    for number in range(yard.first_rider, yard.first_rider + yard.riders):
        first, last = pick(random, FIRST_NAMES), pick(random, LAST_NAMES)
        born = since - timedelta(days=2200 + int(random.random() ** 2 * 17000))
        joined = f"{since - timedelta(days=30 + int(random.random() * 1500))} 10:{number % 60:02}:00+00"
        phone = f"+33 6 39 98 {number // 100 % 100:02} {number % 100:02}"
        yield (
            f"{number}\t{first}\t{last}\t{address(first, last, number)}\t{phone}\t{born}\t"
            f"{int(random.random() * 8)}\t{'t' if random.random() < 0.93 else 'f'}\t{joined}\t{joined}\n"  # noqa: PLR2004 - a share
        )


def accounts(seed: int, since: date) -> Iterator[str]:
    """Make the staff's accounts; the password of each is `demo-<seed>`."""
    for number, (name, role) in enumerate((("direction", "owner"), ("accueil", "staff"), ("compta", "staff")), 1):
        salt = hashlib.sha256(f"{seed}:{name}".encode()).digest()[:16]
        key = hashlib.pbkdf2_hmac("sha256", f"demo-{seed}".encode(), salt, PASSWORD_ROUNDS)
        hashed = f"pbkdf2-sha256${PASSWORD_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"
        uuid = f"00000000-0000-4000-8000-{number:012}"
        yield f"{uuid}\t{name}@example.com\t{hashed}\t{role}\t{since} 08:00:00+00\n"


def lessons_on(day: date, yard: Yard, random: Random) -> int:
    """Count the lessons that a yard gives on a day: none on Mondays, most on Wednesdays and Saturdays."""
    if day.weekday() == MONDAY:
        return 0
    busy = 1.5 if day.weekday() in (WEDNESDAY, SATURDAY) else 0.8
    return max(1, int(busy * yard.horses / HORSES_PER_LESSON * (0.8 + random.random() * 0.4) + 0.5))


def month_of(random: Random, yard: Yard, span: tuple[date, date], ids: dict[str, int]) -> Month:
    """Live one month of one yard: lessons, their bookings, then the invoices, lines and payments."""
    month = Month(ids)
    due: dict[int, list[tuple[int, str, int]]] = {}
    for offset in range((span[1] - span[0]).days):
        day = span[0] + timedelta(days=offset)
        for _ in range(lessons_on(day, yard, random)):
            teach(random, yard, day, month, due)
    for rider in sorted(due):
        bill(random, rider, due[rider], span[1] - timedelta(days=1), month)
    return month


def teach(random: Random, yard: Yard, day: date, month: Month, due: dict[int, list[tuple[int, str, int]]]) -> None:
    """Add one lesson and its bookings; what is to be paid is put down in `due`, by rider."""
    discipline, title, price, galop = pick(random, LESSONS)
    draw = random.random
    start = f"{day} {8 + int(draw() * 10):02}:{pick(random, ('00', '30'))}:00+00"
    planned = f"{day - timedelta(days=28)} 07:{int(draw() * 60):02}:{int(draw() * 60):02}.{int(draw() * 1e6):06}+00"
    lesson = month.add(
        "public.lessons",
        f"{title}\t{discipline}\t{yard.first_instructor + int(draw() * yard.instructors)}\t{pick(random, ARENAS)}\t"
        f"{start}\t{pick(random, (60, 60, 60, 90, 120))}\t{galop}\t8\t{price}\theld\t{planned}\t{planned}",
    )
    for _ in range(3 + int(draw() * 6)):
        rider = yard.first_rider + int(draw() * yard.riders)
        came = draw()
        status = "attended" if came < 0.9 else "cancelled" if came < 0.97 else "no_show"  # noqa: PLR2004 - shares
        # Booked between 27 days and one day before, so always after the lesson was planned and before it starts.
        at = (
            f"{day - timedelta(days=1 + int(draw() ** 2 * 27))} {7 + int(draw() * 15):02}:{int(draw() * 60):02}:"
            f"{int(draw() * 60):02}.{int(draw() * 1e6):06}+00"
        )
        booking = month.add(
            "public.bookings",
            f"{lesson}\t{rider}\t{yard.first_horse + int(draw() * yard.horses)}\t{status}\t\\N\t{at}\t{at}",
        )
        if status != "cancelled":
            due.setdefault(rider, []).append((booking, title, price))


def bill(random: Random, rider: int, items: list[tuple[int, str, int]], day: date, month: Month) -> None:
    """Add a rider's invoice of the month, a line a booking, and most often its payment."""
    total = sum(price for _, _, price in items)
    paid = random.random() < 0.94  # noqa: PLR2004 - the share that pays in time
    number = month.ids.get("public.invoices", 0) + 1
    at = f"{day} 20:{number % 60:02}:{number // 60 % 60:02}+00"
    invoice = month.add(
        "public.invoices",
        f"F{day.year}-{number:07}\t{rider}\t{'paid' if paid else 'issued'}\t{day}\t{day + timedelta(days=30)}\t"
        f"{total}\t{at}\t{at}",
    )
    for booking, title, price in items:
        month.add("public.invoice_lines", f"{invoice}\t{booking}\t{title}\t1\t{price}\t{at}")
    if paid and total:
        method = pick(random, ("card", "card", "card", "transfer", "cheque", "cash"))
        when = f"{day} 21:{number % 60:02}:{number // 60 % 60:02}+00"
        month.add("public.payments", f"{invoice}\t{method}\t{total}\t{when}")


def school(seed: int, horse_count: int, since: date, until: date) -> Iterator[str]:
    """Tell the whole life of the school, as SQL."""
    yield "begin;\nset local client_min_messages = warning;\n"
    yield from copy("ops.accounts", accounts(seed, since))
    for table, make in (
        ("public.horses", horses),
        ("public.instructors", instructors),
        ("public.riders", riders),
    ):
        for yard in yards(horse_count):
            yield from copy(table, make(chance(seed, table, yard.number), yard, since))
    ids: dict[str, int] = {}
    for span in months(since, until):
        for yard in yards(horse_count):
            month = month_of(chance(seed, span[0], yard.number), yard, span, ids)
            for table, rows in month.rows.items():
                yield from copy(table, rows)
    yield from ending(table for table in COLUMNS if table.startswith("public."))
    yield "commit;\n"


def ending(tables: Iterable[str]) -> Iterator[str]:
    """Set the sequences behind the last ids, count the invoice numbers on, gather statistics, fill the view."""
    for table in tables:
        last = f"(select max(id) from {table})"  # noqa: S608 - names of our own tables
        yield f"do $$ begin perform setval(pg_get_serial_sequence('{table}', 'id'), {last}); end $$;\n"
        yield f"analyze {table};\n"
    yield (
        "do $$ begin perform setval('public.invoice_number_seq', (select max(id) from public.invoices)); "
        "end $$;\n"
        "refresh materialized view public.monthly_activity;\n"
        "analyze public.monthly_activity;\n"
    )


def whole(text: str) -> int:
    """Read a count of at least one."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")  # noqa: EM101, TRY003 - argparse's own way to refuse
    return number


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--horses", type=whole, default=60, help="how many horses the school has")
    parser.add_argument("--years", type=whole, default=1, help="years of lessons, bookings and invoices")
    parser.add_argument("--seed", type=int, default=7, help="another number, another school")
    parser.add_argument("--until", type=date.fromisoformat, default=UNTIL, help="first day without data")
    given = parser.parse_args()
    since = given.until - timedelta(days=round(given.years * 365.25))
    with io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="\n") as out:
        out.writelines(school(given.seed, given.horses, since, given.until))


if __name__ == "__main__":
    main()
