# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Storage of domains on Dom0: logical volumes and image files. What there is, what is asked for, and the commands between them."""
