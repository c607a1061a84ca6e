"""The doors: the only code that opens connections or starts processes. One module an outside system; no policy."""
