"""The rules of a zone at the edge, without an edge."""
