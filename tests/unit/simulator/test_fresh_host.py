# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.domzero.xen.tests.simulator import fresh, fresh_pool, site
from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL
from ansible_collections.domzero.xen.tests.unit.simulator.conversation import Asked


def host(name: str = "homogeneous") -> Asked:
    return Asked(next(iter(site.build(site.load(name)).machines.values())))


def test_each_card_has_a_network_named_after_it() -> None:
    asked = host()
    networks = {n["name_label"]: n["bridge"] for n in asked.db.all("network").values()}
    expected = {f"Pool-wide network associated with eth{n}": f"xenbr{n}" for n in range(3)}
    assert networks == {**expected, "Host internal management network": "xenapi"}


def test_only_the_management_interface_is_up_and_has_the_address() -> None:
    asked = host()
    up = [pif for pif in asked.db.all("PIF").values() if pif["currently_attached"]]
    assert [(p["device"], p["management"], p["ip_configuration_mode"], p["IP"]) for p in up] == [("eth0", True, "Static", "127.20.0.200")]
    assert asked.record("host", asked.host)["address"] == "127.20.0.200"


def test_the_first_network_somebody_makes_is_xapi1() -> None:
    asked = host()
    assert asked.record("network", asked.network())["bridge"] == "xapi1"


def test_the_local_sr_is_the_pools_default() -> None:
    asked = host()
    sr = asked.record("SR", asked.pool["default_SR"])
    assert (sr["name_label"], sr["type"], sr["shared"]) == ("Local storage", "ext", False)
    assert [asked.pool[f] for f in ("suspend_image_SR", "crash_dump_SR")] == [asked.pool["default_SR"]] * 2
    assert asked.record("PBD", sr["PBDs"][0])["currently_attached"]


def test_dvd_drives_removable_storage_and_tools_are_there() -> None:
    asked = host()
    found = {sr["name_label"]: (sr["type"], sr["content_type"], sr["shared"]) for sr in asked.db.all("SR").values()}
    del found["Local storage"]
    assert found == {
        "DVD drives": ("udev", "iso", False),
        "Removable storage": ("udev", "disk", False),
        "XCP-ng Tools": ("iso", "iso", True),
    }


def test_the_tools_iso_is_known_and_stays_after_a_scan() -> None:
    asked = host()
    tools = asked.db.one("SR", is_tools_sr=True)
    (vdi,) = asked.record("SR", tools)["VDIs"]
    asked("SR.scan", tools)
    assert asked.record("SR", tools)["VDIs"] == [vdi]
    assert asked.record("VDI", vdi)["is_tools_iso"]
    assert asked.refused("VDI.destroy", vdi) == ["SR_OPERATION_NOT_SUPPORTED", tools]


def test_the_members_of_a_pool_share_the_tools_sr() -> None:
    world = site.build(site.of_hosts(3, joined=True))
    db = world.pools[0].db
    assert len(db.get("SR", db.one("SR", is_tools_sr=True))["PBDs"]) == 3
    assert len(db.find("SR", name_label="Local storage")) == 3
    assert len(db.find("network", bridge="xenbr1")) == 1


def test_every_driver_of_the_release_has_an_sm_object() -> None:
    asked = host()
    types = {sm["type"] for sm in asked.db.all("SM").values()}
    assert types == set(fresh_pool.sm_types())
    ext = asked.record("SM", asked.db.one("SM", type="ext"))
    assert ext["features"]["VDI_RESET_ON_BOOT"] == 2
    assert "ATOMIC_PAUSE" not in ext["features"]
    assert sorted(ext["capabilities"]) == sorted(ext["features"])


def test_xenserver_lacks_the_drivers_of_xcp_ng() -> None:
    world = site.build(site.of_hosts(1, release="xenserver-8"))
    types = {sm["type"] for sm in world.pools[0].db.all("SM").values()}
    assert "nfs" in types
    assert not types & {"zfs", "linstor", "xfs"}


def test_the_recorded_host_has_the_recorded_drivers_and_templates() -> None:
    asked = host("recorded-host")
    assert len(asked.db.all("SM")) == 12
    templates = [vm for vm in asked.db.all("VM").values() if vm["is_default_template"]]
    assert len(templates) == 49
    assert [sr["type"] for sr in asked.db.all("SR").values()] == ["dummy"]


def test_xcp_ng_ships_more_templates_than_xenserver() -> None:
    names = {vm["name_label"] for vm in host().db.all("VM").values() if vm["is_a_template"]}
    assert {"Generic Linux UEFI", "Windows Server 2022 (64-bit)"} <= names
    assert len(names) == 56


def test_a_template_has_the_memory_overhead_xapi_computes() -> None:
    asked = host()
    other = asked.record("VM", asked.db.one("VM", name_label="Other install media"))
    assert (other["memory_static_max"], other["memory_overhead"]) == (256 << 20, 6 << 20)


def test_a_host_has_its_processors_memory_and_control_domain() -> None:
    asked = host()
    record = asked.record("host", asked.host)
    assert len(record["host_CPUs"]) == int(record["cpu_info"]["cpu_count"]) == 16
    assert asked.record("host_metrics", record["metrics"])["memory_total"] == 64 << 30
    domain = asked.record("VM", record["control_domain"])
    assert (domain["is_control_domain"], domain["resident_on"], domain["domid"]) == (True, asked.host, 0)
    assert {asked.record("console", c)["protocol"] for c in domain["consoles"]} == {"rfb", "vt100"}


def test_the_pool_can_do_what_all_its_processors_can() -> None:
    world = site.build(site.load("heterogeneous"))
    intel, amd = (m.pool.pool["cpu_info"] for m in world.machines.values())
    common = fresh_pool.common_features([intel["features_hvm_host"], amd["features_hvm_host"]])
    first, second, both = (int(words.split("-")[0], 16) for words in (intel["features_hvm_host"], amd["features_hvm_host"], common))
    assert both == first & second
    assert (intel["vendor"], amd["vendor"]) == ("GenuineIntel", "AuthenticAMD")


def test_processors_of_a_pool_are_summed() -> None:
    info = site.build(site.of_hosts(3, joined=True)).pools[0].pool["cpu_info"]
    assert (info["cpu_count"], info["socket_count"]) == ("24", "3")


def test_an_installed_host_has_an_initiator_name_unless_the_site_takes_it_away() -> None:
    asked = host()
    assert asked.record("host", asked.host)["iscsi_iqn"].startswith("iqn.")
    recorded = host("recorded-host")
    assert recorded.record("host", recorded.host)["iscsi_iqn"] == ""


def test_a_host_can_be_installed_again_with_the_management_it_had() -> None:
    asked = host()
    machine = asked.machine
    machine.pool = machine.world.new_pool()
    kept = {"device": "eth1", "ip_configuration_mode": "Static", "IP": "127.20.0.77", "netmask": "255.255.255.0", "gateway": "", "DNS": ""}
    fresh.install(machine, kept)
    db = machine.pool.db
    pif = db.get("PIF", db.one("PIF", management=True))
    assert (pif["device"], pif["IP"], pif["currently_attached"]) == ("eth1", "127.20.0.77", True)
    assert machine.pool.pool["master"] == machine.host_ref != NULL
    (repository,) = machine.world.storage.on(machine.name, "disk", "/dev/sda3")[0].repositories
    assert db.find("SR", uuid=repository), "the installer formats the local SR"
