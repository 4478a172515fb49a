# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of a simulated pool."""

from __future__ import annotations

import pytest

from .conversation import Asked, build


@pytest.fixture
def ask() -> Asked:
    return Asked(next(iter(build(1).machines.values())))


def test_a_network_takes_the_next_bridge_that_is_free(ask: Asked) -> None:
    numbers = [int(ask.record("network", ask.network(f"n{i}"))["bridge"].removeprefix("xapi")) for i in range(2)]
    ask.db.create("network", bridge=f"xapi{numbers[1] + 1}")
    assert numbers[1] == numbers[0] + 1
    assert ask.record("network", ask.network())["bridge"] == f"xapi{numbers[1] + 2}"


def test_two_networks_may_have_one_name(ask: Asked) -> None:
    assert ask.network("twin") != ask.network("twin")
    assert len(ask("network.get_by_name_label", "twin")) == 2


@pytest.mark.parametrize("mtu", [0, -5])
def test_an_mtu_that_is_not_positive_becomes_1500(ask: Asked, mtu: int) -> None:
    assert ask.record("network", ask.network(MTU=mtu))["MTU"] == 1500


@pytest.mark.parametrize("bridge", ["a-name-that-is-too-long", "xenbr7", "xapi9", "vif1", "tap1", "eth9"])
def test_a_bridge_name_that_is_long_or_reserved_is_refused(ask: Asked, bridge: str) -> None:
    assert ask.refused("network.create", {"name_label": "n", "other_config": {}, "bridge": bridge}) == ["INVALID_VALUE", "bridge", bridge]


def test_a_bridge_is_used_once(ask: Asked) -> None:
    ask.network(bridge="lab0", managed=False)
    assert ask.refused("network.create", {"name_label": "n", "other_config": {}, "bridge": "lab0"}) == ["BRIDGE_NAME_EXISTS", "lab0"]


def _vif(ask: Asked, network: str, *, attached: bool) -> str:
    vm = ask.db.create("VM", name_label="guest", power_state="Running" if attached else "Halted", resident_on=ask.host)
    return ask.db.create("VIF", VM=vm, network=network, device="0", currently_attached=attached)


def test_a_network_with_an_attached_vif_is_kept(ask: Asked) -> None:
    network = ask.network()
    vif = _vif(ask, network, attached=True)
    assert ask.refused("network.destroy", network) == ["NETWORK_CONTAINS_VIF", vif]


def test_a_detached_vif_goes_with_its_network(ask: Asked) -> None:
    network = ask.network()
    vif = _vif(ask, network, attached=False)
    ask("network.destroy", network)
    assert not ask.db.exists("VIF", vif)


def test_a_network_with_a_pif_is_kept(ask: Asked) -> None:
    pif = ask.pif("eth1")
    assert ask.refused("network.destroy", ask.record("PIF", pif)["network"]) == ["NETWORK_CONTAINS_PIF", pif]


def test_the_internal_management_network_is_kept(ask: Asked) -> None:
    network = ask.db.one("network", name_label="Host internal management network")
    assert ask.refused("network.destroy", network) == ["CANNOT_DESTROY_SYSTEM_NETWORK", network]


def test_the_locking_mode_does_not_change_under_an_attached_vif(ask: Asked) -> None:
    network = ask.network()
    ask("network.set_default_locking_mode", network, "disabled")
    assert ask.record("network", network)["default_locking_mode"] == "disabled"
    vif = _vif(ask, network, attached=True)
    assert ask.refused("network.set_default_locking_mode", network, "unlocked") == ["VIF_IN_USE", network, vif]


def test_a_pool_serves_disks_with_tls_or_without_never_both(ask: Asked) -> None:
    secure, plain = ask.network("secure"), ask.network("plain")
    ask("network.add_purpose", secure, "nbd")
    ask("network.add_purpose", secure, "nbd")
    assert ask.record("network", secure)["purpose"] == ["nbd"]
    assert ask.refused("network.add_purpose", plain, "insecure_nbd") == ["NETWORK_INCOMPATIBLE_PURPOSES", "insecure_nbd", "nbd"]
    ask("network.remove_purpose", secure, "nbd")
    ask("network.remove_purpose", secure, "nbd")
    ask("network.add_purpose", plain, "insecure_nbd")
    assert ask.record("network", plain)["purpose"] == ["insecure_nbd"]


def test_a_network_allows_no_operation_by_name(ask: Asked) -> None:
    assert ask("network.get_allowed_operations", ask.network()) == []
