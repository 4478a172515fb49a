# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell the virtual environment this runs in where its collections are, so that Python imports them by their full name."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

site_packages = Path(sysconfig.get_path("purelib"))
(site_packages / "collections.pth").write_text(f"{Path(sys.prefix) / 'collections'}\n")
