# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.resources.pool import cpu_features

AES, AVX2, SVM = 32 + 25, 5 * 32 + 5, 3 * 32 + 2


def test_no_word_has_more_than_32_bits() -> None:
    assert all(len(word) <= 32 for word in cpu_features.WORDS)


@pytest.mark.parametrize(
    ("features", "names"),
    [
        ("", []),
        ("00000001", ["fpu"]),
        ("00000000-02000000", ["aes"]),
        ("00000000-00000000-00000000-00000004-00000000-00000020", ["svm", "avx2"]),
        ("00000400", []),  # a bit without a name
        ("-".join(["00000000"] * 12) + "-00000001", []),  # a word nobody has named yet
    ],
)
def test_features_have_names(features: str, names: list[str]) -> None:
    assert cpu_features.names(cpu_features.bits(features)) == names


def test_equal_cpus_are_nothing_to_warn_about() -> None:
    cpu = {"vendor": "GenuineIntel", "features_hvm_host": "00000001"}
    assert cpu_features.warnings("xcp01", cpu, cpu, {0}) == []


def test_both_sides_learn_what_they_lose() -> None:
    joiner = {"vendor": "GenuineIntel", "features_hvm_host": "00000000-02000000"}
    lost, gained = cpu_features.warnings("xcp01", joiner, {"vendor": "GenuineIntel"}, {SVM})
    assert "the pool no longer offers its VMs these CPU features: svm" in lost
    assert "host 'xcp01' no longer offers its VMs these CPU features: aes" in gained


def test_older_releases_have_one_set_for_all_guests() -> None:
    assert cpu_features.offered({"features": "00000001"}) == {0}
