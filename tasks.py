"""The menu: `invoke --list` shows it. Composes what stands in runbooks/commands, and acts never."""

from invoke import Collection

from runbooks.commands import backup, check, deploy, drill, postmortem, restore, rollback, runs, twin

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
