# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What xl, xenpm and xenstore-ls print, as data: against what a real host printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.xl.output import domains, host, xenstore

OUTPUTS = Path(__file__).resolve().parents[4] / "data" / "xl" / "outputs"


def said(name: str) -> str:
    return (OUTPUTS / f"{name}.out").read_text()


def answers(transcript: str, command: str) -> list[str]:
    """What each run of a command printed in a transcript."""
    parts = said(transcript).split("\n$ ")
    found = [part.partition("\n")[2] for part in parts if part.removeprefix("$ ").startswith(command + "\n")]
    return ["".join(line + "\n" for line in part.splitlines() if not line.startswith(("[rc=", "[stderr]"))) for part in found]


def test_domains_are_listed() -> None:
    told = domains.domains(said("withdomu/xl-list"))
    assert [(one["name"], one["domid"], one["memory"], one["vcpus"], one["power_state"]) for one in told] == [
        ("Domain-0", 0, 1024, 2, "running"),
        ("pv0", 3, 128, 1, "running"),
        ("pv1", 4, 128, 1, "running"),
    ]
    assert told[1]["state"] == "-b----" and told[1]["time"] == 3.0
    assert domains.domains(said("withdomu/xl-list-n"))[1]["name"] == "pv0"
    assert domains.pools_of_domains(said("withdomu/xl-list-c")) == {"Domain-0": "Pool-0", "pv0": "Pool-0", "pv1": "Pool-0"}


def test_states_of_a_domain() -> None:
    for answer in answers("lifecycle-transcript", "xl list pv1")[:1]:
        assert domains.domains(answer)[0]["power_state"] == "paused"
    assert domains.domains(said("lifecycle2/list-after-shutdown"))[1]["power_state"] == "shutdown"
    flags = {"r-----": "running", "------": "running", "--p---": "paused", "--ps--": "shutdown", "---sr-": "shutdown", "---sc-": "crashed"}
    assert {flag: domains.power_state(flag) for flag in flags} == flags
    assert domains.power_state("---ss-") == "suspended" and domains.power_state("--psrd") == "dying"
    reasons = {"---s--": "poweroff", "---sr-": "reboot", "---ss-": "suspend", "---sc-": "crash", "---sw-": "watchdog", "-b----": ""}
    assert {flag: domains.shutdown_reason(flag) for flag in reasons} == reasons


def test_a_name_with_spaces_and_a_lost_name_are_read() -> None:
    head = said("withdomu/xl-list").splitlines()[0]
    lines = [f"{name:40} {domid:5} {128:5} {1:5}     -b----  {3.0:8.1f}" for name, domid in (("two words", 7), ("(null)", 8))]
    assert [one["name"] for one in domains.domains("\n".join([head, *lines]))] == ["two words", "(null)"]


def test_configurations_of_domains() -> None:
    told = domains.configurations(said("withdomu/xl-list-l"))
    assert [(one["domid"], one["config"]["c_info"]["name"]) for one in told] == [(0, "Domain-0"), (3, "pv0"), (4, "pv1")]
    assert told[2]["config"]["disks"][0]["pdev_path"] == "/dev/vg0/pv1-disk"
    assert domains.configurations("\n") == []
    assert domains.dry_run(said("lifecycle2/dryrun-json"))["b_info"]["max_memkb"] == 196608
    with pytest.raises(XenError, match=r"xl create -n printed what is no JSON \(.*\): 'Parsing config'"):
        domains.dry_run("Parsing config")


def test_vcpus() -> None:
    told = domains.vcpus(said("withdomu/xl-vcpu-list"))
    assert len(told) == 5 and not told[-1]["online"] and told[-1]["cpu"] is None and told[-1]["state"] == "--p"
    assert {one["name"]: one["cpu"] for one in told if one["vcpu"] == 0} == {"Domain-0": 1, "pv0": 1, "pv1": 1}
    pinned = domains.vcpus(answers("lifecycle-transcript", "xl vcpu-list pv1")[1])
    assert [(one["hard"], one["soft"]) for one in pinned] == [("1", "all"), ("all", "all")]


def test_uptimes() -> None:
    assert domains.uptimes(said("withdomu/xl-uptime")) == {"Domain-0": 298, "pv0": 61, "pv1": 32}
    text = "Name                     ID Uptime\nold                      5 12 days,  3:04:05\nnew one 6 1 day,  0:00:01\n"
    assert domains.uptimes(text) == {"old": 12 * 86400 + 3 * 3600 + 4 * 60 + 5, "new one": 86401}


def test_devices() -> None:
    assert [one["devid"] for one in domains.blocks(answers("lifecycle-transcript", "xl block-list pv1")[0])] == [51712, 51728]
    assert domains.blocks(said("withdomu/xl-block-list-pv1")) == [
        {
            "devid": 51712, "backend": 0, "handle": 4, "state": 4, "event_channel": 9, "ring_ref": 8,
            "path": "/local/domain/0/backend/vbd/4/51712",
        }
    ]  # fmt: skip
    vifs = domains.networks(answers("lifecycle-transcript", "xl network-list pv1")[0])
    assert [(one["devid"], one["mac"], one["state"]) for one in vifs] == [(0, "00:16:3e:00:00:11", 4), (1, "00:16:3e:00:00:12", 4)]
    assert vifs[0]["event_channel"] is None and vifs[0]["tx_ring_ref"] == 522
    assert domains.blocks(said("withdomu/xl-block-list-pv0")) == domains.networks(said("withdomu/xl-network-list-pv0")) == []


@pytest.mark.parametrize("name", ["nodomu/xl-info", "withdomu/xl-info", "withdomu/xl-info-n", "pvh/xl-info"])
def test_the_host(name: str) -> None:
    told = host.info(said(name))
    assert (told["host"], told["nr_cpus"], told["xen_version"], told["total_memory"]) == ("xenhost", 2, "4.17.7", 4095)
    assert told["cpu_mhz"] > 1000 and told["virt_caps"][0] == "pv" and told["xen_changeset"] == ""
    assert told["xen_commandline"].startswith("placeholder dom0_mem=1024M,max:1024M")
    assert ("cpu_topology" in told) == name.endswith("-n")


def test_the_topology_of_the_host() -> None:
    told = host.info(said("withdomu/xl-info-n"))
    assert told["cpu_topology"] == [{"cpu": 0, "core": 0, "socket": 0, "node": 0}, {"cpu": 1, "core": 1, "socket": 0, "node": 0}]
    assert told["numa_info"] == [{"node": 0, "memsize": 5120, "memfree": 2772, "distances": [10]}]
    assert host.topology(said("withdomu/xenpm-topology")) == told["cpu_topology"]


def test_pools() -> None:
    text = said("withdomu/xl-cpupool-list") + "two words            6    credit       n          0\n"
    assert host.pools(text) == [
        {"name": "Pool-0", "cpus": 2, "scheduler": "credit2", "active": True, "domains": 3},
        {"name": "two words", "cpus": 6, "scheduler": "credit", "active": False, "domains": 0},
    ]
    assert host.pool_cpus(said("withdomu/xl-cpupool-list-c") + "other 2-4,7\nempty \n") == {
        "Pool-0": [0, 1],
        "other": [2, 3, 4, 7],
        "empty": [],
    }


def test_schedulers() -> None:
    told = host.schedulers(said("withdomu/xl-sched-credit2"))
    assert [(one["pool"], one["parameters"]) for one in told] == [("Pool-0", {"ratelimit": "1000us"})]
    assert [(one["name"], one["weight"], one["cap"]) for one in told[0]["domains"]] == [
        ("Domain-0", 256, 0),
        ("pv0", 256, 0),
        ("pv1", 256, 0),
    ]
    assert host.schedulers(said("withdomu/xl-sched-credit2-pv1"))[0]["domains"][0]["domid"] == 4
    assert host.schedulers(said("withdomu/xl-sched-credit-s")) == [{"pool": "Pool-0", "parameters": {}, "domains": []}]
    assert host.schedulers("") == []
    credit = "Cpupool Pool-0: tslice=30ms ratelimit=1000us migration-delay=0us\nName       ID Weight  Cap\nweb 1 3 512 50\n"
    assert host.schedulers(credit)[0]["parameters"] == {"tslice": "30ms", "ratelimit": "1000us", "migration-delay": "0us"}
    assert host.schedulers(credit)[0]["domains"] == [{"name": "web 1", "domid": 3, "weight": 512, "cap": 50}]


def test_frequencies() -> None:
    text = "cpu id               : 0\naffected_cpus        : *0 1\nscaling_driver       : acpi-cpufreq\n"
    text += "scaling_avail_gov    : userspace ondemand\n"
    text += "current_governor     : ondemand\n\ncpu id               : 1\nscaling_driver       : acpi-cpufreq\n"
    assert host.frequencies(text) == [
        {"cpu": 0, "driver": "acpi-cpufreq", "governor": "ondemand", "governors": ["userspace", "ondemand"]},
        {"cpu": 1, "driver": "acpi-cpufreq", "governor": "", "governors": []},
    ]
    assert host.frequencies("") == []


def test_xenstore_says_the_same_in_both_forms() -> None:
    whole = xenstore.flat(said("withdomu/xenstore-ls-fp"))
    assert whole["/local/domain/4/name"] == "pv1" and len(whole) == 295
    assert xenstore.flat(said("withdomu/xenstore-ls")).keys() == whole.keys()
    below = xenstore.tree(whole, "/local/domain/4/device/vbd")
    assert below["51712"]["backend"] == "/local/domain/0/backend/vbd/4/51712"
    assert xenstore.tree(whole)["local"]["domain"]["0"]["name"] == "Domain-0"


def test_values_of_xenstore_are_unescaped() -> None:
    text = 'a = "x"\n b c = "say \\"hi\\"\\n\\\\"   (n0,r3)\nd = "\\303\\274"\ne = "cut"...\n'
    assert xenstore.flat(text, "/tool") == {"/tool/a": "x", "/tool/a/b c": 'say "hi"\n\\', "/tool/d": "ü", "/tool/e": "cut"}
    assert xenstore.tree({"/a": "own", "/a/b": "1"}) == {"a": {"": "own", "b": "1"}}
