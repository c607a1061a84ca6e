"""Tests of the runbooks' commands."""
