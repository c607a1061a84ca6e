"""The menu: `invoke --list` shows it. Composes what stands in runbooks/commands, and acts never."""

import sys

from invoke import Collection

from runbooks.commands import backup, check, deploy, drill, postmortem, restore, rollback, runs, twin
from runbooks.commands.frame.streams import outlast

if sys.stdout in (sys.__stdout__, None):  # a program's own, and no test's: `invoke --list | head` ends in silence too
    outlast()

namespace = Collection(
    backup,
    check.check,
    deploy,
    drill.drill,
    postmortem.postmortem,
    restore,
    rollback.rollback,
    runs,
    twin,
)
