# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  keep_last:
    description: So many of the newest backups stay. V(-1) is all, here and below.
    type: int
  keep_hourly:
    description: Of so many hours that have backups the newest of each stays.
    type: int
  keep_daily:
    description: Of so many days that have backups the newest of each stays.
    type: int
  keep_weekly:
    description: Of so many weeks that have backups the newest of each stays. Weeks begin on Monday (ISO 8601).
    type: int
  keep_monthly:
    description: Of so many months that have backups the newest of each stays.
    type: int
  keep_yearly:
    description: Of so many years that have backups the newest of each stays.
    type: int
  keep_within:
    description:
      - All backups stay that were made so long before the newest one, such as V(14d) or V(1y6m). Letters are C(y), C(m), C(d) and C(h).
    type: str
  time_zone:
    description: Where days begin, such as V(Europe/Berlin).
    type: str
    default: UTC
"""
