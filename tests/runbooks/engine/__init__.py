"""Tests of the engine, against toy books whose effects are files."""
