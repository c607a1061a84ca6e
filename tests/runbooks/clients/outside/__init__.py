"""Tests of the runbooks' clients."""
