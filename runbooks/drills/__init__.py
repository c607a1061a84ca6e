"""One scenario a file: break the twin, notice, repair with the real book, measure."""
