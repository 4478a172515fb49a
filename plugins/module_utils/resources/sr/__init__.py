# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Storage repositories.

types      a row for each SR type: a new type goes there, and nowhere else
resource   an SR as a resource; state: it in the words of the options; task: what a task says of it
creation   a new one; existing: the rule about data that lies on the target; change: one that is there; removal: forgotten, destroyed
pbds       attached on every host
target     what is looked at before anything is done; probe: SR.probe and its answers
"""
