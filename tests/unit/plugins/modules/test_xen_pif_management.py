# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The management interface moves, and the task goes on at the new address."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, Untrusted
from ansible_collections.domzero.xen.plugins.module_utils.resources.pif import management
from ansible_collections.domzero.xen.plugins.module_utils.transport import Endpoint
from ansible_collections.domzero.xen.tests.simulator import site

Run = Start = t.Callable[..., t.Any]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The old address is waited for less than in earnest."""
    monkeypatch.setattr(management, "STAYS", 0.5)


@pytest.fixture
def hosts(simulator: Start) -> t.Callable[..., t.Any]:
    """hosts(2): a pool whose hosts have two NICs; the endpoints have addresses of this computer, so they can move."""

    def start(count: int, **more: t.Any) -> t.Any:
        nics = [{"device": f"eth{n}", "segment": "lan"} for n in range(2)]
        rows = [{"name": f"xcp{n:02}", "address": f"127.50.0.{10 + n}", "nics": nics} for n in range(count)]
        return simulator(
            site.build(
                site.parse({"segments": ["lan"], "hosts": rows, "joined": more.get("joined", count > 1)}), speed=more.get("speed", 0)
            )
        )

    return start


def managing(sim: t.Any, host: str) -> str:
    """The device a host is managed through."""
    db = sim.world.pools[0].db
    return str(db.get("PIF", db.one("PIF", host=db.one("host", name_label=host), management=True))["device"])


def address(sim: t.Any, host: str) -> str:
    return str(sim.world.machines[host].host_record()["address"])


def second(host: str, last: int) -> dict[str, t.Any]:
    return {"host": host, "device": "eth1", "mode": "static", "ip": f"127.51.0.{last}/24"}


# one host -----------------------------------------------------------------------------
def test_another_interface_takes_over_and_the_task_goes_on_there(hosts: Start, run: Run) -> None:
    sim = hosts(1)
    done = run("xen_pif", **second("xcp00", 10), management=True)
    assert done["operations"] == ["PIF.reconfigure_ip", "host.management_reconfigure"]
    assert done["pif"]["management"] is done["pif"]["plugged"] is True
    assert done["hostname"] == "127.51.0.10"
    assert (managing(sim, "xcp00"), address(sim, "xcp00")) == ("eth1", "127.51.0.10")
    assert sim.world.machines["xcp00"].address == "127.51.0.10"
    there = {"hostname": f"https://127.51.0.10:{sim.hosts[0].port}"}
    assert run("xen_pif", **there, **second("xcp00", 10), management=True)["changed"] is False


def test_what_is_predicted_is_what_happens(hosts: Start, run: Run) -> None:
    hosts(1)
    predicted = run("xen_pif", check=True, **second("xcp00", 10), management=True)
    assert run("xen_pif", **second("xcp00", 10), management=True) == predicted


def test_the_management_interface_gets_another_address_and_the_task_goes_on_there(hosts: Start, run: Run) -> None:
    sim = hosts(1)
    done = run("xen_pif", device="eth0", ip="127.50.0.99", disallow_unplug=True, other_config={"a": "b"})
    assert done["operations"] == ["PIF.reconfigure_ip", "PIF.set_disallow_unplug", "PIF.set_other_config"]
    assert done["hostname"] == address(sim, "xcp00") == "127.50.0.99"


def test_the_move_takes_its_time(hosts: Start, run: Run) -> None:
    hosts(1, speed=2)
    assert run("xen_pif", **second("xcp00", 10), management=True)["hostname"] == "127.51.0.10"


@pytest.mark.parametrize("when", ["cut_before", "cut_after"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_move_that_lost_its_connection_is_finished_by_the_same_task(hosts: Start, run: Run, when: str, nth: int) -> None:
    sim = hosts(1)
    getattr(sim.faults, f"{when}_change")(nth)
    assert run("xen_pif", **second("xcp00", 10), management=True)["pif"]["management"] is True
    assert managing(sim, "xcp00") == "eth1"


@pytest.mark.usefixtures("impatient")
def test_where_the_new_address_leads_nowhere_from_here_the_old_way_is_kept(hosts: Start, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind port forwarding: the simulator stays where it is when the address is none of this computer."""
    sim, listens = hosts(1), Endpoint.listens
    # whether nobody answers there is a matter of the network around
    monkeypatch.setattr(Endpoint, "listens", lambda self, timeout: self.host != "172.16.0.10" and listens(self, timeout))
    done = run("xen_pif", device="eth1", mode="static", ip="172.16.0.10/24", management=True)
    assert done["hostname"] == address(sim, "xcp00") == "172.16.0.10"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("trust", ["its certificate", "any certificate"])
def test_where_somebody_else_answers_at_the_new_address_the_old_way_is_kept(hosts: Start, run: Run, trust: str) -> None:
    sim = hosts(2, joined=False)
    trusted = {"fingerprint": [sim.hosts[0].fingerprint_sha256]} if trust == "its certificate" else {"validate_certs": False}
    done = run("xen_pif", **trusted, device="eth1", mode="static", ip="127.50.0.11/24", management=True)
    assert done["hostname"] == address(sim, "xcp00") == "127.50.0.11"
    assert done["operations"] == ["PIF.reconfigure_ip", "host.management_reconfigure"]
    assert managing(sim, "xcp00") == "eth1"


@pytest.mark.usefixtures("impatient")
def test_where_only_somebody_else_answers_it_is_told(hosts: Start, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    sim, listens = hosts(2, joined=False), Endpoint.listens
    monkeypatch.setattr(Endpoint, "listens", lambda self, timeout: self.host != "127.50.0.10" and listens(self, timeout))
    trusted = {"fingerprint": [sim.hosts[0].fingerprint_sha256]}
    with pytest.raises(Untrusted, match=r"The certificate of https://127\.50\.0\.11:.* is not a pinned one"):
        run("xen_pif", **trusted, device="eth1", mode="static", ip="127.50.0.11/24", management=True)


def test_other_name_servers_move_nothing(hosts: Start, converges: Run) -> None:
    hosts(1)
    done = converges("xen_pif", device="eth0", gateway="127.50.0.1", dns=["127.50.0.1", "9.9.9.9"])
    assert done["operations"] == ["PIF.reconfigure_ip"]
    assert "hostname" not in done


# a pool --------------------------------------------------------------------------------
def test_a_member_moves(hosts: Start, converges: Run) -> None:
    sim = hosts(2)
    done = converges("xen_pif", **second("xcp01", 11), management=True)
    assert done["operations"] == ["PIF.reconfigure_ip", "host.management_reconfigure"]
    assert "hostname" not in done
    assert (managing(sim, "xcp00"), managing(sim, "xcp01")) == ("eth0", "eth1")


def test_the_coordinator_moves_last(hosts: Start, run: Run) -> None:
    sim = hosts(3)
    run("xen_pif", **second("xcp01", 11), management=True)
    with pytest.raises(InvalidChange, match="The members 'xcp02' would lose the coordinator"):
        run("xen_pif", **second("xcp00", 10), management=True)
    run("xen_pif", **second("xcp02", 12), management=True)
    done = run("xen_pif", **second("xcp00", 10), management=True)
    assert done["operations"] == ["PIF.reconfigure_ip", "pool.management_reconfigure"]
    assert [managing(sim, host) for host in sim.world.machines] == ["eth1"] * 3
    assert [address(sim, host) for host in sim.world.machines] == ["127.51.0.10", "127.51.0.11", "127.51.0.12"]


def test_another_address_of_a_pools_coordinator_needs_leave(hosts: Start, run: Run) -> None:
    sim = hosts(2)
    with pytest.raises(InvalidChange, match="let the members lose their coordinator"):
        run("xen_pif", host="xcp00", device="eth0", ip="127.50.0.99")
    done = run("xen_pif", host="xcp00", device="eth0", ip="127.50.0.99", allow_disruption=True)
    assert done["operations"] == ["PIF.reconfigure_ip", "pool.recover_slaves"]
    assert address(sim, "xcp00") == "127.50.0.99"


# refusals ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"device": "eth0", "mode": "none"}, "its address cannot be removed"),
        ({"device": "eth0", "plugged": False}, "it cannot be unplugged"),
        ({"device": "eth0", "management": False}, "Say management: true of the one"),
        ({"device": "eth1", "management": True}, "needs an address to be managed through"),
        ({"device": "eth0", "ipv6_mode": "autoconf", "primary_address_type": "IPv6"}, "its primary address type cannot change"),
    ],
)
def test_a_host_keeps_an_interface_to_be_managed_through(hosts: Start, run: Run, given: dict[str, t.Any], told: str) -> None:
    sim = hosts(1)
    with pytest.raises(InvalidChange, match=told):
        run("xen_pif", **given)
    assert sim.calls() == []


def test_saying_what_is_changes_nothing(hosts: Start, converges: Run) -> None:
    hosts(1)
    assert converges("xen_pif", device="eth0", management=True)["changed"] is False
    assert converges("xen_pif", device="eth1", management=False)["changed"] is False


def test_nothing_moves_while_high_availability_is_on(hosts: Start, run: Run) -> None:
    sim = hosts(1)
    sim.world.pools[0].db.set("pool", sim.world.pools[0].pool_ref, ha_enabled=True)
    with pytest.raises(InvalidChange, match="high availability"):
        run("xen_pif", **second("xcp00", 10), management=True)


def test_a_member_of_a_bond_manages_nothing(hosts: Start, run: Run) -> None:
    hosts(1)
    run("xen_network", name="Bonded", bond={"nics": ["eth0", "eth1"]})
    with pytest.raises(InvalidChange, match="is a member of the bond"):
        run("xen_pif", device="eth0", management=True, mode="static", ip="127.51.0.10/24")
