# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian machine that does not run: its files, put over those of this one in a mount namespace, and a GRUB that boots from its menu.

``grub.cfg`` was written by Debian 12 with Xen 4.17.7. ``update-grub`` here writes it again with the parameters that a shell finds in
/etc/default/grub and the files of /etc/default/grub.d; whether the real one does the same is seen on a real machine (tests/nested_xen).
"""
