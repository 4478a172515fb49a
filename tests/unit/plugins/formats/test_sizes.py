# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes as people read them."""

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.formats.sizes import readable_size


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1 << 30, "1 GiB"), (210 << 30, "210 GiB"), (3 << 59, "1536 PiB")]
)
def test_sizes_are_readable(size: int, text: str) -> None:
    assert readable_size(size) == text
