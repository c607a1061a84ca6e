"""Tests of the app that is operated, on real engines."""
