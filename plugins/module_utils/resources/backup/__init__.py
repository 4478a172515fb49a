# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups of VMs, hosts and the pool's database into a repository. Backup(session, params) is of the kind that the task names."""

from __future__ import annotations

from .base import Backup
from .host import HostBackup
from .pool import PoolBackup
from .vm import VmBackup

__all__ = ["Backup", "HostBackup", "PoolBackup", "VmBackup"]
