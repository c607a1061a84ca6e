"""The menu: `invoke --list` shows it. Composes what stands in runbooks/commands, and acts never."""

from invoke import Collection

from runbooks.commands import deploy, restore, rollback, runs, twin

namespace = Collection(deploy.deploy, restore.restore, rollback.rollback, runs, twin)
