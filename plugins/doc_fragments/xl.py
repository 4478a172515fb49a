# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # what the xl_* modules have in common; the option is COMMON in module_utils/xl_module.py
    DOCUMENTATION = r"""
options:
  timeout:
    description:
      - Seconds each command may take. One that takes longer is ended with all it started, and the task fails and names it.
      - Commands that move memory (saving, restoring, migrating) have ten times as long.
    type: float
    default: 120.0
requirements:
  - python >= 3.9
  - xl (C(xen-utils) of Debian), on a host that runs Xen, as Dom0
attributes:
  check_mode:
    description: Can run in check mode and tells exactly the commands of the real run.
    support: full
  diff_mode:
    description: Returns what is different before and after.
    support: full
  platform:
    description: Where it runs.
    support: full
    platforms: linux
notes:
  - Runs on Dom0, as any ordinary module, and needs root there (C(become)).
  - A host of XCP-ng or XenServer is managed by its toolstack, with the C(xen_*) modules; domains that are changed by C(xl) there are
    not known to it.
"""
