# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The first configuration of a guest, on a drive that cloud-init reads."""

    DOCUMENTATION = r"""
options:
  cloud_init:
    description:
      - What the guest's cloud-init reads at its first start, on a small drive of the VM (data source NoCloud). It is not among O(disks).
      - A drive whose content is to be another is replaced, and cloud-init runs anew at the next start. So it does in a VM made from this
        one when that gets a drive of its own.
      - What it holds is not returned, only its digest. Where tasks run as ordinary modules, one that fails before it is looked at shows its
        options with C(-vvv); C(no_log) keeps them hidden.
    type: dict
    suboptions:
      state:
        description: V(absent) removes the drive; the guest needs it at its first start only.
        type: str
        choices: [present, absent]
        default: present
      user_data:
        description:
          - The configuration as a mapping (cloud-config), or a text that begins with C(#cloud-config), C(#!) or another beginning that
            cloud-init knows.
        type: raw
      meta_data:
        description:
          - More meta data, as a mapping or YAML. C(instance-id) follows from the VM's uuid and the content, C(local-hostname) from the VM's
            name, unless they are given.
        type: raw
      network_config:
        description: The network's configuration in version 1 or 2, as a mapping or YAML. Without it cloud-init asks DHCP.
        type: raw
      digest:
        description:
          - The digest of what the drive holds, as this module returns it. Without O(cloud_init.user_data), O(cloud_init.meta_data) and
            O(cloud_init.network_config) the drive has to be as it was.
        type: str
      sr:
        description: The SR for the drive, by name or uuid. Without it, where it is, else that of the VM's first disk.
        type: str
"""
