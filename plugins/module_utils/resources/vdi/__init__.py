# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual disks on their own.

resource     a disk as a resource: found and read; table: its plain fields
creation     a new one: empty, a copy, a snapshot
change       one that is there: size, SR, settings, and what an interrupted run left to do
attachments  which VMs have it, and how
"""
