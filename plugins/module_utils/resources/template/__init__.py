# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Templates. To XenAPI one is a VM that cannot be started; stock ones, which the host came with, are protected.

The frame and the parts are those of a VM (resources/vm); what is a template's own is in the files beside this one.
"""

from __future__ import annotations

from .resource import Template

__all__ = ["Template"]
