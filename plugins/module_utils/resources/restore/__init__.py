# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores: something as it was in a backup. Restore(session, params) is of the class that the task's kind names."""

from __future__ import annotations

from .base import Restore
from .disks import DisksRestore
from .host import HostRestore
from .pool import PoolRestore
from .vm import VmRestore

__all__ = ["DisksRestore", "HostRestore", "PoolRestore", "Restore", "VmRestore"]
