#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xl_network
short_description: Bridges, bonds, VLANs and NAT of a Xen host, with a way back
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Builds the network of a Dom0 from a description, with ifupdown or systemd-networkd. Bridges are those of Linux or of Open vSwitch.
  - The address of a NIC that becomes a port goes over to its bridge, with its routes, also where the host is reached by it.
  - The change is made by a job on the host itself. When it is done, the control node opens a new connection and confirms it. If nobody
    confirms within O(confirm_timeout), or a command fails, or an address does not come, the job puts the earlier configuration back.
  - A host that is started anew in the middle comes up with the earlier configuration.
  - The description is the whole of what this module manages. What it made before and is no longer described is taken away.
    NICs and bridges it never knew are left alone.
  - Guests on a bridge that has to be made anew are connected again.
extends_documentation_fragment: [domzero.xen.xl]
options:
  manager:
    description:
      - Who brings up the network. V(auto) is the one that does so now.
      - With V(networkd) on a host of ifupdown, the devices that are described go over to systemd-networkd, which is enabled.
    type: str
    choices: [auto, ifupdown, networkd]
    default: auto
  bridges:
    description: The bridges.
    type: list
    elements: dict
    default: []
    suboptions: &device
      name:
        description: Its name, of 15 characters at most.
        type: str
        required: true
      type:
        description: Whose bridge it is.
        type: str
        choices: [linux, openvswitch]
        default: linux
      ports:
        description: Its NICs, bonds and VLANs.
        type: list
        elements: str
        default: []
      addresses:
        description:
          - Its addresses with prefix, such as V(10.0.0.2/24) or V(2001:db8::2/64).
          - Without this and O(bridges[].dhcp) it has what it has, or takes over what its ports have. V([]) means none.
        type: list
        elements: str
      dhcp:
        description: Whether it gets an IPv4 address by DHCP.
        type: bool
      gateway:
        description: The default gateway for IPv4.
        type: str
      gateway6:
        description: The default gateway for IPv6.
        type: str
      routes:
        description: Further routes.
        type: list
        elements: dict
        suboptions:
          to:
            description: The network, such as V(10.8.0.0/16).
            type: str
            required: true
          via:
            description: The gateway to it.
            type: str
            required: true
      dns:
        description: Name servers. Used by systemd-resolved, and with ifupdown where resolvconf is installed.
        type: list
        elements: str
      mtu:
        description: Its MTU in bytes.
        type: int
      stp:
        description: Whether a bridge of Linux takes part in the spanning tree.
        type: bool
        default: false
      nat:
        description: Whether guests on it reach the world with the host's address. Such a bridge has an address and no ports.
        type: bool
        default: false
      dhcp_range:
        description: The first and the last address that guests on it are given by DHCP. dnsmasq gives them, and answers for names.
        type: list
        elements: str
      dhcp_lease:
        description: How long a guest may keep an address.
        type: str
        default: 12h
      dhcp_hosts:
        description: Guests that always get the same address.
        type: list
        elements: dict
        suboptions:
          mac:
            description: The MAC address of the guest's interface.
            type: str
            required: true
          address:
            description: The IPv4 address it gets.
            type: str
            required: true
          name:
            description: The name it is given, and can be found by.
            type: str
  bonds:
    description: The bonds.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      ports:
        description: Its NICs (slaves).
        type: list
        elements: str
        required: true
      mode:
        description: How the NICs share the work.
        type: str
        choices: [balance-rr, active-backup, balance-xor, broadcast, 802.3ad, balance-tlb, balance-alb]
        default: active-backup
      miimon:
        description: Milliseconds between looks at the links.
        type: int
        default: 100
      lacp_rate:
        description: How often the partner of V(802.3ad) is asked to tell of itself.
        type: str
        choices: [slow, fast]
      xmit_hash_policy:
        description: What decides by which NIC a packet leaves.
        type: str
        choices: [layer2, layer2+3, layer3+4, encap2+3, encap3+4, vlan+srcmac]
      primary:
        description: The NIC that is used while it works.
        type: str
      addresses: &addresses
        description: As those of a bridge.
        type: list
        elements: str
      dhcp: &dhcp
        description: As that of a bridge.
        type: bool
      gateway: &gateway
        description: As that of a bridge.
        type: str
      gateway6: *gateway
      routes: &routes
        description: As those of a bridge.
        type: list
        elements: dict
        suboptions:
          to:
            description: The network.
            type: str
            required: true
          via:
            description: The gateway to it.
            type: str
            required: true
      dns: *addresses
      mtu: &mtu
        description: Its MTU in bytes.
        type: int
  vlans:
    description: The VLANs. A bridge on a VLAN has it as a port.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name. Without it, that of what it is on, a dot and the tag.
        type: str
      parent:
        description: The NIC or bond it is on.
        type: str
        required: true
      id:
        description: Its tag, from 1 to 4094.
        type: int
        required: true
      addresses: *addresses
      dhcp: *dhcp
      gateway: *gateway
      gateway6: *gateway
      routes: *routes
      dns: *addresses
      mtu: *mtu
  nics:
    description: NICs with addresses of their own. A port of a bridge or bond need not be named.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      addresses: *addresses
      dhcp: *dhcp
      gateway: *gateway
      gateway6: *gateway
      routes: *routes
      dns: *addresses
      mtu: *mtu
  forwarding:
    description:
      - Whether the host forwards IPv4 packets, which guests with the script C(vif-route) need. NAT and O(proxy_arp) turn it on
        by themselves.
      - What was turned on stays so until the next start of the host when it is no longer described; V(false) turns it off.
    type: bool
  proxy_arp:
    description: NICs on which the host answers for its routed guests.
    type: list
    elements: str
    default: []
  apply:
    description: Whether the devices are brought up. V(false) only writes the files, for the next start of the host.
    type: bool
    default: true
  confirm_timeout:
    description:
      - Seconds the control node has to come back over a new connection and confirm, once the change is made.
      - V(0) keeps the change without asking, which can cost you the host.
    type: int
    default: 60
  confirm:
    description: The change to confirm. Set by the action itself when it comes back.
    type: str
seealso:
  - module: domzero.xen.xl_volume_group
"""

EXAMPLES = r"""
- name: The guests are on the network of the host, whose address goes over to the bridge
  domzero.xen.xl_network:
    bridges:
      - name: xenbr0
        ports: [eth0]

- name: Guests in a VLAN on two NICs, others behind the host's address, some on Open vSwitch; all from the next start of the host on
  domzero.xen.xl_network:
    apply: false
    bonds:
      - name: bond0
        ports: [eth1, eth2]
        mode: 802.3ad
    vlans:
      - parent: bond0
        id: 100
    bridges:
      - name: xenbr0
        ports: [eth0]
      - name: xenbr100
        ports: [bond0.100]
      - name: ovsbr0
        type: openvswitch
        ports: [eth3]
      - name: natbr0
        addresses: [10.9.0.1/24]
        nat: true
        dhcp_range: [10.9.0.100, 10.9.0.200]
"""

RETURN = r"""
manager:
  description: Who manages the network.
  returned: success
  type: str
  sample: ifupdown
addresses:
  description: The addresses of every device that is described, whether given or taken over.
  returned: success
  type: dict
  sample: {xenbr0: [10.0.0.2/24]}
files:
  description: The files that were written or removed, or would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/network/interfaces, /etc/network/interfaces.d/domzero-xen, /etc/domzero-xen/network.json]
commands:
  description: The commands the host ran to change its network, or would run.
  returned: success
  type: list
  elements: str
  sample: [ifdown --force eth0, ip address flush dev eth0, ifup --force eth0, ifup --force xenbr0]
packages:
  description: Packages of Debian that are missing for this network. Without check mode, the task fails and names them.
  returned: success
  type: list
  elements: str
  sample: [bridge-utils]
backup:
  description: The folder on the host that keeps the earlier files, and a log of the commands.
  returned: when something was changed
  type: str
  sample: /var/lib/domzero-xen/network/changes/20261122T031500-4711
pending:
  description: The change that waits to be confirmed; the action confirms it and takes this away.
  returned: never
  type: str
"""

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.errors import NotFound
from ansible_collections.domzero.xen.plugins.module_utils.xl.network import guard, pending
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.change import Change, Facts, must
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.described import MODES, wanted
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.device import Wanted
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.host import facts, lacking
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.plan import plan
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.taking import resolve
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import Task, main

STRINGS: dict[str, t.Any] = {"type": "list", "elements": "str"}
ROUTE = {"to": {"type": "str", "required": True}, "via": {"type": "str", "required": True}}
ADDRESSING: dict[str, t.Any] = {
    "addresses": STRINGS, "dhcp": {"type": "bool"}, "gateway": {"type": "str"}, "gateway6": {"type": "str"},
    "routes": {"type": "list", "elements": "dict", "options": ROUTE}, "dns": STRINGS, "mtu": {"type": "int"},
}  # fmt: skip
NAME: dict[str, t.Any] = {"name": {"type": "str", "required": True}}
HOST = {"mac": {"type": "str", "required": True}, "address": {"type": "str", "required": True}, "name": {"type": "str"}}
BRIDGE = {
    **NAME, **ADDRESSING, "type": {"type": "str", "choices": ["linux", "openvswitch"], "default": "linux"},
    "ports": {**STRINGS, "default": []},
    "stp": {"type": "bool", "default": False}, "nat": {"type": "bool", "default": False}, "dhcp_range": STRINGS,
    "dhcp_lease": {"type": "str", "default": "12h"}, "dhcp_hosts": {"type": "list", "elements": "dict", "options": HOST},
}  # fmt: skip
BOND = {
    **NAME, **ADDRESSING, "ports": {**STRINGS, "required": True},
    "mode": {"type": "str", "choices": list(MODES), "default": "active-backup"}, "miimon": {"type": "int", "default": 100},
    "lacp_rate": {"type": "str", "choices": ["slow", "fast"]}, "primary": {"type": "str"},
    "xmit_hash_policy": {"type": "str", "choices": ["layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4", "vlan+srcmac"]},
}  # fmt: skip
VLAN = {**ADDRESSING, "name": {"type": "str"}, "parent": {"type": "str", "required": True}, "id": {"type": "int", "required": True}}


def devices(options: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"type": "list", "elements": "dict", "default": [], "options": options}


OPTIONS: dict[str, t.Any] = {
    "manager": {"type": "str", "choices": ["auto", "ifupdown", "networkd"], "default": "auto"},
    "bridges": devices(BRIDGE), "bonds": devices(BOND), "vlans": devices(VLAN), "nics": devices({**NAME, **ADDRESSING}),
    "forwarding": {"type": "bool"}, "proxy_arp": {**STRINGS, "default": []}, "apply": {"type": "bool", "default": True},
    "confirm_timeout": {"type": "int", "default": 60}, "confirm": {"type": "str"},
}  # fmt: skip


def run(task: Task) -> dict[str, t.Any]:
    """Raises XenError."""
    if task.params["confirm"]:
        return {"changed": False, "told": guard.confirm(pending.BASE, task.params["confirm"])}
    asked = wanted(task.params)
    found = facts(task.tool, asked, task.params["manager"])
    change = plan(asked, found)
    if not task.params["apply"]:
        change = only_files(change)
    result = told(change, found, asked)
    missing = lacking(asked, found.manager)
    told_missing = [f"The package {package} is not installed: {why}." for package, why in missing.items()]
    if missing and not task.check:
        raise NotFound(" ".join(told_missing), hint="The role dom0 installs it.")
    result["warnings"] += told_missing
    result["packages"] = list(missing)
    if change and not task.check:
        keep = not task.params["apply"] or not task.params["confirm_timeout"]
        result["pending"] = pending.begin(change, found.texts, 0 if keep else task.params["confirm_timeout"], 0 if keep else pending.DELAY)
        result["backup"] = f"{pending.BASE}/changes/{result['pending']}"
    return result


def only_files(change: Change) -> Change:
    """What the next start of the host needs."""
    enabled = [one.argv[2:] for one in change.start if one.argv[:2] == ("systemctl", "enable")] if change.files else []
    enable = [must("systemctl", "enable", *(word for word in words if word != "--now")) for words in enabled]
    return Change(files=change.files, start=enable, warnings=change.warnings)


def told(change: Change, found: Facts, asked: Wanted) -> dict[str, t.Any]:
    diff = [
        {"before_header": path, "after_header": path, "before": found.texts.get(path, ""), "after": text or ""}
        for path, text in change.files.items()
    ]
    addresses = {name: list(one.addresses) for name, one in resolve(asked, found.live, found.noted).items()}
    return {
        "changed": bool(change), "manager": found.manager, "addresses": addresses, "files": list(change.files), "commands": change.commands,
        "diff": diff, "warnings": list(change.warnings),
    }  # fmt: skip


if __name__ == "__main__":
    main(OPTIONS, run, tool="ip")
