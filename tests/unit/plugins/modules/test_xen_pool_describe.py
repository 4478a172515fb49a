# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import stat
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.tests.simulator import load_db
from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT

DATABASES = sorted((CHECKOUT / "tests/simulator/data/state-dbs").glob("*.xml"))
INVENTORIES = CHECKOUT / "playbooks/inventories"
CONNECTION = ("username", "password", "validate_certs", "ca_file", "fingerprint", "force")
PASSWORD = "iso-secret"
Tree = dict[str, t.Any]


def variables(name: str) -> Tree:
    """Of a scenario that comes along."""
    (file,) = (INVENTORIES / name / "host_vars").glob("*.yml")
    return yaml.safe_load(file.read_text())


def apply(run, tree: Tree) -> list[str]:
    """What the role does once the hosts have joined, in its order; the objects that were changed."""
    done = [(f"network {entry['name']}", run("xen_network", **entry)) for entry in tree["pool_build_networks"]]
    for host in tree["pool_build_hosts"]:
        own = {option: value for option, value in host.items() if option not in (*CONNECTION, "address", "addresses")}
        done.append((f"host {host['name']}", run("xen_host", **own)))
        done += [(f"address of {host['name']}", run("xen_pif", host=host["name"], **entry)) for entry in host.get("addresses", ())]
    done += [(f"SR {entry['name']}", run("xen_sr", **entry)) for entry in tree["pool_build_storage"]]
    done.append(("pool", run("xen_pool", **tree["pool_build_pool"])))
    return [name for name, result in done if result["changed"]]


def changes_nothing(sim, run, tree: Tree) -> None:
    mark = sim.mark()
    assert apply(run, tree) == []
    assert sim.calls(mark) == []


@pytest.fixture
def scenario(simulator, run):
    """One that comes along, built."""

    def build(name: str) -> t.Any:
        sim = simulator(name, joined=True)
        apply(run, variables(name))
        return sim

    return build


# the way back -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["homogeneous", "heterogeneous"])
def test_a_scenario_that_was_built_is_described_so_that_nothing_is_left_to_do(scenario, run, name):
    sim = scenario(name)
    described = run("xen_pool_describe")
    changes_nothing(sim, run, described["pool_build"])


@pytest.mark.parametrize("name", ["homogeneous", "heterogeneous"])
def test_what_a_scenario_says_is_found_again(scenario, run, name):
    scenario(name)
    built, told = variables(name), run("xen_pool_describe")["pool_build"]
    for part in ("networks", "storage"):
        entries = {entry["name"]: entry for entry in told[f"pool_build_{part}"]}
        for entry in built[f"pool_build_{part}"]:
            lost = {"lun", "smb_password"}  # one is a way to find the SCSI id, the other a secret
            assert entries[entry["name"]].items() >= {o: v for o, v in entry.items() if o not in lost}.items()
    assert told["pool_build_pool"].items() >= built["pool_build_pool"].items()
    for wanted, host in zip(built["pool_build_hosts"], told["pool_build_hosts"], strict=True):
        assert host["name"] == wanted["name"]
        for address in wanted.get("addresses", ()):
            assert any(entry.items() >= address.items() for entry in host["addresses"])


@pytest.mark.parametrize("database", DATABASES, ids=lambda path: path.stem)
def test_a_real_pool_is_described_so_that_nothing_is_left_to_do(simulator, run, database):
    dump = load_db.parse(database.read_bytes())
    sim = simulator(load_db.world_of(dump, speed=0, release=None, username="root", password="xapi-test"))
    described = run("xen_pool_describe")
    db = sim.world.pools[0].db
    assert len(described["pool_build"]["pool_build_hosts"]) == len(db.all("host"))
    told = {entry["name"] for entry in described["pool_build"]["pool_build_networks"]}
    said = " ".join(described["left_out"])
    assert {r["name_label"] for r in db.all("network").values() if r["name_label"] not in said} == told
    srs = {entry["name"] for entry in described["pool_build"]["pool_build_storage"]}
    assert {r["name_label"] for r in db.all("SR").values() if f"SR {r['name_label']!r}" not in said} <= srs
    changes_nothing(sim, run, described["pool_build"])


def test_describing_changes_nothing_and_reads_each_class_once(scenario, run):
    sim = scenario("homogeneous")
    mark, received = sim.mark(), sim.received
    described = run("xen_pool_describe")
    assert sim.calls(mark) == []
    assert sim.received - received < 40, "there are more than 60 objects"
    assert described["changed"] is False


# what is left out -------------------------------------------------------------------------------------------------------
def test_secrets_are_left_out_and_named(scenario, run):
    scenario("homogeneous")
    described = run("xen_pool_describe")
    assert PASSWORD not in str(described)
    assert "SR 'Windows ISOs': smb_password, which cannot be read." in described["left_out"]
    assert any(sentence.startswith("The passwords of the hosts") for sentence in described["left_out"])


def test_a_key_that_looks_like_a_secret_is_left_out_and_named(pool, run, session):
    (pool,) = session.call("pool.get_all")
    session.call("pool.add_to_other_config", pool, "smtp_password", PASSWORD)
    session.call("pool.add_to_other_config", pool, "owner", "us")
    described = run("xen_pool_describe")
    assert PASSWORD not in str(described)
    assert described["pool_build"]["pool_build_pool"]["other_config"]["owner"] == "us"
    assert "The pool: smtp_password of other_config, which looks like a secret." in described["left_out"]


def test_objects_of_the_same_name_carry_their_uuid(pool, run, session):
    sim = pool()
    for _twin in range(2):
        session.call("network.create", {"name_label": "twin", "name_description": "", "MTU": 1500, "other_config": {}, "tags": []})
    tree = run("xen_pool_describe")["pool_build"]
    twins = [entry["uuid"] for entry in tree["pool_build_networks"] if entry["name"] == "twin"]
    assert sorted(twins) == sorted(r["uuid"] for r in sim.world.pools[0].db.all("network").values() if r["name_label"] == "twin")
    assert [e.get("host") for e in tree["pool_build_storage"] if e["name"] == "Local storage"] == ["xcp00", "xcp01"]
    changes_nothing(sim, run, tree)


def test_hosts_that_share_a_name_are_told(pool, run, session):
    for ref in session.call("host.get_all"):
        session.call("host.set_name_label", ref, "twin")
    described = run("xen_pool_describe")
    assert [host["name"] for host in described["pool_build"]["pool_build_hosts"]] == ["twin", "twin"]
    assert sum("a name of its own" in sentence for sentence in described["left_out"]) == 2


def test_a_host_that_is_down_is_described_and_left_alone(pool, run):
    sim = pool()
    with sim.world.lock:
        db = sim.world.pools[0].db
        gone = next(ref for ref, r in db.all("host").items() if r["name_label"] == "xcp01")
        db.set("host_metrics", db.get("host", gone)["metrics"], live=False)
    tree = run("xen_pool_describe")["pool_build"]
    assert [host["name"] for host in tree["pool_build_hosts"]] == ["xcp00", "xcp01"]
    changes_nothing(sim, run, tree)


def test_an_object_that_does_not_hang_together_is_named_and_left_out(pool, run):
    sim = pool()
    run("xen_network", name="Guests", vlan={"tag": 100, "nic": "eth1"})
    with sim.world.lock:
        db = sim.world.pools[0].db
        for ref in [ref for ref, r in db.all("PIF").items() if r["device"] == "eth1" and r["physical"]]:
            db.destroy("PIF", ref)
    described = run("xen_pool_describe")
    assert "Guests" not in {entry["name"] for entry in described["pool_build"]["pool_build_networks"]}
    assert any(sentence.startswith("network 'Guests'") for sentence in described["left_out"])


def test_a_vlan_that_is_not_on_every_host_is_not_promised(pool, run, session):
    sim = pool()
    run("xen_network", name="Guests", vlan={"tag": 100, "nic": "eth1"})
    host = next(ref for ref, r in session.call("host.get_all_records").items() if r["name_label"] == "xcp01")
    (vlan,) = [r["VLAN_master_of"] for r in session.call("PIF.get_all_records").values() if r["host"] == host and r["VLAN"] == 100]
    session.call("VLAN.destroy", vlan)
    described = run("xen_pool_describe")
    (guests,) = [entry for entry in described["pool_build"]["pool_build_networks"] if entry["name"] == "Guests"]
    assert "vlan" not in guests
    assert any("'Guests'" in sentence and "vlan" in sentence for sentence in described["left_out"])
    assert "Network 'Guests' on host 'xcp01': not connected." in described["left_out"]
    changes_nothing(sim, run, described["pool_build"])


def test_a_detached_sr_stays_detached(pool, run, session):
    sim = pool()
    pbd = next(
        ref for ref, r in session.call("PBD.get_all_records").items() if session.call("SR.get_name_label", r["SR"]) == "Local storage"
    )
    session.call("PBD.unplug", pbd)
    tree = run("xen_pool_describe")["pool_build"]
    assert [entry.get("attach") for entry in tree["pool_build_storage"] if entry["name"] == "Local storage"].count("as_is") == 1
    changes_nothing(sim, run, tree)


def test_virtual_machines_and_what_else_has_no_word_are_named(pool, run, session):
    template = session.call("VM.get_by_name_label", "Other install media")[0]
    session.call("VM.set_is_a_template", template, False)
    session.call("VM.set_name_label", template, "web1")
    assert "Virtual machines: web1." in run("xen_pool_describe")["left_out"]


# the file ---------------------------------------------------------------------------------------------------------------
def test_the_file_holds_the_variables_and_what_is_left_out(scenario, run, tmp_path):
    scenario("homogeneous")
    dest = tmp_path / "lab.yml"
    done = run("xen_pool_describe", dest=str(dest))
    assert done["changed"]
    assert yaml.safe_load(dest.read_text()) == done["pool_build"]
    assert all(f"# - {sentence}\n" in dest.read_text() for sentence in done["left_out"])
    assert PASSWORD not in dest.read_text()


def test_check_mode_shows_the_file_and_writes_none(simulator, run, tmp_path):
    simulator(1)
    dest = tmp_path / "lab.yml"
    predicted = run("xen_pool_describe", dest=str(dest), check=True)
    assert not dest.exists()
    done = run("xen_pool_describe", dest=str(dest))
    assert predicted == done
    assert done["diff"]["before"] == ""
    assert done["diff"]["after"] == dest.read_text()


def test_a_file_that_is_right_is_left_alone_and_another_is_replaced_with_its_mode(simulator, run, tmp_path):
    simulator(1)
    dest = tmp_path / "lab.yml"
    run("xen_pool_describe", dest=str(dest))
    dest.chmod(0o640)
    assert run("xen_pool_describe", dest=str(dest))["changed"] is False
    run("xen_network", name="new")
    done = run("xen_pool_describe", dest=str(dest))
    assert done["changed"]
    assert "new" not in done["diff"]["before"]
    assert "new" in dest.read_text()
    assert stat.S_IMODE(dest.stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["lab.yml"]


@pytest.mark.parametrize("dest", ["/no/such/folder/lab.yml", "/"])
def test_a_file_that_cannot_be_written_is_named(simulator, run, dest):
    simulator(1)
    with pytest.raises(InvalidChange, match=r"The file '/.*' cannot be written"):
        run("xen_pool_describe", dest=dest)


def test_every_variable_is_one_the_role_knows(scenario, run):
    scenario("homogeneous")
    specs = yaml.safe_load(Path(CHECKOUT, "roles/pool_build/meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    tree = run("xen_pool_describe")["pool_build"]
    assert unknown(tree, specs) == []


def unknown(tree: t.Any, specs: Tree, where: str = "") -> list[str]:
    out = []
    for option, value in tree.items():
        if option not in specs:
            out.append(f"{where}{option}")
            continue
        inner = specs[option].get("options")
        rows = value if isinstance(value, list) else [value]
        for row in rows if inner else ():
            out += unknown(row, inner, f"{where}{option}.")
    return out
