"""The local stand-in, tested over the wire."""
