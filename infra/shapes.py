"""The kinds of values that stack files are made of, and the shape of what stands around the services."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, field

_LABEL, _TOP = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", "([a-z]{2,63}|xn--[a-z0-9-]{1,59})"
HostName = Annotated[str, Meta(pattern=rf"^(?=.{{1,253}}$)({_LABEL}\.)+{_TOP}$")]
RecordName = Annotated[str, Meta(pattern=rf"^(?=.{{1,253}}$)(\*\.)?({_LABEL}\.)+{_TOP}$")]
"""The name of a DNS record, which may stand for all below it (`*.example.com`)."""
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
UrlPath = Annotated[str, Meta(pattern=r"^/")]
Url = Annotated[str, Meta(pattern=r"^https?://([^\s/?#\[\]]+|\[[0-9A-Fa-f:.]+\](:\d{1,5})?)([/?#]\S*)?$")]
Address = Annotated[str, Meta(pattern=r"^[0-9a-f.:]{2,45}$")]
"""An IP address of either family."""
Seconds = Annotated[float, Meta(gt=0, le=31_557_600)]
"""A time in seconds, a year at most."""
PublicKey = Annotated[str, Meta(pattern=r"^[A-Za-z0-9+/]{43}=$")]
"""An Ed25519 or X25519 public key in base64."""
BOOKS: Final = (
    "backup", "backup.prune", "backup.verify", "deploy", "deploy.secrets", "restore", "restore.finish",
    "restore.release", "rollback",
)  # fmt: skip
"""The books that run under a journal, each by the command that begins it."""
Port = Annotated[int, Meta(ge=0, le=65535)]
BindingName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
BucketName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")]
Value = str | bool | int | float | list[Any] | dict[str, Any]
"""A variable of the Worker: a text, or anything else that JSON can say."""
Dataset = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,96}$")]
SECRET_PREFIX = "EMS_SECRET_"  # noqa: S105 - the beginning of a variable's name
"""What stands before a Worker secret's name in the environment variable that holds its value."""
HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,64}$")]
HeaderText = Annotated[str, Meta(pattern=r"^[ -~]*$")]
FileName = Annotated[str, Meta(min_length=1)]
Arguments = Annotated[tuple[str, ...], Meta(min_length=1)]
"""A command as an argument list; `python` as its first word means the interpreter that runs us."""
SUBJECT: Final = ":'subject'"
"""What stands in the SQL for the key of whoever is erased, as psql writes a variable that it quotes."""
_NAME = r'([^\W\d][\w$]*|"([^"]|"")+")'
TableName = Annotated[str, Meta(pattern=rf"^({_NAME}\.)?{_NAME}$")]
"""A table's name as in SQL: in double quotes where there are capitals or other signs."""
FullTableName = Annotated[str, Meta(pattern=rf"^{_NAME}\.{_NAME}$")]
"""The same with its schema."""
Sql = Annotated[str, Meta(min_length=1)]


class Frozen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Refuse unknown keys and later changes: what all parts of a stack file have in common."""


class Limiter(Frozen, frozen=True):
    """What the Worker asks by a key of its own choice (`env.NAME.limit({key})`): so many calls in a period.

    Limiters of one `namespace`, a number of the account's own, count together.
    """

    namespace: Annotated[int, Meta(gt=0)]
    limit: Annotated[int, Meta(gt=0)]
    period_seconds: Literal[10, 60] = 60


class FirewallRule(Frozen, frozen=True):
    """Requests that the edge blocks or challenges; `expression` is in Cloudflare's rules language."""

    name: Name
    expression: str
    action: Literal["block", "challenge", "js_challenge", "managed_challenge", "log", "skip"] = "block"


class RateLimit(Frozen, frozen=True):
    """So many requests of one address in a period; beyond that it is blocked for a while."""

    name: Name
    expression: str
    requests: Annotated[int, Meta(gt=0)]
    period_seconds: Literal[10, 60, 120, 300, 600, 3600] = 10
    block_seconds: Annotated[int, Meta(ge=0, le=86400)] = 10


class CacheRule(Frozen, frozen=True):
    """Answers that the edge may keep for so long."""

    name: Name
    expression: str
    seconds: Annotated[int, Meta(gt=0)]


class Protection(Frozen, frozen=True):
    """What guards the zone. `settings` are Cloudflare's zone settings by id.

    `managed` switches on Cloudflare's own ruleset against known attacks (not on the Free plan), `dnssec` the signing of
    answers; its DS record must then be put at the registrar.
    """

    settings: dict[str, str] = field(default_factory=dict)
    managed: bool = False
    dnssec: bool = False
    firewall: tuple[FirewallRule, ...] = ()
    rate_limits: tuple[RateLimit, ...] = ()
    cache: tuple[CacheRule, ...] = ()


class Bucket(Frozen, frozen=True):
    """An R2 bucket; `keep_days` says by prefix when objects are deleted (an empty prefix: all of them)."""

    name: BucketName
    keep_days: dict[str, Annotated[int, Meta(gt=0)]] = field(default_factory=dict)


class Logpush(Frozen, frozen=True):
    """Where Cloudflare pushes what every invocation of the Worker logged: below `prefix` of one of our buckets.

    The bucket's keys come from EMS_LOGPUSH_ACCESS_KEY_ID and EMS_LOGPUSH_SECRET_ACCESS_KEY. Needs a paid plan.
    """

    bucket: BucketName
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9/_-]*$")] = "workers"


class Policy(Frozen, frozen=True):
    """One kind of event that Cloudflare tells; `new_health` narrows those of health checks."""

    name: Name
    alert_type: str
    new_health: tuple[Literal["Healthy", "Unhealthy"], ...] = ()


class Alerts(Frozen, frozen=True):
    """What Cloudflare itself tells the on-call role. A health check needs a paid plan: none without seconds.

    With `webhook_secret` every call of the webhook carries the value of EMS_WEBHOOK_SECRET in `cf-webhook-auth`.
    """

    webhook: Url | None = None
    webhook_secret: bool = False
    health_check_seconds: Annotated[int, Meta(ge=5, le=3600)] | None = None
    policies: tuple[Policy, ...] = ()


class Keep(Frozen, frozen=True):
    """How many own backups stay: the newest of each of so many days, weeks (ISO 8601) and months."""

    daily: Annotated[int, Meta(ge=1)] = 7
    weekly: Annotated[int, Meta(ge=0)] = 4
    monthly: Annotated[int, Meta(ge=0)] = 12


class Backups(Frozen, frozen=True):
    """Own backups of the database: where they lie, for how long, and how old the newest and its proof may be.

    `store` is a folder or `s3://bucket/prefix?endpoint=…&region=…`, by default `dumps` below the ops home. `encryption`
    is the X25519 public key of whoever may read them. `without` are patterns of tables (`schema.table`, `schema.*`)
    that are left out on purpose.
    """

    store: FileName | None = None
    keep: Keep = Keep()
    newest_hours: Annotated[float, Meta(gt=0, le=87_660)] = 26.0
    proof_days: Annotated[float, Meta(gt=0, le=3_653)] = 7.0
    encryption: PublicKey | None = None
    without: tuple[str, ...] = ()


class Erasure(Frozen, frozen=True):
    """How one kind of person is erased: the statements, and `gone`, which returns a single true when nothing is left.

    Each names the subject as :'subject'. Done again they must change nothing.
    """

    statements: Annotated[tuple[Sql, ...], Meta(min_length=1)]
    gone: Sql

    def __post_init__(self) -> None:
        """Refuse a statement that names nobody: it would erase everybody."""
        for statement in (*self.statements, self.gone):
            if SUBJECT not in statement:
                message = f"expected each statement to name {SUBJECT}, got {statement}"
                raise ValueError(message)


class Outgoing(Frozen, frozen=True):
    """Something that leaves the database by rows that wait: mails, calls of others.

    `waiting` and `held` return how many would leave and how many are held back; `hold` turns the first into the
    second, `release` back.
    """

    name: Name
    waiting: Sql
    hold: Sql
    held: Sql
    release: Sql


class Hazards(Frozen, frozen=True):
    """What is done about them after a restore, before anybody is let in.

    `erasures` by kind, as the ledger of erasures names it. `sessions` are tables of logins, of which every row ends.
    """

    erasures: dict[Name, Erasure] = field(default_factory=dict)
    sessions: tuple[FullTableName, ...] = ()
    outgoing: tuple[Outgoing, ...] = ()


class Archive(Frozen, frozen=True):
    """Base backups and archived WAL of a PostgreSQL server of our own, as folders of this machine.

    `bases` holds a folder for each `pg_basebackup` (full or incremental), `wal` what the server's archive_command puts
    there, `data` is its data folder. `stop` and `start` are the commands that do so and end when it is done. `programs`
    is the folder above `bin/postgres`, where that is no usual one.
    """

    bases: str
    wal: str
    data: str
    stop: Arguments
    start: Arguments
    programs: str | None = None


class Waits(Frozen, frozen=True):
    """How long a restore waits for the provider, in seconds, before it says that something is wrong.

    `restricted`: until who may connect is what was asked for; `archived`: until the archive reaches the point;
    `begun`: until a recovery that was accepted shows; `restored`: until it is over (a week of WAL has taken hours).
    """

    restricted: Seconds = 300.0
    archived: Seconds = 300.0
    begun: Seconds = 900.0
    restored: Seconds = 14_400.0


class Approvals(Frozen, frozen=True):
    """The books that a second person must approve before their first effect, and how long an approval counts."""

    books: tuple[str, ...] = ()
    expires_minutes: Annotated[float, Meta(gt=0)] = 30.0

    def __post_init__(self) -> None:
        """Raise ValueError for a book that there is none of."""
        for book in self.books:
            _refuse_unknown(book)


class Manual(Frozen, frozen=True):
    """What people do by hand: `evidence` asks for what shows it; before the book's first effect, or after its end."""

    book: str
    title: str
    evidence: str
    when: Literal["first", "last"] = "first"

    def __post_init__(self) -> None:
        """Raise ValueError for a book that there is none of."""
        _refuse_unknown(self.book)


def _refuse_unknown(book: str) -> None:
    if book not in BOOKS:
        message = f"expected a book, one of {', '.join(BOOKS)}, got {book}"
        raise ValueError(message)
