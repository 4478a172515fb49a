# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the programs of Xen tell, each asked once, however many domains there are."""

from __future__ import annotations

import functools
import typing as t

from ...errors import NotFound
from ..output import domains as domain_tables
from ..output import host as host_tables
from ..output import xenstore
from ..tool import Tool

Row = dict[str, t.Any]
SECRETS = ("vncpasswd", "vnc-pass", "spicepasswd")  # keys of xenstore with a password of a display (libxl_dm.c, libxl_vfb.c)
HIDDEN = "********"
# Of each scheduler the command that tells of it; the others (null, arinc653) have nothing to tell.
SCHEDULERS = {"credit": "sched-credit", "credit2": "sched-credit2", "rtds": "sched-rtds"}


class Source:
    """The host's answers. Everything raises XenError where a program fails."""

    def __init__(self, tool: Tool):
        self._tool = tool

    @functools.cached_property
    def host(self) -> Row:
        """`xl info -n`."""
        return host_tables.info(self._tool.run("info", "-n").out)

    @functools.cached_property
    def rows(self) -> list[Row]:
        """`xl list -c`: domains with the state and the pool they are in; Dom0 is the first."""
        text = self._tool.run("list", "-c").out
        pools = domain_tables.pools_of_domains(text)
        return [{**row, "pool": pools.get(row["name"], "")} for row in domain_tables.domains(text)]

    @functools.cached_property
    def configurations(self) -> dict[int, Row]:
        """`xl list -l` by domid; without those that are just being made."""
        told = domain_tables.configurations(self._tool.run("list", "-l").out)
        return {one["domid"]: one.get("config", {}) for one in told}

    @functools.cached_property
    def vcpus(self) -> dict[int, list[Row]]:
        """`xl vcpu-list` by domid."""
        found: dict[int, list[Row]] = {}
        for row in domain_tables.vcpus(self._tool.run("vcpu-list").out):
            found.setdefault(row["domid"], []).append(row)
        return found

    @functools.cached_property
    def uptimes(self) -> dict[str, int]:
        return domain_tables.uptimes(self._tool.run("uptime").out)

    @functools.cached_property
    def store(self) -> dict[str, str]:
        """Below /local/domain, where devices and consoles are, by whole paths."""
        return xenstore.flat(self._tool.command(("xenstore-ls", "-f", "/local/domain")).out)

    @functools.cached_property
    def pools(self) -> list[Row]:
        """`xl cpupool-list`: name, scheduler, active, domains (how many), cpus (their numbers)."""
        numbers = host_tables.pool_cpus(self._tool.run("cpupool-list", "-c").out)
        return [{**row, "cpus": numbers.get(row["name"], [])} for row in host_tables.pools(self._tool.run("cpupool-list").out)]

    def schedulers(self) -> list[Row]:
        """Of each pool its scheduler's parameters, and those of its domains."""
        told: list[Row] = []
        for name in dict.fromkeys(str(pool["scheduler"]) for pool in self.pools):
            own = {pool["name"] for pool in self.pools if pool["scheduler"] == name}
            found = host_tables.schedulers(self._tool.run(SCHEDULERS[name]).out) if name in SCHEDULERS else []
            told += [{"scheduler": name, **one} for one in found if one["pool"] in own]
            told += [{"scheduler": name, "pool": pool, "parameters": {}, "domains": []} for pool in sorted(own) if name not in SCHEDULERS]
        return told

    def subtree(self, path: str) -> Row:
        """xenstore below a path, nested. Raises NotFound."""
        done = self._tool.command(("xenstore-ls", "-f", path), check=False)
        if done.status and "No such file or directory" in done.err:
            raise NotFound(f"There is no {path} in xenstore.")
        if done.status:
            done = self._tool.command(("xenstore-ls", "-f", path))
        found = {
            key: HIDDEN if value and key.rpartition("/")[2] in SECRETS else value for key, value in xenstore.flat(done.out, path).items()
        }
        return xenstore.tree(found, path)
