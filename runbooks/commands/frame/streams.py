"""Standard streams that outlast whoever reads them: a closed terminal, `| head`."""

from __future__ import annotations

import atexit
import errno
import io
import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import TextIO

    from _typeshed import ReadableBuffer


NOBODY: Final = (errno.EPIPE, errno.EIO, errno.EBADF)
"""Nobody reads any more: a reader that has seen enough, a terminal that was closed."""


class _Lasting(io.FileIO):
    """A file that takes everything: what nobody can read any more is dropped. `lost` is why something else was."""

    lost: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in NOBODY:
                self.lost = error
            return memoryview(data).nbytes


def lasting(stream: TextIO | None) -> TextIO:
    """Return a stream to the same place that never fails: a run must not end because its terminal did.

    A character that the terminal's encoding does not have is written as its code. Without a stream, the null device.
    """
    number = os.open(os.devnull, os.O_WRONLY) if stream is None else stream.fileno()
    encoding = "utf-8" if stream is None else stream.encoding
    raw = io.BufferedWriter(_Lasting(number, "w", closefd=False))
    return io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", line_buffering=True)


def outlast() -> None:
    """Let the process have the three standard streams, whichever were closed, and outlast those that end."""
    sys.stdout, sys.stderr = lasting(sys.stdout), lasting(sys.stderr)
    if sys.stdin is None:  # `<&-`
        sys.stdin = io.TextIOWrapper(io.BytesIO())
    atexit.register(tell_lost, sys.stdout)


def tell_lost(stream: TextIO) -> bool:
    """Say once why not all that was printed is where somebody would read it, a full disk; tell whether it is not."""
    stream.flush()
    raw = getattr(stream.buffer, "raw", None)
    if not isinstance(raw, _Lasting) or raw.lost is None:
        return False
    print(f"standard output: {raw.lost.strerror}: not all of it was written", file=sys.stderr, flush=True)  # noqa: T201 - the edge speaks
    raw.lost = None
    return True
