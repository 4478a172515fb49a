# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Network interfaces of a VM, and waiting for its address."""

    DOCUMENTATION = r"""
options:
  nics:
    description:
      - Its network interfaces (VIFs). Those of a device that is not in the list stay, unless O(prune_nics=true).
      - They are added to and moved in a running VM, too.
    type: list
    elements: dict
    suboptions:
      device:
        description: Which one, from 0 on. Without it, its place in the list.
        type: int
      network:
        description: Its network, by name or uuid. Needed for a new one.
        type: str
      mac:
        description:
          - Its MAC address. Without it a new one gets one that no other has.
          - One that is to change is replaced, which takes it from the guest for a moment and needs O(allow_disruption) while the VM runs.
        type: str
      mtu:
        description: Its MTU, fixed like O(nics[].mac). Without it that of the network.
        type: int
      rate_limit:
        description: The most it may send, in KiB/s; V(0) for no limit.
        type: int
      locking_mode:
        description:
          - What may pass. V(locked) is what has its MAC address and one of the allowed IP addresses, V(disabled) is nothing.
          - V(network_default) is as the network says.
        type: str
        choices: [network_default, unlocked, locked, disabled]
      ipv4_allowed:
        description: The IPv4 addresses it may use while it is locked, taken whole.
        type: list
        elements: str
      ipv6_allowed:
        description: The IPv6 addresses it may use while it is locked, taken whole.
        type: list
        elements: str
      other_config:
        description: Further keys of its C(other_config). Merged; V(null) removes one.
        type: dict
  prune_nics:
    description: Whether interfaces that O(nics) does not name are removed.
    type: bool
    default: false
  wait_for:
    description: What to wait for once it runs, at most O(wait_timeout) seconds.
    type: str
    choices: [tools, address]
  wait_network:
    description: The network, by name or uuid, in which O(wait_for=address) waits for an address. Without it any network will do.
    type: str
"""
