"""Verbs, one file an outside system: each with its check, its act and its undo. Order is the books' business."""
