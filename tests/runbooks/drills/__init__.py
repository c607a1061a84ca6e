"""The parts of a drill, without engines."""
