# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the documentation of the collection and render it into .cache/docs/html. A warning is a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT
from ansible_collections.domzero.xen.tests.tools.lay_out import lay_out

COLLECTIONS = CHECKOUT / ".cache/tree"
PAGES = CHECKOUT / ".cache/docs/rst"
HTML = CHECKOUT / ".cache/docs/html"
CONF = """\
project = "domzero.xen"
extensions = ["sphinx_antsibull_ext"]
html_theme = "alabaster"
html_theme_options = {"page_width": "1200px"}
"""
# pages of Ansible's own documentation that the rendered pages refer to
ANSIBLE = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}


# the copy only, not the checkout that the virtual environment has on its path
ENVIRONMENT = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false"}


def run(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], env=ENVIRONMENT, check=False)
    if done.returncode:
        sys.exit(f"\n{command[0]} found something to mend in the documentation")


def write_surroundings() -> None:
    """The pages antsibull-docs expects around its own."""
    (PAGES / "conf.py").write_text(CONF)
    pages = [
        f".. _{label}:\n\n{label}\n{'-' * len(label)}\n\nhttps://docs.ansible.com/ansible/latest/{page}\n"
        for label, page in ANSIBLE.items()
    ]
    (PAGES / "ansible.rst").write_text(":orphan:\n\nIn Ansible's documentation\n==========================\n\n" + "\n".join(pages))


if __name__ == "__main__":
    tree = COLLECTIONS / "ansible_collections/domzero/xen"
    lay_out(tree)
    shutil.rmtree(PAGES, ignore_errors=True)
    PAGES.mkdir(parents=True)
    lint = ["lint-collection-docs", "--plugin-docs", "--validate-collection-refs", "dependent", "--disallow-unknown-collection-refs"]
    run("antsibull-docs", *lint, "--check-extra-docs-refs", tree)
    run("antsibull-docs", "collection", "--use-current", "--squash-hierarchy", "--fail-on-error", "--dest-dir", PAGES, "domzero.xen")
    write_surroundings()
    run("sphinx-build", "-q", "-W", "--keep-going", "-b", "html", PAGES, HTML)
    print(f"{HTML / 'index.html'}")
