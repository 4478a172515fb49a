# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host: `xl info [-n]`, `xl cpupool-list [-c]`, `xl sched-credit`, `xl sched-credit2`, `xl sched-rtds`, `xenpm`."""

from __future__ import annotations

import re
import typing as t

Row = dict[str, t.Any]

NUMBERS = (
    "nr_cpus", "max_cpu_id", "nr_nodes", "cores_per_socket", "threads_per_core", "total_memory", "free_memory", "sharing_freed_memory",
    "sharing_used_memory", "outstanding_claims", "free_cpus", "xen_major", "xen_minor", "xen_pagesize", "xend_config_format",
)  # fmt: skip
WORDS = ("virt_caps", "xen_caps")
# The tables of `xl info -n`, with the names of their columns.
TABLES = {"cpu_topology": ("cpu", "core", "socket", "node"), "numa_info": ("node", "memsize", "memfree", "distances")}
POOL = re.compile(r"(?P<name>.*?) +(?P<cpus>\d+) +(?P<scheduler>\S+) +(?P<active>[yn]) +(?P<domains>\d+) *")
POOL_CPUS = re.compile(r"(?P<name>.*?) +(?P<cpus>[\d,-]*) *")


def info(text: str) -> Row:
    """`xl info`: memory in MiB, cpu_mhz a float, virt_caps and xen_caps lists; with -n also cpu_topology and numa_info (lists of rows)."""
    told: Row = {}
    table = ""
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and re.match(r"[a-z]\S* *$|device topology", name) and not (table and name in ("cpu", "node")):
            name, value = name.strip(), value.strip()
            table = name if name in TABLES else ""
            told[name] = [] if table else typed(name, value)
        elif table and re.match(r" *\d+:", line):
            told[table].append(columns(TABLES[table], line))
    told.pop("device topology", None)
    return told


def typed(name: str, value: str) -> t.Any:
    if name in NUMBERS and value.isdigit():
        return int(value)
    if name == "cpu_mhz":
        return float(value)
    return value.split() if name in WORDS else value


def columns(names: t.Sequence[str], line: str) -> Row:
    words = line.replace(":", " ", 1).split()
    return {
        name: [int(one) for one in word.split(",")] if name == "distances" else int(word) if word.isdigit() else word
        for name, word in zip(names, words)
    }


def pools(text: str) -> list[Row]:
    """`xl cpupool-list`: name, cpus (how many), scheduler, active, domains (how many)."""
    return [
        {
            "name": one["name"],
            "cpus": int(one["cpus"]),
            "scheduler": one["scheduler"],
            "active": one["active"] == "y",
            "domains": int(one["domains"]),
        }
        for one in map(POOL.fullmatch, text.splitlines())
        if one
    ]


def pool_cpus(text: str) -> dict[str, list[int]]:
    """`xl cpupool-list -c`: the numbers of the CPUs by pool."""
    return {one["name"]: cpus(one["cpus"]) for one in map(POOL_CPUS.fullmatch, text.splitlines()[1:]) if one}


def cpus(text: str) -> list[int]:
    """Of "0,2-3"."""
    told: list[int] = []
    for part in filter(None, text.split(",")):
        first, _dash, last = part.partition("-")
        told += range(int(first), int(last or first) + 1)
    return told


def schedulers(text: str) -> list[Row]:
    """`xl sched-credit2` and its likes: of each pool its name, parameters (numbers by name, with their units) and domains.

    Empty where xl prints nothing, which it does for a scheduler that is not in use. Of one domain (-d) the pool's name is empty.
    """
    told: list[Row] = []
    head: list[str] = []
    for line in text.splitlines():
        if line.startswith("Cpupool "):
            name, _colon, parameters = line[len("Cpupool ") :].partition(":")
            told.append({"pool": name, "parameters": dict(re.findall(r"([\w-]+)=(\w+)", parameters)), "domains": []})
        elif line.startswith("Name "):
            head = ["domid", *line.lower().split()[2:]]
            told = told or [{"pool": "", "parameters": {}, "domains": []}]
        elif head and len(line.split()) > len(head):
            name, *words = line.rsplit(None, len(head))
            told[-1]["domains"].append({"name": name, **{key: int(word) if word.isdigit() else word for key, word in zip(head, words)}})
    return told


def frequencies(text: str) -> list[Row]:
    """`xenpm get-cpufreq-para`: of each CPU its number, driver, governor and those there are. Empty where Xen does not rule them."""
    told: list[Row] = []
    for block in re.split(r"(?m)^cpu id *: *", text)[1:]:
        found = dict(re.findall(r"(?m)^(\w+) *: *(.*?) *$", block))
        told.append(
            {
                "cpu": int(block.split()[0]), "driver": found.get("scaling_driver", ""), "governor": found.get("current_governor", ""),
                "governors": found.get("scaling_avail_gov", "").split(),
            }
        )  # fmt: skip
    return told


def topology(text: str) -> list[Row]:
    """`xenpm get-cpu-topology`: cpu, core, socket and node."""
    found = re.findall(r"(?m)^CPU(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*$", text)
    return [dict(zip(TABLES["cpu_topology"], map(int, one))) for one in found]
