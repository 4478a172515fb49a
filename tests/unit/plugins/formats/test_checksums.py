# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XXH64 is the same whoever computes it."""

from __future__ import annotations

import xxhash
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.formats import checksums


@given(st.binary(max_size=300))
def test_the_fallback_gives_the_same_as_the_library(data: bytes) -> None:
    told = xxhash.xxh64_intdigest(data)
    assert checksums.plain_xxh64(data) == told
    assert checksums.plain_xxh64(memoryview(bytearray(data))) == told


@given(st.binary(max_size=300))
def test_what_is_used_gives_the_form_of_an_export(data: bytes) -> None:
    assert checksums.xxh64(memoryview(bytearray(data))) == xxhash.xxh64_hexdigest(data).upper()
    assert len(checksums.xxh64(bytes(len(data)))) == 16


@given(st.binary(max_size=300))
def test_the_library_of_the_system_is_used_in_the_right_way(data: bytes) -> None:
    function = checksums._of_library()
    for form in (data, memoryview(data), memoryview(bytearray(data))):
        assert function is None or function(form) == xxhash.xxh64_intdigest(data)


def test_known_values() -> None:
    assert checksums.plain_xxh64(b"") == 0xEF46DB3751D8E999
    assert checksums.sha1(b"") == "da39a3ee5e6b4b0d3255bfef95601890afd80709"
