# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator import releases, site
from ansible_collections.domzero.xen.tests.simulator.site_reader import SiteError, size
from ansible_collections.domzero.xen.tests.simulator.storage import Storage

HOST: dict[str, t.Any] = {"name": "a", "address": "127.9.0.1", "nics": [{"device": "eth0", "segment": "lan"}]}


def described(**changes: t.Any) -> dict[str, t.Any]:
    return {"segments": ["lan"], "hosts": [HOST], **changes}


def mistake(value: object) -> str:
    with pytest.raises(SiteError) as caught:
        site.parse(value)
    return str(caught.value)


def test_every_site_that_comes_along_can_be_built() -> None:
    for path in sorted(site.SITES.glob("*.yml")):
        world = site.build(site.load(path))
        assert all(machine.pool.db.exists("host", machine.host_ref) for machine in world.machines.values()), path.name


def test_a_site_is_found_by_its_name() -> None:
    assert [host.name for host in site.load("homogeneous").hosts] == ["xcp00", "xcp01", "xcp02"]


def test_a_missing_file_is_named_with_the_sites_there_are() -> None:
    with pytest.raises(SiteError, match=r"nowhere\.yml: No such file.*homogeneous"):
        site.load("nowhere.yml")


def test_broken_yaml_is_named(tmp_path: t.Any) -> None:
    path = tmp_path / "broken.yml"
    path.write_text("hosts: [")
    with pytest.raises(SiteError, match="no YAML"):
        site.load(path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"hostz": []}, "site: unknown key 'hostz'"),
        ({"hosts": []}, "hosts: a site needs at least one host"),
        ({"hosts": [{**HOST, "nicks": []}]}, "hosts[0]: unknown key 'nicks'"),
        (
            {"hosts": [{**HOST, "nics": [{"device": "eth0", "segment": "lann"}]}]},
            "hosts[0].nics[0].segment: no segment 'lann' (known: , lan)",
        ),
        ({"hosts": [{**HOST, "nics": []}]}, "hosts[0]: a host needs at least one network card"),
        ({"hosts": [{**HOST, "address": "127.9.0"}]}, "hosts[0].address: Expected 4 octets"),
        ({"hosts": [{**HOST, "memory": "lots"}]}, "hosts[0].memory: 'lots' is no size"),
        ({"hosts": [{**HOST, "cpus": {"count": "8"}}]}, "hosts[0].cpus.count: a whole number is needed here, not '8'"),
        ({"hosts": [{"name": "a"}]}, "hosts[0]: 'address' is missing"),
        ({"hosts": [HOST, {**HOST, "address": "127.9.0.2"}]}, "hosts: name a is used twice"),
        ({"hosts": [HOST, {**HOST, "name": "b"}]}, "hosts: address 127.9.0.1 is used twice"),
        ({"hosts": "a"}, "hosts: a list is needed here, not 'a'"),
        ({"hosts": ["a"]}, "hosts[0]: a mapping is needed here, not 'a'"),
        ({"joined": "yes"}, "joined: true or false is needed here, not 'yes'"),
        ({"release": "xenserver-99"}, "release: no release 'xenserver-99' (known: xcp-ng-8.2"),
        ({"storage": [{"name": "s", "address": "127.9.0.9", "segment": "san"}]}, "storage[0].segment: no segment 'san' (known: lan)"),
        (
            {"storage": [{"name": "s", "address": "127.9.0.9", "segment": "lan", "nfs": [{"size": 1}]}]},
            "storage[0].nfs[0]: 'path' is missing",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(changes: dict[str, t.Any], told: str) -> None:
    assert mistake(described(**changes)).startswith(told)


@pytest.mark.parametrize(("text", "octets"), [("64GiB", 64 << 30), ("1 TiB", 1 << 40), ("1.5MiB", 3 << 19), (512, 512), ("7B", 7)])
def test_sizes_have_units(text: object, octets: int) -> None:
    assert size(text, "there") == octets


def test_hosts_without_a_file_are_single_or_one_pool() -> None:
    single, joined = (site.build(site.of_hosts(3, joined=joined)) for joined in (False, True))
    assert (len(single.pools), len(joined.pools)) == (3, 1)
    assert [m.is_coordinator for m in joined.machines.values()] == [True, False, False]


def test_a_card_has_the_same_address_in_every_run() -> None:
    assert [n.mac for n in site.of_hosts(1).hosts[0].nics] == [n.mac for n in site.of_hosts(1).hosts[0].nics]


@pytest.mark.parametrize("name", releases.names())
def test_every_release_has_a_host_that_says_so(name: str) -> None:
    world = site.build(site.with_release(site.of_hosts(1), name))
    (machine,) = list(world.machines.values())
    record, wanted = machine.host_record(), releases.release(name)
    assert record["software_version"]["product_version"] == wanted["software_version"]["product_version"]
    assert [record["API_version_major"], record["API_version_minor"]] == wanted["api_version"]


def test_an_unknown_release_is_named_with_those_there_are() -> None:
    with pytest.raises(LookupError, match=r"no release 'x'.*xenserver-8"):
        site.of_hosts(1, release="x")


def test_an_older_release_lacks_newer_calls() -> None:
    world = site.build(site.of_hosts(1, release="xenserver-7.0"))
    assert world.schema.message("host", "set_ssh_auto_mode") is None
    assert world.schema.message("host", "reboot")


def test_a_host_may_have_another_release_than_the_site() -> None:
    older = {**HOST, "name": "b", "address": "127.9.0.2", "release": "xcp-ng-8.2"}
    world = site.build(site.parse(described(hosts=[HOST, older])))
    assert [m.host_record()["software_version"]["product_version"] for m in world.machines.values()] == ["8.3.0", "8.2.1"]


def test_the_storage_survives_being_saved() -> None:
    storage = site.load("homogeneous").storage()
    saved = json.loads(json.dumps(storage.dump()))
    assert Storage.restore(saved) == storage


def test_an_hba_lun_of_two_hosts_is_one_lun() -> None:
    lun = [{"scsi_id": "3600a", "size": "1GiB"}]
    hosts = [{**HOST, "hba": lun}, {**HOST, "name": "b", "address": "127.9.0.2", "hba": lun}]
    storage = Storage.restore(site.parse(described(hosts=hosts)).storage().dump())
    assert storage.hba_luns("a")[0] is storage.hba_luns("b")[0]
    assert sum(place.path == "3600a" for place in storage.places()) == 1
