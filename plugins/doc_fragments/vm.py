# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What every VM has: plain fields and labels."""

    DOCUMENTATION = r"""
options:
  description:
    description: A description. A VM made from a template starts without one.
    type: str
  tags:
    description: Its tags, taken whole. An empty list removes all.
    type: list
    elements: str
  affinity:
    description: The host it prefers to start on, by name or uuid; an empty string for none.
    type: str
  suspend_sr:
    description: The SR its memory goes to when it is suspended, by name or uuid; an empty string for the pool's.
    type: str
  actions_after_shutdown:
    description: What happens when the guest shuts down.
    type: str
    choices: [destroy, restart]
  actions_after_reboot:
    description: What happens when the guest reboots.
    type: str
    choices: [destroy, restart]
  actions_after_crash:
    description: What happens when the guest crashes.
    type: str
    choices: [destroy, coredump_and_destroy, restart, coredump_and_restart, preserve, rename_restart]
  xenstore_data:
    description: Keys the guest can read in xenstore below its own path (C(vm-data/...)). Merged with what is there; V(null) removes a key.
    type: dict
  blocked_operations:
    description: Operations the pool refuses for this VM, with the reason that is told. Merged; V(null) removes one.
    type: dict
  appliance:
    description: The appliance (vApp) it belongs to, by name or uuid; an empty string for none.
    type: str
  order:
    description: Its place in the start order of its appliance and of high availability; lower starts first.
    type: int
  start_delay:
    description: Seconds to wait after it was started before the next in order is.
    type: int
  shutdown_delay:
    description: Seconds to wait after it was shut down before the next in order is.
    type: int
  snapshot_schedule:
    description: The snapshot schedule it is in, by name or uuid; an empty string for none.
    type: str
  ha_restart_priority:
    description: What high availability does when its host fails. An empty string for nothing.
    type: str
    choices: [restart, best-effort, '']
  folder:
    description: Its folder as XenCenter shows it, such as C(/web/front); an empty string for none.
    type: str
  custom_fields:
    description: Custom fields as XenCenter shows them. Merged; V(null) removes one.
    type: dict
  auto_poweron:
    description: Whether it starts with its host. The pool's own C(auto_poweron) in C(other_config) has to be on too.
    type: bool
  other_config:
    description: Further keys of its C(other_config), without those that another option stands for. Merged; V(null) removes a key.
    type: dict
"""
