# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (CHECKOUT / "plugins/modules").glob("*.py"))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_unit_tests(module: str) -> None:
    assert list((CHECKOUT / "tests/unit/plugins/modules").glob(f"test_{module}*.py"))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_used_in_an_integration_target(module: str) -> None:
    tasks = (CHECKOUT / "tests/integration/targets").glob("*/tasks/*.yml")
    assert any(re.search(rf"\bdomzero\.xen\.{module}:", path.read_text()) for path in tasks)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_are_run(module: str) -> None:
    assert (CHECKOUT / f"tests/examples/{module}.yml").is_file()
