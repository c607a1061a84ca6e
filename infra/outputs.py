"""Names and types of the stack outputs. Imports no pulumi, so that runbooks may read it."""

from __future__ import annotations

from typing import Final

import msgspec

LIVE_VERSION: Final = "EMS_LIVE_VERSION"
"""The variable by which `invoke deploy` alone tells the program which version keeps the traffic in this pass."""


class Outputs(msgspec.Struct, frozen=True):
    """What `pulumi up` leaves behind, as `pulumi stack output --json` prints it.

    Ids are Cloudflare's: `api_version` and `maintenance_version` are version UUIDs, `web_deployment` a
    Pages deployment UUID, `zone_id` and `hyperdrive_id` 32 hexadecimal digits.
    Without a site what belongs to it is "".
    """

    api_worker: str
    api_version: str
    api_live_version: str
    maintenance_version: str
    web_project: str
    web_deployment: str
    hyperdrive_id: str
    zone_id: str
