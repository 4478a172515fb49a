# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  method:
    description:
      - How hosts are upgraded.
      - V(xcpng_packages) updates the packages of XCP-ng.
      - V(repository) applies the updates of the pool's repositories (XenServer 8).
      - V(pool_update) applies update files (XenServer 7.1 to Citrix Hypervisor 8.2).
      - V(installer) boots the installer of a new release.
      - V(reboot) installs nothing, the hosts boot anew.
      - V(command) does nothing but the reboot, since somebody else's tasks did the work.
      - V(none) finds no host that needs anything. It finishes what remains of an upgrade.
    type: str
    required: true
    choices: [xcpng_packages, repository, pool_update, installer, reboot, command, none]
  packages:
    description: For O(method=xcpng_packages), the names of the packages to update. All if not set.
    type: list
    elements: str
  repos:
    description: For O(method=xcpng_packages), names of repositories that are used beside the usual ones.
    type: list
    elements: str
  sync:
    description:
      - For O(method=repository), when the pool asks its repositories what there is. V(required) if it has not done so yet, V(always)
        also if it has. An upgrade that is under way (M(domzero.xen.xen_upgrade)) goes on with what was offered when it began.
    type: str
    choices: [never, required, always]
    default: required
  updates:
    description:
      - For O(method=pool_update), the updates. Each is the name or uuid of an update the pool knows, the name or uuid of a disk (VDI) that
        holds it, such as a file of an ISO library, or the path (with a slash) of its file on the machine where the task runs. That is put
        into the pool's default SR.
    type: list
    elements: str
  install_url:
    description: For O(method=installer), the address of the unpacked installation medium of the new release.
    type: str
  since:
    description:
      - For O(method=reboot), hosts that have booted since this time need nothing. It is given in UTC, such as V(2026-11-21T19:00:00Z).
      - If it is not set, it is the beginning of the upgrade that is under way. Without one every host is rebooted.
    type: str
  reboot:
    description:
      - Whether hosts are rebooted. V(required) if what is installed needs it. V(always) for every host on which something is installed.
        With V(never) what was installed is in effect after the next boot, whoever may cause it.
    type: str
    choices: [required, always, never]
    default: required
"""
