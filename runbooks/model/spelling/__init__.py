"""How points in time are spelt wrong, and what was most likely meant: for examples in refusals, never to act on."""
