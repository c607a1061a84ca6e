"""The doors: the only code that opens connections or starts processes. One module an outside system; no policy."""

import sys

# httpx's own command line, with all that it draws a terminal with: a sixth of the time in which a rollback starts.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type] # None: "not installed", which httpx is ready for
