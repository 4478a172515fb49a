# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only looks."""

from __future__ import annotations

import copy
import time
import typing as t

from .building import shown
from .commands import command, name_of, read, the_domain
from .errors import Failed, NotSimulated
from .life import say
from .state import Host, domain_named, free_memory

Json = dict[str, t.Any]
# What xl has and nobody has recorded.
KNOWN = [
    "config-update",
    "pci-attach",
    "pci-detach",
    "pci-list",
    "pci-assignable-add",
    "pci-assignable-remove",
    "vncviewer",
    "dump-core",
    "button-press",
    "sharing",
    "trigger",
    "sysrq",
    "debug-keys",
    "set-parameters",
    "dmesg",
    "top",
    "channel-list",
    "vtpm-attach",
    "vtpm-list",
    "vtpm-detach",
    "vkb-attach",
    "vkb-list",
    "vkb-detach",
    "vdispl-attach",
    "vdispl-list",
    "vdispl-detach",
    "vsnd-attach",
    "vsnd-list",
    "vsnd-detach",
    "claims",
    "cpupool-create",
    "cpupool-destroy",
    "cpupool-rename",
    "cpupool-cpu-add",
    "cpupool-cpu-remove",
    "cpupool-migrate",
    "cpupool-numa-split",
    "getenforce",
    "setenforce",
    "loadpolicy",
    "remus",
    "devd",
    "psr-hwinfo",
    "psr-cmt-attach",
    "psr-cmt-detach",
    "psr-cmt-show",
    "psr-cat-set",
    "psr-cat-show",
    "psr-mba-set",
    "psr-mba-show",
    "usbctrl-attach",
    "usbctrl-detach",
    "usbdev-attach",
    "usbdev-detach",
    "usb-list",
    "qemu-monitor-command",
    "vm-list",
    "help",
]
LIST_HEADER = "Name                                        ID   Mem VCPUs\tState\tTime(s)"
LETTERS = "-rscwS"  # of the reason of a shutdown (xl_list.c)
RETRIEVE = "libxl: error: libxl_domain.c:2335:retrieve_domain_configuration_lock_acquired"
GHOST = "Device present in JSON but not in xenstore, ignored"


def dom0(state: Json) -> Json:
    kb = state["memory_of_dom0"] * 1024
    b_info: Json = {"max_memkb": kb, "target_memkb": kb - 1, "sched_params": {"sched": "credit2", "weight": 256, "cap": 0}}
    b_info |= {"type.pv": {}, "arch_arm": {}, "arch_x86": {}}
    vcpus = [{"online": True, "cpu": n, "hard": None, "soft": None} for n in range(int(state["info"]["nr_cpus"]))]
    config = {"c_info": {"type": "pv", "name": "Domain-0"}, "b_info": b_info}
    own = {"weight": 256, "cap": 0, **state.get("dom0_sched", {})}
    b_info["sched_params"] = {"sched": "credit2", **own}
    return {
        "domid": 0,
        "config": config,
        "memkb": kb,
        "vcpus": vcpus,
        "paused": False,
        "reason": None,
        "started": state["started"],
        "seconds": 160.0,
    }


def flags(domain: Json) -> str:
    if domain["domid"] == 0:
        return "r-----"
    if domain.get("fresh") or domain.get("half"):
        return "--p---"
    ended = domain["reason"] is not None
    running = "-" if ended else "b"
    return f"-{running}{'p' if domain['paused'] else '-'}{'s' if ended else '-'}{LETTERS[domain['reason']] if ended else '-'}-"


def list_line(domain: Json) -> str:
    online = sum(bool(vcpu["online"]) for vcpu in domain["vcpus"])
    seconds = 0.0 if domain.get("fresh") else domain["seconds"]
    return f"{name_of(domain):<40} {domain['domid']:>5} {domain['memkb'] // 1024:>5} {online:>5}     {flags(domain)}  {seconds:>8.1f}"


@command("list")
def list_(host: Host, words: list[str]) -> int:
    options, rest = read(words, "l v Z c n long verbose context cpupool numa")
    unknown = set(options) - {"l", "long", "v", "verbose", "c", "cpupool"}
    if unknown:
        raise NotSimulated(f"list {unknown}")
    with host.locked() as state:
        domains = [dom0(state), *sorted(state["domains"].values(), key=lambda d: int(d["domid"]))]
        if rest:
            domains = [d for d in domains if rest[0] in (str(d["domid"]), name_of(d))]
            if not domains:
                the_domain(state, rest[0])
        if {"l", "long"} & set(options):
            for domain in domains:
                for _ghost in range(domain.get("ghosts", 0)):
                    say(f"libxl: warning: libxl_domain.c:2603:retrieve_domain_configuration_end: Domain {domain['domid']}:{GHOST}")
            for domain in [each for each in domains if each.get("half")]:
                say(f"{RETRIEVE}: Domain {domain['domid']}:Fail to get domain configuration")
            print(shown([{"domid": d["domid"], "config": long_form(d)} for d in domains if not d.get("half")]))
            print()
        else:
            print_table(domains, options)
        pass_by(state, domains)
    return 0


def print_table(domains: list[Json], options: t.Mapping[str, str]) -> None:
    verbose, pools = {"v", "verbose"} & set(options), {"c", "cpupool"} & set(options)
    if verbose and pools:
        raise NotSimulated("list -v -c")
    print(
        LIST_HEADER + ("   UUID                            Reason-Code\tSecurity Label" if verbose else "         Cpupool" if pools else "")
    )
    for domain in domains:
        own = domain["config"]["c_info"].get("uuid", "00000000-0000-0000-0000-000000000000")
        reason = "-" if domain["reason"] is None else domain["reason"]
        more = (
            f" {own} {reason:>8} {'-':>16}" if verbose else f"{domain['config']['c_info'].get('pool_name', 'Pool-0'):>16}" if pools else ""
        )
        print(list_line(domain) + more)


def pass_by(state: Json, seen: list[Json]) -> None:
    """What a list has shown once is gone in the next."""
    for domain in seen:
        domain.pop("fresh", None)
        if "lists_left" in domain:
            domain["lists_left"] -= 1
            if domain["lists_left"] < 0 or domain["lists_left"] == 0:
                del state["domains"][str(domain["domid"])]


def long_form(domain: Json) -> Json:
    """libxl_retrieve_domain_configuration."""
    config = copy.deepcopy(domain["config"])
    if domain["domid"]:
        config["b_info"]["avail_vcpus"] = domain.get("wanted_vcpus", config["b_info"]["avail_vcpus"])
    return t.cast("Json", config)


@command("info")
def info(host: Host, words: list[str]) -> int:
    options, _rest = read(words, "n numa")
    with host.locked() as state:
        told = {**state["info"], "free_memory": str(free_memory(state))}
    for key, value in told.items():
        print(f"{key:<23}: {value}")
        if key == "free_cpus" and options:
            print(numa(told))
    return 0


def numa(told: Json) -> str:
    """The tables of -n, of a host with one node; the memory of that is a little more than Xen's."""
    cpus = [f"{cpu:>3}:{cpu:>8}{0:>9}{0:>9}" for cpu in range(int(told["nr_cpus"]))]
    head = ["cpu_topology           :", "cpu:    core    socket     node", *cpus]
    devices = ["device topology        :", "device           node", "No device topology data available"]
    nodes = [
        "numa_info              :",
        "node:    memsize    memfree    distances",
        f"   0:{5120:>10}{int(told['free_memory']):>11}      10",
    ]
    return "\n".join([*head, *devices, *nodes])


@command("domid")
def domid(host: Host, words: list[str]) -> int:
    with host.locked() as state:
        found = 0 if words[0] == "Domain-0" else None
        for domain in state["domains"].values():
            found = domain["domid"] if name_of(domain) == words[0] else found
    if found is None:
        raise Failed(1, f"Can't get domid of domain name '{words[0]}', maybe this domain does not exist.")
    print(found)
    return 0


@command("domname")
def domname(host: Host, words: list[str]) -> int:
    with host.locked() as state:
        if words[0] == "0":
            print("Domain-0")
            return 0
        domain = domain_named(state, words[0])
    if not words[0].isdigit():
        raise Failed(1, "Invalid domain id.", "")
    if not domain:
        raise Failed(1, f"Can't get domain name of domain id '{words[0]}', maybe this domain does not exist.")
    print(name_of(domain))
    return 0


def some(state: Json, words: list[str]) -> list[Json]:
    """Dom0 and all the others, or those that are named."""
    everything = [dom0(state), *sorted(state["domains"].values(), key=lambda d: int(d["domid"]))]
    if not words:
        return everything
    chosen = []
    for word in words:
        match = [d for d in everything if word in (str(d["domid"]), name_of(d))]
        chosen += match or [the_domain(state, word)]
    return chosen


@command("vcpu-list")
def vcpu_list(host: Host, words: list[str]) -> int:
    print("Name                                ID  VCPU   CPU State   Time(s) Affinity (Hard / Soft)")
    with host.locked() as state:
        domains = some(state, words)
    for domain in domains:
        for place, vcpu in enumerate(domain["vcpus"]):
            where = f"{vcpu['cpu']:>5} {'-':>3}{'b' if not domain['paused'] else '-'}- " if vcpu["online"] else f"{'-':>5} {'-':>3}-p "
            seconds = domain["seconds"] if vcpu["online"] else 0.6
            bound = f"{affinity(vcpu['hard'])} / {affinity(vcpu['soft'])}"
            print(f"{name_of(domain):<32} {domain['domid']:>5} {place:>5}{where}{seconds:>9.1f}  {bound}")
    return 0


def affinity(cpus: list[int] | None) -> str:
    """print_bitmap of xl_vcpu.c: runs of numbers."""
    if cpus is None:
        return "all"
    runs: list[list[int]] = []
    for cpu in cpus:
        if runs and runs[-1][-1] == cpu - 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


@command("uptime")
def uptime(host: Host, words: list[str]) -> int:
    options, rest = read(words, "s short")
    with host.locked() as state:
        domains = some(state, rest)
    if options:
        for domain in domains:
            minutes = int(time.time() - domain["started"]) // 60
            print(f" {time.strftime('%H:%M:%S')} up {minutes // 60:>2}:{minutes % 60:02d}, {name_of(domain)} ({domain['domid']})")
        return 0
    print("Name                                ID Uptime")
    for domain in domains:
        seconds = int(time.time() - domain["started"])
        days, hours = seconds // 86400, seconds // 3600 % 24
        told = f"{f'{days} days, ' if days else ''}{hours:>2}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        print(f"{name_of(domain):<33} {domain['domid']:>4} {told}")
    return 0


@command("vm-list")
def vm_list(host: Host, words: list[str]) -> int:
    with host.locked() as state:
        domains = some(state, words)
    print("UUID                                  ID    name")
    for domain in domains:
        own = domain["config"]["c_info"].get("uuid", "00000000-0000-0000-0000-000000000000")
        print(f"{own}  {domain['domid']:<4} {name_of(domain):<30}")
    return 0
