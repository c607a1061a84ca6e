"""Who asks for a point in time: what an example in a refusal may be made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True)
class Asker:
    """Who typed the point: `now` in UTC, the IANA `zone` they most likely think in, and the command they typed."""

    now: datetime
    zone: str = "UTC"
    command: str = "invoke restore --point="

    def ago(self, span: timedelta) -> str:
        """Return how the instant that lies so far back is written, in whole seconds of UTC."""
        at = (self.now - span).astimezone(UTC).replace(microsecond=0)
        return at.isoformat().replace("+00:00", "Z")
