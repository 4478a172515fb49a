# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Memory of a VM."""

    DOCUMENTATION = r"""
options:
  memory:
    description: A fixed size, such as C(4 GiB). Stands for the four limits below at once; one that is given too goes before.
    type: str
  memory_static_min:
    description: The least its guest can live with. Changes while it is halted.
    type: str
  memory_static_max:
    description: The most it can ever have. Changes while it is halted.
    type: str
  memory_dynamic_min:
    description: The least it has while it runs; what its host must have free to start it. Changes while it runs, too.
    type: str
  memory_dynamic_max:
    description: The most it has while it runs. Changes while it runs, too.
    type: str
"""
