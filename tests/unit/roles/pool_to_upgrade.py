# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site upgrade-lab and playbooks/pool_upgrade.yml on it; what is to be so when an upgrade has ended."""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path

import XenAPI

from ansible_collections.domzero.xen.tests.simulator import upgrade_lab
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from .conftest import Ran, Site, Variables

PLAYBOOK = "pool_upgrade"
OF_OURS = "domzero.xen:"


class PoolToUpgrade(Site):
    """kind: of its updates (upgrade_lab.RELEASES); special: with the VMs that cannot simply move; protected: with high availability on."""

    def __init__(
        self, folder: Path, kind: str = "packages", *, special: bool = False, protected: bool = False, variables: Variables | None = None
    ):
        self.kind, self.special = kind, special
        super().__init__("upgrade-lab", folder, variables)
        with self.session() as api:
            if protected:
                protect(api)
            if kind == "repository":
                repository = api.Repository.introduce("normal", "", upgrade_lab.REPOSITORY, "", True, "")
                api.pool.set_repositories(api.pool.get_all()[0], [repository])
        self.before, self.homes, self.settings_before = self.power_states(), self.on(), self.settings()
        self.mark = len(self.sim.calls())

    @contextlib.contextmanager
    def session(self) -> t.Iterator[t.Any]:
        """XenAPI as any client has it."""
        session = XenAPI.Session(self.sim.hosts[0].url, ignore_ssl=True)
        session.xenapi.login_with_password("root", "xapi-test")
        yield session.xenapi
        session.xenapi.session.logout()

    def simulated(self, name: str) -> InProcess:
        return InProcess(upgrade_lab.build(self.kind, special=self.special)).start()

    def known(self) -> Variables:
        coordinator = self.sim.hosts[0]
        return {
            "pool_upgrade_hostname": coordinator.url,
            "pool_upgrade_password": "xapi-test",
            "pool_upgrade_fingerprint": [host.fingerprint_sha256 for host in self.sim.hosts],
            "pool_upgrade_takeover_after": 0.3,
            "pool_upgrade_retry_delay": 0,
        }

    def inventory(self) -> Path:
        (self.folder / "hosts.ini").write_text("[xen_pools]\nlab ansible_connection=local\n")
        return self.folder / "hosts.ini"

    def upgrade(self, *arguments: str, **variables: t.Any) -> Ran:
        return self.run(PLAYBOOK, *arguments, **variables)

    def changes(self) -> list[str]:
        """The changing calls since the beginning."""
        return [call["method"] for call in self.sim.calls()[self.mark :]]

    # what there is -------------------------------------------------------------------------------
    @property
    def db(self) -> t.Any:
        (pool,) = self.sim.world.pools
        return pool.db

    def records(self, cls: str) -> dict[str, Variables]:
        with self.sim.world.lock:
            return {row.get("name_label") or ref: dict(row) for ref, row in self.db.all(cls).items()}

    def power_states(self) -> dict[str, str]:
        return {name: vm["power_state"] for name, vm in self.records("VM").items() if not (vm["is_control_domain"] or vm["is_a_template"])}

    def versions(self, key: str = "xen") -> set[str]:
        return {host["software_version"][key] for host in self.records("host").values()}

    def on(self) -> dict[str, str]:
        """The host of each VM that runs."""
        with self.sim.world.lock:
            hosts = {ref: host["name_label"] for ref, host in self.db.all("host").items()}
        rows = self.records("VM").items()
        return {name: hosts[vm["resident_on"]] for name, vm in rows if vm["resident_on"] in hosts and not vm["is_control_domain"]}

    def settings(self) -> Variables:
        """What an upgrade sets aside, and what it has to leave as it was."""
        pools, discs, vms = self.records("pool"), self.records("VBD"), self.records("VM")
        vdis = {ref: row["uuid"] for ref, row in self.db.all("VDI").items()}
        fields = ("ha_enabled", "ha_host_failures_to_tolerate", "wlb_enabled")
        return {
            "pool": [{field: pool[field] for field in fields} | {"other_config": ours_left_out(pool)} for pool in pools.values()],
            "heartbeat": [len(pool["ha_statefiles"]) for pool in pools.values()],
            "discs": {ref: (row["empty"], vdis.get(row["VDI"])) for ref, row in discs.items() if row["type"] == "CD"},
            "vms": {name: (ours_left_out(vm), vm["blocked_operations"], vm["ha_restart_priority"]) for name, vm in vms.items()},
        }

    def left_behind(self) -> list[str]:
        """Marks of ours that are still on some object, and hosts that take no guests."""
        classes = ("pool", "host", "VM", "VBD", "VDI")
        marks = [f"{cls} {name}: {key}" for cls in classes for name, row in self.records(cls).items()
                 for key in row["other_config"] if key.startswith(OF_OURS)]  # fmt: skip
        return marks + [f"host {name} is disabled" for name, host in self.records("host").items() if not host["enabled"]]


def protect(api: t.Any) -> None:
    """High availability and automatic power-on are on, and a VM is to be restarted."""
    (pool,), (db,) = api.pool.get_all(), api.VM.get_by_name_label("db")
    api.pool.add_to_other_config(pool, "auto_poweron", "true")
    api.pool.enable_ha(api.SR.get_by_name_label("vms"), {})
    api.VM.set_ha_restart_priority(db, "restart")
    api.pool.set_ha_host_failures_to_tolerate(pool, "1")


def ours_left_out(record: Variables) -> Variables:
    return {key: value for key, value in record["other_config"].items() if not key.startswith(OF_OURS)}
