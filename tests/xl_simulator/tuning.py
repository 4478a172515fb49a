# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory, vCPUs and the scheduler of a domain that runs."""

from __future__ import annotations

import re
import typing as t

from .building import cpus
from .commands import command, name_of, read, the_domain
from .errors import Failed, NotSimulated
from .life import say
from .listing import dom0, some
from .state import Host

Json = dict[str, t.Any]
UNITS = {"b": 1 / 1024, "k": 1, "m": 1024, "g": 1024**2, "t": 1024**3}


def kilobytes(said: str) -> int:
    """parse_mem_size_kb: a plain number is MiB."""
    match = re.fullmatch(r"(\d+)([bkmgtBKMGT]?)", said)
    if not match:
        raise Failed(1, f"invalid memory size: {said}")
    return int(int(match.group(1)) * UNITS[match.group(2).lower() or "m"])


@command("mem-set", changing=True)
def mem_set(host: Host, words: list[str]) -> int:
    wanted = kilobytes(words[1])
    with host.locked() as state:
        domain = the_domain(state, words[0])
        number = domain["domid"]
        if wanted > domain["config"]["b_info"]["max_memkb"]:
            raise Failed(
                1,
                f"libxl: error: libxl_mem.c:278:libxl_set_memory_target: Domain {number}:"
                "memory_dynamic_max must be less than or equal to memory_static_max",
                "", f"cannot set domid {number} dynamic max memory to : {words[1]}",
            )  # fmt: skip
        domain["config"]["b_info"]["target_memkb"] = domain["memkb"] = wanted
    return 0


@command("mem-max", changing=True)
def mem_max(host: Host, words: list[str]) -> int:
    wanted = kilobytes(words[1])
    with host.locked() as state:
        domain = the_domain(state, words[0])
        if wanted < domain["memkb"]:
            raise NotSimulated("mem-max below what the domain has")
        domain["config"]["b_info"]["max_memkb"] = wanted
    return 0


@command("vcpu-set", changing=True)
def vcpu_set(host: Host, words: list[str]) -> int:
    options, rest = read(words, "i ignore-host")
    wanted = int(rest[1])
    with host.locked() as state:
        domain = the_domain(state, rest[0])
        physical = int(state["info"]["nr_cpus"])
        if wanted > physical and not options:
            raise Failed(
                1,
                f"You are overcommmitting! You have {physical} physical CPUs and want {wanted} vCPUs! "
                "Aborting, use --ignore-host to continue",
            )
        if wanted > len(domain["vcpus"]):
            number, most = domain["domid"], len(domain["vcpus"])
            asked = f"Domain {number}:Requested {wanted} VCPUs, however maxcpus is {most}!: Function not implemented"
            failed = f"libxl_set_vcpuonline failed domid={number} max_vcpus={wanted}, rc: -3"
            raise Failed(1, f"libxl: error: libxl_domain.c:1869:libxl_set_vcpuonline: {asked}", failed)
        domain["wanted_vcpus"] = list(range(wanted))
        for place, vcpu in enumerate(domain["vcpus"]):
            # the guest takes one off at once; one more waits until somebody in it sets it online
            vcpu["online"] = vcpu["online"] and place < wanted
    return 0


@command("vcpu-pin", changing=True)
def vcpu_pin(host: Host, words: list[str]) -> int:
    _options, rest = read(words, "f force")
    name, which, *bound = rest
    with host.locked() as state:
        domain = the_domain(state, name)
        every = set(range(int(state["info"]["nr_cpus"])))
        beyond = which != "all" and int(which) >= len(domain["vcpus"])
        if beyond or any(not every & set(cpus(said)) for said in bound if said not in ("-", "all")):
            setting = f"Domain {domain['domid']}:Setting vcpu affinity: Invalid argument"
            raise Failed(
                1, f"libxl: error: libxl_sched.c:62:libxl__set_vcpuaffinity: {setting}", f"Could not set affinity for vcpu `{which}'."
            )
        for place, vcpu in enumerate(domain["vcpus"]):
            if which in ("all", str(place)):
                for key, said in zip(("hard", "soft"), bound):
                    if said != "-":
                        vcpu[key] = None if said == "all" or every <= set(cpus(said)) else cpus(said)
                if vcpu["hard"] is not None and vcpu["soft"] is not None and not set(vcpu["hard"]) & set(vcpu["soft"]):
                    unreachable = (
                        f"All cpus in soft affinity of vcpu {place} are unreachable. Only hard affinity will be considered for scheduling"
                    )
                    say(f"libxl: warning: libxl_sched.c:84:libxl__set_vcpuaffinity: Domain {domain['domid']}:{unreachable}")
    return 0


def sets(words: list[str]) -> bool:
    return bool({"-w", "-c", "-r"} & {word[:2] for word in words if word.startswith("-")}) or any(
        word.startswith(("--weight", "--cap", "--ratelimit")) for word in words
    )


@command("sched-credit2", changing=sets)
def sched_credit2(host: Host, words: list[str]) -> int:
    options, _rest = read(words, "s schedparam", "d w c r p domain weight cap ratelimit_us cpupool")
    options = {
        {"domain": "d", "weight": "w", "cap": "c", "schedparam": "s", "cpupool": "p"}.get(key, key): value for key, value in options.items()
    }
    if set(options) - {"d", "w", "c", "s"}:
        raise NotSimulated(f"sched-credit2 {' '.join(words)}")
    with host.locked() as state:
        pool = "Cpupool Pool-0: ratelimit=1000us"
        if "s" in options:
            print(pool)
            return 0
        if "d" not in options:
            print(pool)
            print(f"{'Name':<33}{'ID':>5}{'Weight':>7}{'Cap':>5}")
            for domain in some(state, []):
                print(sched_line(domain))
            return 0
        if "w" in options or "c" in options:
            set_params(state, options)
            return 0
        domain = dom0(state) if options["d"] in ("0", "Domain-0") else the_domain(state, options["d"])
        print(f"{'Name':<33}{'ID':>5}{'Weight':>7}{'Cap':>5}")
        print(sched_line(domain))
    return 0


def set_params(state: Json, options: t.Mapping[str, str]) -> None:
    domid = 0
    if options["d"] in ("0", "Domain-0"):
        params = state.setdefault("dom0_sched", {})
    else:
        domain = the_domain(state, options["d"])
        domid, params = domain["domid"], domain["config"]["b_info"]["sched_params"]
    if "w" in options:
        if not 1 <= int(options["w"]) <= 65535:
            place = f"libxl: error: libxl_sched.c:445:sched_credit2_domain_set: Domain {domid}"
            said = "Cpu weight out of range, valid values are within range from 1 to 65535"
            raise Failed(1, f"{place}:{said}", "libxl_domain_sched_params_set failed.")
        params["weight"] = int(options["w"])
    if "c" in options:
        params["cap"] = int(options["c"])


def sched_line(domain: Json) -> str:
    params = domain["config"]["b_info"]["sched_params"]
    return f"{name_of(domain):<33} {domain['domid']:>4} {params['weight']:>6} {params['cap']:>4}"


@command("sched-rtds", changing=sets)
def sched_rtds(_host: Host, words: list[str]) -> int:
    if words:
        raise NotSimulated("sched-rtds under credit2")
    return 0


@command("sched-credit", changing=sets)
def sched_credit(host: Host, words: list[str]) -> int:
    """Under credit2 it has nothing to say."""
    if words[:1] == ["-d"]:
        with host.locked() as state:
            the_domain(state, words[1])
    if words == ["-s"]:
        print("Cpupool Pool-0: [sched params unavailable]", flush=True)
        say("libxl: error: libxl_sched.c:287:libxl_sched_credit_params_get: getting Credit scheduler parameters: Invalid argument")
        say("libxl_sched_credit_params_get failed.")
        return 0
    if words:
        raise NotSimulated("sched-credit under credit2")
    return 0
