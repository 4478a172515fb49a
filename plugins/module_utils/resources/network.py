# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Networks of a pool: internal, on a NIC, VLAN, bond, tunnel."""

from __future__ import annotations

from ..errors import InvalidChange
from ..fields import Field, Table
from ..plan import Plan
from ..resource import Found, Resource


class Network(Resource):
    plural = "networks"
    table = Table(
        "network",
        (
            Field("name_label", "name", required=True),
            Field("name_description", "description", default=""),
            Field("MTU", "mtu", "int", default=1500),
            Field("tags", "tags", "tags", default=()),
            Field("other_config", "other_config", "dict", default={}),
        ),
    )

    def destroy(self, plan: Plan, found: Found) -> None:
        if vifs := found.record["VIFs"]:
            raise InvalidChange(
                f"network {self.label!r} still has {len(vifs)} VIFs.", hint="Move or remove the network cards of those VMs first."
            )
        super().destroy(plan, found)
