# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool of upgrade-lab with everything on that an upgrade sets aside."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.client import Session, is_read
from ansible_collections.domzero.xen.plugins.module_utils.transport import Endpoint
from ansible_collections.domzero.xen.plugins.module_utils.upgrade import journal
from ansible_collections.domzero.xen.plugins.modules.xen_upgrade import MODULE
from ansible_collections.domzero.xen.tests.simulator import upgrade_lab
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from ..conftest import carry_out, reach, validated

ISO = "debian-12.7.0-amd64-netinst.iso"
RUN = "tonight"


class Lab:
    """A simulator, and a session of the test's own to look and change with."""

    def __init__(self, *, ha: bool = True, special: bool = True) -> None:
        self.sim = InProcess(upgrade_lab.build("packages", special=special)).start()
        self.db = self.sim.world.pools[0].db
        self.login = carry_out("xen_session", reach(self.sim))["session"]
        self.session = Session.resume(self._endpoint(), self.login["ref"])
        self.ref = self.call("pool.get_all")[0]
        if ha:
            self.call("pool.enable_ha", [self.named("SR", "vms")], {"timeout": "60"})
            self.call("pool.set_ha_host_failures_to_tolerate", self.ref, 1)
        self.call("pool.add_to_other_config", self.ref, "auto_poweron", "true")
        self.call("pool.set_wlb_enabled", self.ref, True)
        self.before = self.state()

    def _endpoint(self) -> Endpoint:
        return Endpoint.parse(self.sim.hosts[0].url, fingerprints=tuple(h.fingerprint_sha256 for h in self.sim.hosts))

    def call(self, method: str, *params: t.Any) -> t.Any:
        return self.session.call(method, *params)

    def named(self, cls: str, name: str) -> str:
        return str(self.db.one(cls, name_label=name))

    def pool(self) -> dict[str, t.Any]:
        return dict(self.db.get("pool", self.ref))

    def drive(self, vm: str) -> tuple[str, dict[str, t.Any]]:
        ref = next(ref for ref in self.db.get("VM", self.named("VM", vm))["VBDs"] if self.db.get("VBD", ref)["type"] == "CD")
        return ref, dict(self.db.get("VBD", ref))

    def discs(self) -> dict[str, str]:
        """Of every drive what is in it."""
        return {ref: vbd["VDI"] for ref, vbd in self.db.all("VBD").items() if vbd["type"] == "CD"}

    def keys(self) -> list[str]:
        """Numbers of the journal's versions."""
        return [key for key in self.pool()["other_config"] if key.startswith(journal.PREFIX)]

    def note(self) -> journal.Note | None:
        return journal.of_pool(self.pool())

    def marks(self) -> list[str]:
        """Marks of ours, anywhere."""
        rows = (row for cls in ("VM", "VBD", "host", "pool") for row in self.db.all(cls).values())
        return [key for row in rows for key in row["other_config"] if key.startswith("domzero.xen:")]

    def state(self) -> dict[str, t.Any]:
        """What an upgrade sets aside."""
        pool = self.pool()
        statefiles = {self.db.get("VDI", ref)["SR"] for ref in pool["ha_statefiles"]}
        ha = (pool["ha_enabled"], statefiles, pool["ha_configuration"], pool["ha_host_failures_to_tolerate"])
        return {"ha": ha, "auto": pool["other_config"].get("auto_poweron"), "wlb": pool["wlb_enabled"], "discs": self.discs()}

    def hide(self, sr: str, host: str) -> None:
        """The SR is not attached on that host."""
        where = self.db.one("host", name_label=host)
        self.call("PBD.unplug", next(ref for ref, pbd in self.db.all("PBD").items() if (pbd["SR"], pbd["host"]) == (sr, where)))

    def login_again(self) -> dict[str, t.Any]:
        """Another session, as another control node has it."""
        return dict(carry_out("xen_session", reach(self.sim))["session"])

    def task(self, state: str, *, login: t.Any = None, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        """A task of xen_upgrade in the session of this lab."""
        handed = {"session": login or self.login}
        return carry_out("xen_upgrade", {**handed, "state": state, **options}, check=check)

    def stop(self) -> None:
        self.sim.stop()


def until(ready: t.Callable[[], bool]) -> None:
    """In the simulator."""
    end = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.02)


class Killed(BaseException):
    """The control node died."""


class Mortal(Session):
    """A run that dies at its n-th changing call, before it got out or after it took effect, and does nothing more."""

    def __init__(self, lab: Lab, nth: int, *, after: bool) -> None:
        super().__init__(lab.session.endpoint)
        self.log_in(lab.sim.username, lab.sim.password)
        self.left, self.after = nth, after

    def call(self, method: str, *params: t.Any, **more: t.Any) -> t.Any:
        if self.left <= 0:
            raise Killed
        if is_read(method) or method.startswith(("task.", "session.")):
            return super().call(method, *params, **more)
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed
        answer = super().call(method, *params, **more)
        if self.left == 0:
            raise Killed
        return answer


def dies(lab: Lab, state: str, nth: int, *, after: bool, **options: t.Any) -> bool:
    """Whether the task died there; False: it had ended before."""
    session = Mortal(lab, nth, after=after)
    handed = {"session": {**lab.login, "ref": session.handle}}
    try:
        MODULE.run(session, validated(MODULE, {**handed, "state": state, **options}), False)
    except Killed:
        return True
    return False
