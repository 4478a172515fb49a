# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a guest's file system lies on, and what makes it larger. Run inside the guest, so nothing here knows of XenAPI."""
