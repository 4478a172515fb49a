# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""prepare_host_upgrade.py: the next boot starts an installer that upgrades the host. The argument of all functions is ``url``.

Rules: the public host-upgrade-plugin and what XenCenter asks it (getVersion, testSafe2Upgrade, getDom0DefaultMemory).
"""

from __future__ import annotations

import json
import typing as t

from .. import evacuation, releases, software
from . import broken, function

if t.TYPE_CHECKING:
    from ..dispatch import Call
    from ..updates import Installer
    from ..world import Machine

PLUGIN = "prepare_host_upgrade.py"
FETCH = 60.0  # virtual seconds in which kernel and installer are fetched
DOM0_MEMORY = 4 << 30


def _medium(machine: Machine, name: str, args: t.Mapping[str, str]) -> tuple[str, Installer | None]:
    """Raises MISSING_URL."""
    if "url" not in args:
        raise broken(name, "MISSING_URL")
    return args["url"], machine.world.updates.installer(args["url"])


def _versions(medium: Installer) -> dict[str, str]:
    return {**releases.release(medium.release)["software_version"], **medium.software}


def _is_older(machine: Machine, medium: Installer) -> bool:
    """Whether the medium has an older product than the host."""
    its, mine = _versions(medium).get("product_version", ""), machine.product["software_version"].get("product_version", "")
    return evacuation.as_numbers(its) < evacuation.as_numbers(mine)


@function(PLUGIN, "testUrl")
def test_url(call: Call, machine: Machine, args: dict[str, str]) -> str:
    """ "true"; MISSING_URL, INVALID_URL, INVALID_VER."""
    _url, medium = _medium(machine, "testUrl", args)
    if medium is None:
        raise broken("testUrl", "INVALID_URL")
    if _is_older(machine, medium):
        raise broken("testUrl", "INVALID_VER")
    return "true"


@function(PLUGIN, "main")
def main(call: Call, machine: Machine, args: dict[str, str]) -> str:
    """ "true": the next boot upgrades. MISSING_URL, INVALID_URL."""
    url, medium = _medium(machine, "main", args)
    if medium is None or _is_older(machine, medium):
        raise broken("main", "INVALID_URL")
    call.sleep(FETCH)
    machine.state[software.MEDIUM] = url
    return "true"


@function(PLUGIN, "getVersion")
def get_version(call: Call, machine: Machine, args: dict[str, str]) -> str:
    """JSON: platform-version and product-version of the medium."""
    _url, medium = _medium(machine, "getVersion", args)
    if medium is None:
        raise broken("getVersion", "INVALID_URL")
    return json.dumps({f"{kind}-version": _versions(medium).get(f"{kind}_version", "") for kind in ("product", "platform")})


@function(PLUGIN, "testSafe2Upgrade")
def test_safe(call: Call, machine: Machine, args: dict[str, str]) -> str:
    """Always "true": disks have room here."""
    return "true"


@function(PLUGIN, "getDom0DefaultMemory")
def dom0_memory(call: Call, machine: Machine, args: dict[str, str]) -> str:
    """Bytes the control domain will have."""
    return str(DOM0_MEMORY)
