# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.domzero.xen.tests.tools import generate_role_specs, generate_runtime


def test_every_module_is_in_the_action_group_and_has_its_action_plugin() -> None:
    stale = [path.name for path, content in generate_runtime.generated().items() if not path.exists() or path.read_text() != content]
    assert stale == [], 'run "make generate"'


def test_no_action_plugin_outlives_its_module() -> None:
    assert generate_runtime.superfluous() == [], 'run "make generate"'


def test_the_role_pool_build_has_the_options_of_its_modules() -> None:
    assert generate_role_specs.SPECS.read_text() == generate_role_specs.specs(), 'run "make generate"'
