# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner of live changes: whatever runs and whatever is wanted, its steps lead from one to the other, and each is possible."""

from __future__ import annotations

import copy
import dataclasses
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.xl.disk import parse as disk
from ansible_collections.domzero.xen.plugins.module_utils.xl.domain.live import Running, Vcpu, Wanted, plan
from ansible_collections.domzero.xen.plugins.module_utils.xl.step import Step
from ansible_collections.domzero.xen.plugins.module_utils.xl.vif import parse as vif

Json = dict[str, t.Any]
HOST_CPUS = 4


def json_disk(spec: str) -> Json:
    told = disk(spec)
    return {"pdev_path": told["target"], "vdev": told["vdev"], "format": "raw", "readwrite": int(told.get("access", "rw") == "rw")}


def json_nic(spec: str, devid: int) -> Json:
    told = vif(spec)
    return {"devid": devid, **{key: told[key] for key in ("mac", "bridge", "ip") if key in told}}


def config(
    *, memory: int = 128, more: int = 0, vcpus: int = 1, maxvcpus: int = 2, weight: int = 256, cap: int = 0,
    hard: tuple[frozenset[int], ...] = (), disks: tuple[str, ...] = (), nics: tuple[str, ...] = (), cmdline: str = "",
) -> Json:  # fmt: skip
    b_info: Json = {
        "max_vcpus": maxvcpus, "avail_vcpus": list(range(min(vcpus, maxvcpus))), "max_memkb": (memory + more) * 1024,
        "target_memkb": memory * 1024, "sched_params": {"weight": weight, "cap": cap}, "cmdline": cmdline,
    }  # fmt: skip
    if hard:
        b_info["vcpu_hard_affinity"] = [sorted(numbers) for numbers in hard[:maxvcpus]]
    return {
        "c_info": {"type": "pv", "name": "web"}, "b_info": b_info, "disks": [json_disk(one) for one in disks],
        "nics": [json_nic(one, place) for place, one in enumerate(nics)],
    }  # fmt: skip


def running(described: Json) -> Running:
    """A domain that was created from it."""
    filled = copy.deepcopy(described)
    filled["b_info"]["sched_params"]["sched"] = "credit2"
    for nic in filled["nics"]:
        nic.setdefault("mac", f"00:16:3e:ff:ff:{nic['devid']:02x}")
        nic["nictype"] = "vif"
    hard = filled["b_info"].get("vcpu_hard_affinity", [])
    online = filled["b_info"]["avail_vcpus"]
    vcpus = tuple(
        Vcpu(number, number in online, frozenset(hard[number]) if number < len(hard) else None, None)
        for number in range(filled["b_info"]["max_vcpus"])
    )
    return Running("web", filled, vcpus, HOST_CPUS)


class Model:
    """A domain that xl's commands change, as xl would; a command that is not possible is an assertion that fails."""

    def __init__(self, here: Running):
        self.here = dataclasses.replace(here, config=copy.deepcopy(here.config))

    @property
    def info(self) -> Json:
        return t.cast("Json", self.here.config["b_info"])

    def run(self, step: Step) -> None:
        _xl, word, *rest = step.argv
        getattr(self, word.replace("-", "_"))(*rest)

    def rename(self, old: str, new: str) -> None:
        assert self.here.name == old
        self.here = dataclasses.replace(self.here, name=new)
        t.cast("Json", self.here.config["c_info"])["name"] = new

    def mem_max(self, _name: str, mib: str) -> None:
        assert int(mib) * 1024 >= self.info["target_memkb"], "below what it has"
        self.info["max_memkb"] = int(mib) * 1024

    def mem_set(self, _name: str, mib: str) -> None:
        assert int(mib) * 1024 <= self.info["max_memkb"], "memory_dynamic_max must be less than or equal to memory_static_max"
        self.info["target_memkb"] = int(mib) * 1024

    def vcpu_set(self, *words: str) -> None:
        number = int(words[-1])
        assert number <= self.info["max_vcpus"]
        assert number <= HOST_CPUS or words[0] == "--ignore-host"
        self.info["avail_vcpus"] = list(range(number))

    def sched_credit2(self, *words: str) -> None:
        flags = dict(zip(words[2::2], words[3::2], strict=True))
        for flag, key in (("-w", "weight"), ("-c", "cap")):
            if flag in flags:
                self.info["sched_params"][key] = int(flags[flag])

    def vcpu_pin(self, _name: str, which: str, hard: str, *_soft: str) -> None:
        numbers = None if hard == "all" else frozenset(n for part in hard.split(",") for n in span(part))
        vcpus = tuple(dataclasses.replace(one, hard=numbers) if which in ("all", str(one.number)) else one for one in self.here.vcpus)
        self.here = dataclasses.replace(self.here, vcpus=vcpus)

    def block_attach(self, _name: str, spec: str) -> None:
        new = json_disk(spec)
        assert new["vdev"] not in [one["vdev"] for one in self.here.config["disks"]], "device already exists in xenstore"
        self.here.config["disks"].append(new)

    def block_detach(self, _name: str, vdev: str) -> None:
        (gone,) = [one for one in self.here.config["disks"] if one["vdev"] == vdev]
        self.here.config["disks"].remove(gone)

    def network_attach(self, _name: str, *words: str) -> None:
        nics = self.here.config["nics"]
        new = json_nic(",".join(words), max((one["devid"] for one in nics), default=-1) + 1)
        new.setdefault("mac", f"00:16:3e:ee:ee:{new['devid']:02x}")
        assert new["mac"] not in [one["mac"] for one in nics]
        nics.append(new)

    def network_detach(self, _name: str, devid: str) -> None:
        (gone,) = [one for one in self.here.config["nics"] if one["devid"] == int(devid)]
        self.here.config["nics"].remove(gone)


def span(part: str) -> range:
    first, _dash, last = part.partition("-")
    return range(int(first), int(last or first) + 1)


cpu_sets = st.frozensets(st.integers(0, HOST_CPUS - 1), min_size=1)
access = st.sampled_from(["ro", "rw"])
disks = st.lists(
    st.builds("vdev=xvd{},format=raw,access={},target=/dev/vg0/{}".format, st.sampled_from("abcd"), access, st.sampled_from("xyz")),
    max_size=4, unique_by=lambda spec: spec[8],
)  # fmt: skip
plain_nics = st.builds("bridge=br{}".format, st.integers(0, 1))
named_nics = st.builds("mac=00:16:3e:00:00:0{},bridge=br{}".format, st.integers(0, 3), st.integers(0, 1))
nics = st.lists(st.one_of(plain_nics, named_nics), max_size=4, unique_by=lambda spec: spec[:21] if spec.startswith("mac") else object())
configs = st.fixed_dictionaries(
    {
        "memory": st.integers(32, 512), "more": st.integers(0, 512), "vcpus": st.integers(1, 6), "maxvcpus": st.just(6),
        "weight": st.integers(1, 65535), "cap": st.integers(0, 400), "hard": st.lists(cpu_sets, max_size=6).map(tuple),
        "disks": disks.map(tuple), "nics": nics.map(tuple),
    }
)  # fmt: skip


@given(configs, configs)
def test_the_steps_lead_to_what_is_wanted_and_then_there_are_none(before: Json, after: Json) -> None:
    model = Model(running(config(**before)))
    wanted = Wanted("web", config(**after), after["disks"], after["nics"], everything=True)
    first = plan(model.here, wanted)
    for step in first.steps:
        model.run(step)
    assert first.needs_restart == []
    again = plan(model.here, wanted)
    assert [str(step) for step in again.steps] == []
    assert model.info["target_memkb"] == after["memory"] * 1024
    assert sorted(one["vdev"] for one in model.here.config["disks"]) == sorted(disk(spec)["vdev"] for spec in after["disks"])
    assert sorted(nic.get("bridge") for nic in model.here.config["nics"]) == sorted(vif(spec)["bridge"] for spec in after["nics"])


@given(configs, configs)
def test_a_run_that_was_cut_after_any_step_is_finished_by_the_next(before: Json, after: Json) -> None:
    wanted = Wanted("web", config(**after), after["disks"], after["nics"], everything=True)
    whole = plan(running(config(**before)), wanted).steps
    for cut in range(len(whole) + 1):
        model = Model(running(config(**before)))
        for step in whole[:cut]:
            model.run(step)
        for step in plan(model.here, wanted).steps:
            model.run(step)
        assert plan(model.here, wanted).steps == []


@given(configs, configs)
def test_what_the_task_does_not_speak_of_is_left_alone(before: Json, after: Json) -> None:
    wanted = Wanted("web", config(**after), after["disks"], after["nics"], managed=frozenset({"name", "cpu_weight"}))
    steps = plan(running(config(**before)), wanted).steps
    assert {step.argv[1] for step in steps} <= {"sched-credit2"}


def test_a_domain_has_its_new_name_in_the_commands_after_it() -> None:
    wanted = Wanted("shop", {**config(memory=64), "c_info": {"type": "pv", "name": "shop"}}, managed=frozenset({"name", "memory"}))
    assert [str(step) for step in plan(running(config()), wanted).steps] == [
        "xl rename web shop",
        "xl mem-set shop 64",
        "xl mem-max shop 64",
    ]


def test_more_vcpus_than_the_host_has_are_said_to_be_meant() -> None:
    wanted = Wanted("web", config(vcpus=6, maxvcpus=6), managed=frozenset({"vcpus"}))
    assert [str(step) for step in plan(running(config(maxvcpus=6)), wanted).steps] == ["xl vcpu-set --ignore-host web 6"]


def test_more_vcpus_than_it_can_have_wait_for_a_restart() -> None:
    done = plan(running(config(maxvcpus=2)), Wanted("web", config(vcpus=4, maxvcpus=4), managed=frozenset({"vcpus"})))
    assert done.steps == []
    assert done.needs_restart == ["vcpus: web runs with 2; 4 comes with a restart."]


def test_what_needs_a_restart_is_told_by_the_option_that_was_given() -> None:
    done = plan(running(config(cmdline="a")), Wanted("web", config(cmdline="b"), managed=frozenset({"extra"})))
    assert done.needs_restart == ["extra: web runs with a; b comes with a restart."]


def test_a_password_is_not_told() -> None:
    old, new = config(), config()
    old["b_info"]["type.hvm"], new["b_info"]["type.hvm"] = {"vnc": {"passwd": "one"}}, {"vnc": {"passwd": "two"}}
    done = plan(running(old), Wanted("web", new, managed=frozenset({"vncpasswd"})))
    assert done.needs_restart == ["vncpasswd: another one is in the file than web runs with."]


@pytest.mark.parametrize(
    ("scheduler", "told"), [("credit", ["xl sched-credit -d web -w 512"]), ("credit2", ["xl sched-credit2 -d web -w 512"]), ("rtds", [])]
)
def test_the_weight_is_that_of_the_scheduler_in_use(scheduler: str, told: list[str]) -> None:
    here = running(config())
    here.config["b_info"]["sched_params"]["sched"] = scheduler
    done = plan(here, Wanted("web", config(weight=512), managed=frozenset({"cpu_weight"})))
    assert [str(step) for step in done.steps] == told
    assert bool(done.needs_restart) == (not told)


def cd(path: str | None) -> Json:
    return {"vdev": "hdc", "is_cdrom": 1, "format": "raw" if path else "empty", **({"pdev_path": path} if path else {})}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("/a.iso", "/b.iso", ["xl cd-insert web hdc /b.iso"]),
        (None, "/b.iso", ["xl cd-insert web hdc /b.iso"]),
        ("/a.iso", None, ["xl cd-eject web hdc"]),
        ("/a.iso", "/a.iso", []),
    ],
)
def test_a_cd_is_changed_in_its_drive(before: str | None, after: str | None, told: list[str]) -> None:
    old, new = ({**config(), "c_info": {"type": "hvm", "name": "web"}, "disks": [cd(path)]} for path in (before, after))
    done = plan(running(old), Wanted("web", new, disks=("x",), managed=frozenset({"disk"})))
    assert [str(step) for step in done.steps] == told


def test_a_pool_is_changed_while_it_runs() -> None:
    new = config()
    new["c_info"]["pool_name"] = "fast"
    assert [str(step) for step in plan(running(config()), Wanted("web", new, managed=frozenset({"pool"}))).steps] == [
        "xl cpupool-migrate web fast"
    ]
