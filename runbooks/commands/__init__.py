"""The command line: flags, help, exit codes. One file a group; what a command does stands in its book.

Nothing heavy is imported before a command runs: `invoke --list` must cost what an empty tasks file costs.
"""
