# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """How the inventory plugins choose what they take in."""

    DOCUMENTATION = r"""
options:
  filters:
    description:
      - A list of C(include) and C(exclude) with a Jinja2 condition over the variables each. The first condition that is true decides.
      - Where none is true it is included, unless the last entry is an C(include), which then was the last way in.
      - With O(strict=false) a condition that fails is not true.
    type: list
    elements: dict
    default: []
    suboptions:
      include:
        description: A condition that lets in.
        type: str
      exclude:
        description: A condition that keeps out.
        type: str
"""
