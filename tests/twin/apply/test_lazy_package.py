"""The provider's SDK is loaded by the module, and as a whole where that is not enough."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.twin.running import ROOT

PROGRAM = """
import json, sys, warnings
from twin.apply import lazy_package

warnings.simplefilter("ignore")
lazy_package.install("pulumi_cloudflare")
import pulumi_cloudflare as cloudflare
from pulumi_cloudflare import get_zone_output

names = ["DnsRecord", "R2Bucket", "get_zone", "WorkerVersionBindingArgs", "WorkerArgs", "DnsRecordDataArgsDict",
         "Provider", "config"]
found = [getattr(cloudflare, name).__name__ for name in names] + [get_zone_output.__name__]
few = "pulumi_cloudflare.zone_lockdown" not in sys.modules
late = cloudflare.GetZonePlanResult if hasattr(cloudflare, "GetZonePlanResult") else cloudflare.outputs
try:
    missing = cloudflare.NoSuchThing
except AttributeError as error:
    missing = str(error)
whole = "pulumi_cloudflare.zone_lockdown" in sys.modules
print(json.dumps({"found": found, "few": few, "missing": missing, "whole": whole}))
"""


def test_names_are_found_where_they_are() -> None:
    """Resources, functions and arguments come from their own modules; an unknown name is looked for in all of it."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    names = ["DnsRecord", "R2Bucket", "get_zone", "WorkerVersionBindingArgs", "WorkerArgs", "DnsRecordDataArgsDict"]
    assert result["found"] == [*names, "Provider", "pulumi_cloudflare.config", "get_zone_output"]
    assert (result["few"], result["whole"]) == (True, True)
    assert "NoSuchThing" in result["missing"]
