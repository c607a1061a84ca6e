"""Load a Pulumi provider's SDK a module at a time: all of pulumi_cloudflare takes 1.5 s of a run of two."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec
    from types import ModuleType

HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
INPUTS: Final = "_inputs"
"""The module of every argument class in SDKs that Pulumi generates."""


def install(name: str) -> None:
    """Put a package into `sys.modules` whose `__init__` has not run: each name is looked up when it is used.

    Where a name is in none of the expected modules, the whole package is loaded after all.
    """
    spec = importlib.util.find_spec(name) if name not in sys.modules else None
    if spec is None or spec.loader is None or spec.submodule_search_locations is None:
        return
    package = importlib.util.module_from_spec(spec)
    package.__dict__["__getattr__"] = lambda attribute: _look_up(package, spec, attribute)
    sys.modules[name] = package


def _look_up(package: ModuleType, spec: ModuleSpec, attribute: str) -> object:
    if attribute.startswith("__"):
        raise AttributeError(attribute)
    for module in _modules_of(attribute):
        if importlib.util.find_spec(f"{spec.name}.{module}") is not None:
            found = importlib.import_module(f"{spec.name}.{module}")
            # As `from .module import *` does: `get_zone` is then the function, no longer the module of that name.
            vars(package).update({name: getattr(found, name) for name in getattr(found, "__all__", ())})
            if attribute in vars(package):
                return vars(package)[attribute]
            if attribute == module:  # asked for by itself, while it is being loaded
                return found
    del package.__dict__["__getattr__"]
    if spec.loader is not None:
        spec.loader.exec_module(package)
    return getattr(package, attribute)


def _modules_of(attribute: str) -> Iterator[str]:
    """Yield where a name may be: `DnsRecord` in `dns_record`, `get_zone_output` in `get_zone`, arguments together."""
    name = HUMP.sub("_", attribute).lower()
    yield name.removesuffix("_output")
    if attribute.endswith(("Args", "ArgsDict")):
        yield name.removesuffix("_dict").removesuffix("_args")
        yield INPUTS
