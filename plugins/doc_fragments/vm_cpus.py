# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Virtual processors."""

    DOCUMENTATION = r"""
options:
  vcpus:
    description:
      - The vCPUs it starts with. Changes while it runs where its guest takes part, up to O(vcpus_max), else while it is halted.
      - When it is more than the VM's maximum, that follows.
    type: int
  vcpus_max:
    description: The most vCPUs it can have. Changes while it is halted.
    type: int
  cores_per_socket:
    description: How many cores the guest sees in a socket. O(vcpus_max) has to be a multiple of it. Changes while it is halted.
    type: int
  cpu_weight:
    description: Its share of the processors when they are busy; 256 is usual.
    type: int
  cpu_cap:
    description: The most it may use, in percent of one processor; V(0) is no limit.
    type: int
  vcpus_params:
    description: Further scheduling parameters, such as C(mask) with the processors it may use. Merged; V(null) removes one.
    type: dict
"""
