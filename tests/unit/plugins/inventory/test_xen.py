# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory of a pool holds."""

from __future__ import annotations

import re

import pytest
from ansible.errors import AnsibleParserError

from ansible_collections.domzero.xen.tests.simulator import load_db
from ansible_collections.domzero.xen.tests.simulator.schema import DATA

from .inventory_lab import GIB, add_vm, groups_of, hosts_of, lab

NAMES = ["files", "mail", "old", "web"]
DUMPS = sorted((DATA / "state-dbs").glob("*.xml"))
MAC = "02:00:00:00:00:0"


@pytest.fixture
def sim(simulator):
    return simulator(lab())


@pytest.fixture
def db(sim):
    return sim.world.pools[0].db


# what is in it ----------------------------------------------------------------------------------------------------------
def test_vms_are_hosts_of_the_inventory_templates_and_snapshots_are_not(sim, inventory):
    assert hosts_of(inventory(sim)) == NAMES


def test_a_vm_has_its_variables(sim, db, inventory):
    (web,) = db.find("VM", name_label="web")
    (disk,) = db.find("VDI", name_label="web disk")
    found = {k: v for k, v in inventory(sim).hosts["web"].vars.items() if not k.startswith("inventory_")}
    assert found == {
        "ansible_host": "10.1.0.5",
        "xen_type": "vm",
        "xen_uuid": db.get("VM", web)["uuid"],
        "xen_name": "web",
        "xen_description": "",
        "xen_pool": "lab",
        "xen_power_state": "running",
        "xen_resident_on": "xcp00",
        "xen_affinity": "",
        "xen_appliance": "Shop",
        "xen_tags": ["prod", "web"],
        "xen_folder": "/prod/web front",
        "xen_custom_fields": {"role": "frontend"},
        "xen_vcpus": 2,
        "xen_memory": 2 * GIB,
        "xen_networks": [
            {"device": "0", "network": "Guests", "mac": MAC + "0", "attached": False, "addresses": ["10.1.0.5", "fe80::1"]},
            {"device": "1", "network": "Management", "mac": MAC + "1", "attached": False, "addresses": ["10.2.0.5", "2001:db8::5"]},
        ],
        "xen_disks": [
            {
                "position": "0", "device": "xvda", "name": "web disk", "uuid": db.get("VDI", disk)["uuid"], "size": 8 * GIB,
                "sr": db.get("SR", db.get("VDI", disk)["SR"])["uuid"],
            }
        ],
        "xen_os": {"name": "Debian GNU/Linux 12 (bookworm)", "distro": "debian", "version": "12.0", "kernel": "6.1.0"},
        "xen_tools": {"detected": True, "up_to_date": True, "version": "9.4.0-1"},
    }  # fmt: skip


def test_a_vm_whose_guest_tells_nothing_has_no_address(sim, inventory):
    found = inventory(sim).hosts["old"].vars
    assert "ansible_host" not in found
    assert (found["xen_power_state"], found["xen_os"], found["xen_networks"][0]["addresses"]) == ("halted", {}, [])
    assert found["xen_tools"] == {"detected": False, "up_to_date": False, "version": ""}


def test_hosts_are_there_when_they_are_asked_for(sim, inventory):
    found = inventory(sim, objects="hosts")
    assert hosts_of(found) == ["xcp00", "xcp01"] == hosts_of(found, "xen_hosts")
    first = found.hosts["xcp00"].vars
    assert first["ansible_host"] == first["xen_address"] == sim.hosts[0].address
    assert (first["xen_type"], first["xen_coordinator"], first["xen_enabled"], first["xen_pool"]) == ("host", True, True, "lab")
    assert found.hosts["xcp01"].vars["xen_coordinator"] is False
    assert groups_of(found, "xcp01") == {"xen_hosts", "xen_pool_lab", "xen_tag_web", "xen_folder_racks", "xen_folder_racks_1"}


def test_vms_and_hosts_can_be_in_it_together(sim, inventory):
    found = inventory(sim, objects="both")
    assert hosts_of(found) == sorted([*NAMES, "xcp00", "xcp01"])
    assert hosts_of(found, "xen_vms") == NAMES


def test_a_pool_without_a_name_has_that_of_its_coordinator(sim, db, inventory):
    db.set("pool", db.find("pool")[0], name_label="")
    assert inventory(sim).hosts["web"].vars["xen_pool"] == "xcp00"


def test_each_class_is_read_once_whatever_there_is(sim, db, inventory):
    before = sim.received
    inventory(sim, objects="both")
    asked = sim.received - before
    for number in range(20):
        add_vm(db, f"more {number}")
    before = sim.received
    inventory(sim, objects="both")
    assert sim.received - before == asked == 12


def test_hosts_alone_are_read_with_four_requests(sim, inventory):
    before = sim.received
    inventory(sim, objects="hosts")
    assert sim.received - before == 4


def test_it_changes_nothing_and_leaves_no_session(sim, inventory):
    inventory(sim, objects="both")
    assert sim.calls() == []
    assert not sim.world.pools[0].db.all("session")


# what it is called --------------------------------------------------------------------------------------------------------
def test_vms_of_the_same_name_are_told_apart_by_their_uuid(sim, db, inventory, capsys):
    twins = [add_vm(db, "twin"), add_vm(db, "twin")]
    found = inventory(sim)
    assert {f"twin-{db.get('VM', ref)['uuid']}" for ref in twins} == {name for name in found.hosts if name.startswith("twin")}
    assert "twin" in capsys.readouterr().err


def test_vms_of_the_same_name_in_two_pools_are_told_apart(sim, simulator, inventory):
    other = simulator(lab())
    found = inventory(sim, other)
    assert len([name for name in found.hosts if name.startswith("web-")]) == 2
    assert "web" not in found.hosts
    assert len(found.hosts) == 8


def test_a_vm_without_a_name_is_called_by_its_uuid(sim, db, inventory):
    uuid = db.get("VM", add_vm(db, ""))["uuid"]
    assert uuid in inventory(sim).hosts


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("name", "web"),
        ("{{ xen_pool }}-{{ xen_name }}", "lab-web"),
        ("{{ xen_name }}.{{ xen_custom_fields.role | default('none') }}", "web.frontend"),
    ],
)
def test_the_name_in_the_inventory_can_be_a_template(sim, inventory, template, expected):
    assert expected in inventory(sim, inventory_hostname=template).hosts


def test_the_name_in_the_inventory_can_be_the_uuid(sim, db, inventory):
    assert set(inventory(sim, inventory_hostname="uuid").hosts) == {
        db.get("VM", db.find("VM", name_label=name)[0])["uuid"] for name in NAMES
    }


def test_a_template_that_fails_is_named(sim, inventory):
    with pytest.raises(AnsibleParserError, match=r"inventory_hostname .* fails for 'files'"):
        inventory(sim, inventory_hostname="{{ xen_custom_fields.role }}")


def test_what_a_vm_is_called_is_not_taken_for_a_template(sim, db, inventory):
    add_vm(db, "{{ 6 * 7 }}", tags=["{{ 6 * 7 }}"])
    found = inventory(sim, compose={"seen": "xen_name", "tag": "xen_tags[0]"}, strict=False).hosts["{{ 6 * 7 }}"].vars
    assert found["seen"] == found["tag"] == "{{ 6 * 7 }}"


# where it answers ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "web", "mail", "files"),
    [
        ({}, "10.1.0.5", "2001:db8::6", None),
        ({"address_from": ["ipv6", "ipv4"]}, "2001:db8::5", "2001:db8::6", None),
        ({"address_from": ["ipv4"]}, "10.1.0.5", None, None),
        ({"address_from": ["ipv4", "name"]}, "10.1.0.5", "mail", "files"),
        ({"address_from": ["name"]}, "web", "mail", "files"),
        ({"address_networks": ["Management"]}, "10.2.0.5", None, None),
        ({"address_networks": ["Management", "Guests"]}, "10.2.0.5", "2001:db8::6", None),
        ({"address_networks": ["Management", "*"]}, "10.2.0.5", "2001:db8::6", None),
        ({"address_networks": ["Guests"], "address_from": ["ipv6", "ipv4"]}, "10.1.0.5", "2001:db8::6", None),
        ({"compose": {"ansible_host": "xen_name ~ '.example.com'"}}, "web.example.com", "mail.example.com", "files.example.com"),
    ],
)
def test_the_address_is_chosen(sim, inventory, options, web, mail, files):
    found = inventory(sim, **options).hosts
    assert [found[name].vars.get("ansible_host") for name in ("web", "mail", "files")] == [web, mail, files]


def test_a_network_that_no_vm_is_on_is_warned_of(sim, inventory, capsys):
    inventory(sim, address_networks=["Managment"])
    assert "No VM is on a network of address_networks: Managment." in " ".join(capsys.readouterr().err.split())


# groups -------------------------------------------------------------------------------------------------------------------
def test_vms_are_in_groups(sim, inventory):
    found = inventory(sim)
    assert groups_of(found, "web") == {
        "xen_vms", "xen_pool_lab", "xen_host_xcp00", "xen_power_state_running", "xen_tag_web", "xen_tag_prod", "xen_folder_prod",
        "xen_folder_prod_web_front", "xen_os_debian", "xen_network_Guests", "xen_network_Management", "xen_appliance_Shop",
    }  # fmt: skip
    assert groups_of(found, "old") == {"xen_vms", "xen_pool_lab", "xen_power_state_halted", "xen_network_Guests"}
    assert hosts_of(found, "xen_os_windows") == ["files"]
    assert hosts_of(found, "xen_host_xcp01") == ["files"]


def test_a_folder_holds_what_is_in_the_folders_below_it(sim, inventory):
    found = inventory(sim)
    assert hosts_of(found, "xen_folder_prod") == ["mail", "web"]
    assert [group.name for group in found.groups["xen_folder_prod"].child_groups] == ["xen_folder_prod_web_front"]


@pytest.mark.parametrize("folder", ["/", "//", "/a//b/", "a", "/a/a/a", "/ /_"])
def test_a_folder_of_any_form_is_read(sim, db, inventory, folder):
    add_vm(db, "x", other_config={"folder": folder})
    assert "x" in inventory(sim).hosts


def test_what_groups_are_made_of_is_chosen(sim, inventory):
    found = inventory(sim, group_by=["tag"], group_prefix="lab_")
    assert set(found.groups) == {"all", "ungrouped", "lab_vms", "lab_tag_prod", "lab_tag_web"}


def test_groups_and_variables_can_be_constructed(sim, inventory):
    found = inventory(
        sim,
        group_by=[],
        compose={"role": "xen_custom_fields.role"},
        groups={"big": "xen_memory >= 1073741824", "windows": "xen_os.distro == 'windows'"},
        keyed_groups=[{"key": "role", "prefix": "role"}, {"key": "xen_networks | map(attribute='network') | list", "prefix": "on"}],
    )
    assert groups_of(found, "web") == {"xen_vms", "big", "role_frontend", "on_Guests", "on_Management"}
    assert hosts_of(found, "windows") == ["files"]
    assert "role" not in found.hosts["mail"].vars


def test_an_expression_that_fails_is_an_error_when_strict(sim, inventory):
    with pytest.raises(Exception, match="Could not set role for host files"):
        inventory(sim, compose={"role": "xen_custom_fields.role"}, strict=True)


# filters ------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"power_states": ["halted"]}, ["old"]),
        ({"power_states": ["halted", "running"]}, NAMES),
        ({"tags": ["web"]}, ["web"]),
        ({"tags": ["web", "prod"]}, ["mail", "web"]),
        ({"tags": ["prod"], "filters": [{"exclude": "'web' in xen_tags"}]}, ["mail"]),
        ({"filters": [{"include": "xen_folder is match('/prod')"}]}, ["mail", "web"]),
        ({"filters": [{"exclude": "xen_power_state != 'running'"}]}, ["files", "mail", "web"]),
        ({"filters": [{"include": "xen_name == 'old'"}, {"exclude": True}]}, ["old"]),
        ({"filters": [{"exclude": "xen_name == 'web'"}, {"include": "'prod' in xen_tags"}]}, ["mail"]),
        ({"filters": [{"include": "xen_os.distro == 'debian'"}]}, ["web"]),
        ({"filters": [{"include": "'false'"}]}, []),
    ],
)
def test_vms_are_let_in_or_kept_out(sim, inventory, options, expected):
    assert hosts_of(inventory(sim, **options)) == expected


def test_states_of_vms_do_not_keep_hosts_out(sim, inventory):
    assert hosts_of(inventory(sim, objects="both", power_states=["halted"])) == ["old", "xcp00", "xcp01"]


def test_a_filter_that_fails_is_an_error_when_strict(sim, inventory):
    with pytest.raises(AnsibleParserError, match=re.escape("The filter 'xen_os.distro == 1' fails for 'mail'")):
        inventory(sim, filters=[{"include": "xen_os.distro == 1"}], strict=True)


@pytest.mark.parametrize("entry", ["xen_name == 'x'", {"only": "true"}, {"include": "true", "exclude": "true"}, {}])
def test_a_filter_that_is_none_is_refused(sim, inventory, entry):
    with pytest.raises(Exception, match="filters"):
        inventory(sim, filters=[entry])


# pools of others ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dump", DUMPS, ids=lambda path: path.stem)
def test_every_vm_of_a_real_pool_is_in_it(simulator, inventory, dump):
    world = load_db.world_of(load_db.parse(dump.read_bytes()), speed=0, release=None, username="root", password="xapi-test")
    sim, db = simulator(world), world.pools[0].db
    found = inventory(sim, objects="both")
    rows = [r for r in db.all("VM").values() if not (r["is_a_template"] or r["is_a_snapshot"] or r["is_control_domain"])]
    assert {host.vars["xen_uuid"] for host in found.hosts.values()} == {r["uuid"] for r in [*rows, *db.all("host").values()]}
    assert sim.calls() == []


def test_a_server_without_json_rpc_is_read(simulator, inventory):
    sim = simulator(2, release="xenserver-6.5")
    add_vm(sim.world.pools[0].db, "web", power_state="Halted")
    found = inventory(sim, objects="both")
    assert hosts_of(found) == ["web", "xcp00", "xcp01"]
    assert found.hosts["web"].vars["xen_memory"] == 2 * GIB
