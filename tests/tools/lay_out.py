# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy the files of the checkout to a directory whose path ends in ansible_collections/domzero/xen, as ansible-test wants it.

Only what differs is copied, what is gone is removed. The copy is a repository of its own, or ansible-test would ask that of the
checkout, which ignores the copy, for the list of its files.
"""

from __future__ import annotations

import filecmp
import shutil
import subprocess
import sys
from pathlib import Path

from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT, files


def lay_out(tree: Path) -> None:
    wanted = set(files())
    tree.mkdir(parents=True, exist_ok=True)
    if not (tree / ".git").exists():
        subprocess.run(["git", "init", "--quiet", str(tree)], check=True)
    for old in tree.rglob("*"):
        name = old.relative_to(tree)
        if name.parts[0] != ".git" and name not in wanted and not old.is_dir():
            old.unlink()
    for name in wanted:
        source, target = CHECKOUT / name, tree / name
        if not target.exists() or source.stat().st_mode != target.stat().st_mode or not filecmp.cmp(source, target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]).absolute())
