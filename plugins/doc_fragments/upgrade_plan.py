# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  unmovable:
    description:
      - What becomes of VMs that cannot be moved, on hosts that are to be empty.
      - With V(fail) there is no plan, and the result tells what to do about each of them. With V(skip_host) their host is left out. With
        V(shutdown) or V(suspend) they are down while their host is.
    type: str
    choices: [fail, skip_host, shutdown, suspend]
    default: fail
  anti_affinity:
    description: V(hard) moves no VM to a host with another of its group (anti-affinity). V(soft) avoids that where it costs nothing.
    type: str
    choices: [hard, soft]
    default: hard
  max_parallel_migrations:
    description: How many migrations run at once in the whole pool. There are never more than three into or out of one host.
    type: int
  network:
    description: The network the migrations go over, by name or uuid. Hosts without an address there get no VM. Default is that of
      management.
    type: str
  eject:
    description: Whether discs that only some hosts can reach are taken out of the drives of VMs that move. Else such VMs cannot move.
    type: bool
    default: true
  speed:
    description: What the times that are told follow from.
    type: dict
    suboptions:
      nic:
        description: GiB a host sends, and receives, in a minute. 50 if not set.
        type: float
      stream:
        description: GiB that one migration sends in a minute at most. 20 if not set.
        type: float
      setup:
        description: Minutes each migration takes besides. 0.3 if not set.
        type: float
      upgrade:
        description: Minutes from the moment a host is empty until it takes VMs again. 15 if not set.
        type: float
      restart:
        description: Minutes the upgrade of a host takes that keeps its VMs. 2 if not set.
        type: float
      stop:
        description: Minutes until a VM is down. 1 if not set.
        type: float
      start:
        description: Minutes until a VM runs again. 1 if not set.
        type: float
  wait_timeout:
    description: How long to wait for migrations, starts and stops of VMs that are under way, in seconds. A plan is made when they have
      ended.
    type: int
    default: 7200
"""
