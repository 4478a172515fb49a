# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.domzero.xen.tests.tools import generate_runtime


def test_runtime_yml_knows_every_module() -> None:
    assert generate_runtime.runtime() == generate_runtime.RUNTIME.read_text(), 'meta/runtime.yml is stale: run "make generate"'
