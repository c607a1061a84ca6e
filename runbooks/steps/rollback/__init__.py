"""How each service goes back: what is read, in which order it is done, what proves it. Opens nothing itself."""
