"""Every error of the runbooks, as one tree.

    OpsError
    ├── Refused            nothing was done: bad input, a gate, a missing setting     exit 2
    ├── HeldByOther        another operator's run holds the stack                     exit 4
    ├── NotWritten         the journal cannot be written: no further effect starts    exit 3
    ├── CheckError         reading or proving went wrong                              exit 1
    │   ├── NotSo          the proof failed: the system is not as it should be        exit 5 after an act
    │   │   └── NeverSo    and waiting longer will not make it so
    │   ├── NotThere       what was asked about does not exist                        exit 1
    │   ├── AwaitsSomebody a person has not answered yet                              exit 3
    │   └── Unreachable    no answer, or one that says "later"; asking again is safe
    │       ├── Denied     a server is there and does not let us in
    │       └── Outage     of a provider that another command does without            exit 2
    └── ActError           an effect went wrong                                       exit 1
        ├── ActRefused     the provider said no: the effect did not happen
        └── AnswerLost     the effect may have happened: look before acting again

Two questions are answered by where an error stands: would a retry help (`retryable`), and was it a check or an act.
The text says what, where, expected, got; `next_command` is what the operator types next.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the process tells its caller."""

    DONE = 0
    """Done, or already so."""
    FAILED = 1
    """Failed; the text says what and what to do."""
    REFUSED = 2
    """Nothing was done: bad input, a gate, a missing setting."""
    PAUSED = 3
    """Stopped part-way; the text holds the command that goes on."""
    HELD = 4
    """Another operator's run holds the stack; the text names them."""
    UNPROVEN = 5
    """The act was done but its proof failed."""


class OpsError(Exception):
    """Carry one clear message, and the command to type next where there is one."""

    exit: Exit = Exit.FAILED
    retryable: bool = False

    def __init__(self, message: str, *, next_command: str | None = None) -> None:
        super().__init__(message)
        self.next_command = next_command


class Refused(OpsError):
    """Nothing was done: the input, a gate or a setting forbids it."""

    exit = Exit.REFUSED


class HeldByOther(OpsError):
    """Another run holds the lease of this stack."""

    exit = Exit.HELD


class NotWritten(OpsError):
    """The journal cannot be written (disk full, folder gone): no effect starts without its intent on disk."""

    exit = Exit.PAUSED


class CheckError(OpsError):
    """Reading or proving went wrong."""


class NotSo(CheckError):
    """The system is not as it should be."""

    exit = Exit.UNPROVEN


class NeverSo(NotSo):
    """The system is not as it should be, and waiting longer will not make it so."""


class Unreachable(CheckError):
    """No answer, or one that says "later"; nothing was changed, asking again is safe.

    `provider` is whose API it was, "" where it was something else: the ops home, the product itself. `after` is when
    it wants to be asked again, in seconds from now, 0 where it does not say. With `busy` it was asked too often.
    """

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        next_command: str | None = None,
        provider: str = "",
        after: float = 0.0,
        busy: bool = False,
    ) -> None:
        super().__init__(message, next_command=next_command)
        self.provider = provider
        self.after = after
        self.busy = busy


class Outage(Unreachable):
    """A provider's API does not answer, and `next_command` does without it; nothing was changed."""

    exit = Exit.REFUSED


class Denied(Unreachable):
    """A server is there and does not let us in: a wrong password, role or database, or a rule about addresses."""


class NotThere(CheckError):
    """What was asked about does not exist: a table, column, function, type or schema of a database."""


class AwaitsSomebody(CheckError):
    """A person has not answered yet; nothing was changed, and the run goes on once they have."""

    exit = Exit.PAUSED


class ActError(OpsError):
    """An effect went wrong."""


class ActRefused(ActError):
    """The provider said no: the effect did not happen. `code` is the provider's own, where it gives one."""

    def __init__(self, message: str, *, next_command: str | None = None, code: str = "") -> None:
        super().__init__(message, next_command=next_command)
        self.code = code


class AnswerLost(ActError):
    """The answer was lost on the way: the effect may or may not have happened, so look before acting again."""
