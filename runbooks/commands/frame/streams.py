"""Standard streams that outlast whoever reads them: a closed terminal, `| head`."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

    from _typeshed import ReadableBuffer


class _Lasting(io.FileIO):
    """A file that takes everything: what nobody can read any more is dropped."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def lasting(stream: TextIO | None) -> TextIO:
    """Return a stream to the same place that never fails: a run must not end because its terminal did.

    A character that the terminal's encoding does not have is written as its code. Without a stream, the null device.
    """
    number = os.open(os.devnull, os.O_WRONLY) if stream is None else stream.fileno()
    encoding = "utf-8" if stream is None else stream.encoding
    raw = io.BufferedWriter(_Lasting(number, "w", closefd=False))
    return io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", line_buffering=True)
