# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The CD drive of a VM."""

    DOCUMENTATION = r"""
options:
  cd:
    description:
      - What is in its CD drive. Without O(cd.iso) and O(cd.tools), or with an empty O(cd.iso), the drive is empty.
      - A VM without a drive gets one, for which it has to be halted. CDs are changed while it runs.
    type: dict
    suboptions:
      iso:
        description: The CD by the name of its file, in any ISO SR, or by its uuid; an empty string ejects the CD.
        type: str
      sr:
        description: The SR O(cd.iso) is in, where several have a CD of that name.
        type: str
      tools:
        description: The CD with the guest tools that the host came with.
        type: bool
"""
