# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looking at a storage target while planning: completes what the task left out, refuses what can not be.

Nothing here changes anything: the questions are SR.probe and bulk reads.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ...client import Session
from ...errors import ApiError, InvalidChange, XenError
from ...formats.sizes import readable_size
from ...refs import Objects, Record
from . import probe
from .probe import Answer, Existing, Lun
from .types import Config, SrType, added, forward

# the driver does not say whether the server can be reached: no such driver, no such call, a licence, in use already
UNTOLD = {"SR_UNKNOWN_DRIVER", "SR_OPERATION_NOT_SUPPORTED", "SR_BACKEND_FAILURE_454", "SR_DEVICE_IN_USE", "SR_BACKEND_FAILURE_16"}
WAY = "Check its address, and that the host has an address that reaches it (xen_pif)."
SHARE = "Check location, smb_username and smb_password."
METADATA = {"metadata": "true"}  # LVM kinds then tell the names too (xcp-ng/sm: lvutil.py)


def listed(what: str, names: t.Iterable[str]) -> str:
    """One sentence of what there is to choose from."""
    found = [n for n in names if n]
    return f"{what}: {', '.join(found)}." if found else f"There are no {what[0].lower()}{what[1:]}."


class Target:
    """Where an SR of one type lies or is to lie, seen from one host.

    host: its reference; own: the SR that is there already (its reference), "" for one still to be made.
    """

    def __init__(self, session: Session, objects: Objects, row: SrType, host: str, own: str = ""):
        self.session, self.objects, self.row, self.host, self.own = session, objects, row, host, own

    def ask(self, config: Config, type_: str = "", host: str = "", sm_config: Config | None = None) -> Answer:
        return probe.ask(self.session, host or self.host, type_ or self.row.name, config, sm_config)

    # what the task left out -------------------------------------------------------
    def complete(self, config: Config) -> tuple[Config, list[Existing]]:
        """The whole device_config, and the SRs that lie there. Raises XenError in one sentence."""
        look = {"plain": self._plain, "nfs": self._nfs, "iscsi": self._iscsi, "hba": self._hba, "iso": self._iso}.get(self.row.ask)
        if look:
            return look(config)
        self._need(config)
        return config, []

    def look(self, config: Config) -> Answer:
        """As far as the keys go: what there is to choose from, or the SRs found."""
        if self.row.name == "iso" and config.get("location"):
            return self.ask(self._mounted(config)[1], self._mounted(config)[0])
        return self.ask(config)

    def _need(self, config: Config) -> None:
        missing = [k.option for k in self.row.required if not config.get(k.api)]
        if missing:
            raise InvalidChange(f"An SR of type {self.row.name} needs {' and '.join(missing)}.", hint="Add it to the task.")

    def _label(self, host: str = "") -> str:
        return self.objects.label("host", host or self.host)

    def _fail(self, sentence: str, error: ApiError, hint: str = "") -> t.NoReturn:
        if error.code == "RBAC_PERMISSION_DENIED":
            raise error  # says nothing of the target
        raise XenError(f"{sentence}: {probe.reason(error)}.", hint=hint, code=error.code, params=error.params) from error

    def _plain(self, config: Config) -> tuple[Config, list[Existing]]:
        self._need(config)
        self._refuse_used(config)
        try:
            found = self.ask(config).srs
        except ApiError as e:
            place = " ".join(config.get(k.api, "") for k in self.row.required) or "the target"
            self._fail(f"Host {self._label()!r} cannot use {place} for an SR of type {self.row.name}", e, hint=self._plain_hint())
        known = {record["type"] for record in self.objects.all("SM").values()}
        for other in (x for x in self.row.probe_as if x in known):
            try:
                found = [*found, *(replace(sr, type=other) for sr in self.ask(config, other).srs)]
            except ApiError:
                continue  # that driver sees nothing of its own there
        return config, found

    def _plain_hint(self) -> str:
        if any(key.option == "smb_username" for key in self.row.keys):
            return SHARE
        return f"Check {' and '.join(k.option for k in self.row.required)}." if self.row.required else ""

    def _nfs(self, config: Config) -> tuple[Config, list[Existing]]:
        server = config.get("server", "")
        if server and not config.get("serverpath"):
            raise InvalidChange("An SR of type nfs needs path.", hint=listed(f"Exports of {server}", self.exports(server)))
        self._need(config)
        try:
            return config, self.ask(config).srs
        except ApiError as e:
            self._refuse_path(server, config["serverpath"], e)
            self._fail(f"Host {self._label()!r} cannot mount {server}:{config['serverpath']}", e)

    def exports(self, server: str) -> list[str]:
        """Paths the server offers. Raises XenError when it does not answer."""
        try:
            return [x.path for x in self.ask({"server": server}, "nfs").exports]
        except ApiError as e:
            if e.code in probe.LISTING:
                return []  # it answers, but tells no list (NFS 4 only)
            self._fail(f"Host {self._label()!r} cannot reach the NFS server {server}", e, hint=WAY)

    def _refuse_path(self, server: str, path: str, error: ApiError | None = None) -> None:
        exports = self.exports(server)
        if exports and not any(f"{path.rstrip('/')}/".startswith(f"{x.rstrip('/')}/") for x in exports):
            raise InvalidChange(
                f"The NFS server {server} has no export {path}.",
                hint=listed("Its exports", exports),
                code=error.code if error else "",
                params=error.params if error else (),
            )

    def _mounted(self, config: Config) -> tuple[str, Config]:
        """An ISO library in the words of the driver that can be asked about its server; "" for a local directory."""
        location = forward(config.get("location", ""))
        kind = {**added(self.row, config), **config}.get("type")
        if kind == "cifs":
            keys = {"username": "username", "cifspassword": "password", "cifspassword_secret": "password_secret"}
            return "smb", {"server": location.replace("/", "\\"), **{to: config[of] for of, to in keys.items() if of in config}}
        server, colon, path = location.partition(":")
        return ("nfs", {"server": server, "serverpath": path}) if colon and kind != "cifs" else ("", {})

    def _iso(self, config: Config) -> tuple[Config, list[Existing]]:
        """No driver looks at what lies there: an ISO library is files, and nothing is written."""
        self._need(config)
        kind, asked = self._mounted(config)
        if kind == "nfs":
            self._refuse_path(asked["server"], asked["serverpath"])
        elif kind == "smb":
            self._mount_share(config["location"], asked)
        return {**config, **added(self.row, config)}, []

    def _mount_share(self, location: str, asked: Config) -> None:
        try:
            self.ask(asked, "smb")
        except ApiError as e:
            if e.code not in UNTOLD:
                self._fail(f"Host {self._label()!r} cannot mount {location}", e, hint=SHARE)

    # LUNs ---------------------------------------------------------------------------
    def _iscsi(self, config: Config) -> tuple[Config, list[Existing]]:
        if not config.get("target"):
            self._need({**config, "SCSIid": "found later"})
        base = {k: v for k, v in config.items() if k not in ("targetIQN", "SCSIid", "LUNid", "allocation")}
        try:
            iqns = [x.iqn for x in self.ask(base).iqns]
        except ApiError as e:
            self._fail(f"Host {self._label()!r} cannot reach the iSCSI target {config['target']}", e, hint=WAY)
        iqn = config.get("targetIQN", "")
        if iqn not in (*iqns, probe.ANY_IQN):
            what = f"The iSCSI target {config['target']} has no {iqn}." if iqn else f"An SR of type {self.row.name} needs iqn."
            raise InvalidChange(what, hint=listed("Its IQNs", iqns))
        if not self.row.key("SCSIid"):
            return config, []
        lun = self._lun(config, self._luns({**base, "targetIQN": iqn}))
        config = {**{k: v for k, v in config.items() if k != "LUNid"}, "SCSIid": lun.scsi_id}
        self._refuse_used(config)
        return config, self._srs(config)

    def _luns(self, config: Config, host: str = "") -> list[Lun]:
        try:
            return self.ask(config, host=host).luns
        except ApiError as e:
            self._fail(
                f"Host {self._label(host)!r} cannot see the LUNs of {config['targetIQN']} at {config['target']}",
                e,
                hint="Check chap_user and chap_password.",
            )

    @staticmethod
    def _lun(config: Config, luns: list[Lun]) -> Lun:
        """The LUN the task means by scsi_id or lun; with neither, the only one."""
        number, scsi_id = config.get("LUNid"), config.get("SCSIid")
        fitting = [x for x in luns if number in (None, str(x.lun)) and scsi_id in (None, x.scsi_id)]
        if len(fitting) == 1:
            return fitting[0]
        said = " and ".join(f"{option} {value}" for option, value in (("lun", number), ("scsi_id", scsi_id)) if value is not None)
        problem = f"has no LUN with {said}" if said and not fitting else f"has {len(fitting)} LUNs, the task does not say which"
        shown = listed("Its LUNs", [f"lun {x.lun} (scsi_id {x.scsi_id}, {readable_size(x.size)}, {x.vendor} {x.serial})" for x in luns])
        raise InvalidChange(f"{config['targetIQN']} at {config['target']} {problem}.", hint=f"{shown} Choose with lun or scsi_id.")

    def _hba(self, config: Config) -> tuple[Config, list[Existing]]:
        self._refuse_used(config)
        try:
            seen = self.ask({}).devices
        except ApiError as e:
            self._fail(f"Host {self._label()!r} cannot list the LUNs of its adapters", e)
        fitting = [d for d in seen if d.scsi_id == config.get("SCSIid", d.scsi_id)]
        if len({d.scsi_id for d in fitting}) != 1:
            problem = f"sees no LUN {config['SCSIid']}" if "SCSIid" in config else f"sees {len(seen)} LUNs, the task does not say which"
            shown = listed("Free LUNs", [f"scsi_id {d.scsi_id} ({d.size}, {d.vendor} {d.serial})" for d in seen])
            raise InvalidChange(f"Host {self._label()!r} {problem}.", hint=f"{shown} Choose with scsi_id.")
        config = {**config, "SCSIid": fitting[0].scsi_id}
        return config, self._srs(config)

    def _srs(self, config: Config) -> list[Existing]:
        """The SRs on a LUN, by name where the driver can tell it."""
        try:
            return self.ask(config, sm_config=METADATA).srs
        except ApiError:
            pass  # an SR from before there were names on the medium
        try:
            return self.ask(config).srs
        except ApiError as e:
            self._fail(f"Host {self._label()!r} cannot look at LUN {config['SCSIid']}", e)

    # who else ------------------------------------------------------------------------
    def _refuse_used(self, config: Config) -> None:
        for pbd in self.objects.all("PBD").values():
            if pbd["SR"] == self.own or not self._same_place(config, pbd):
                continue
            place = config.get("SCSIid") or config.get("device") or ""
            raise InvalidChange(
                f"{place} is used by SR {self.objects.label('SR', pbd['SR'])!r} of this pool already.", hint="Give another LUN or device."
            )

    def _same_place(self, config: Config, pbd: Record) -> bool:
        other = pbd["device_config"]
        if "SCSIid" in config:
            return bool(other.get("SCSIid") == config["SCSIid"])
        devices = set(config.get("device", "").split(",")) - {""}
        return pbd["host"] == self.host and bool(devices & set(other.get("device", "").split(",")))

    def unreachable(self, host: str, config: Config) -> str:
        """Why the host cannot reach the server; "" when it can, or when the driver has no way to tell."""
        try:
            if self.row.name in ("lvmoiscsi", "iscsi"):
                scsi_id = config.get("SCSIid")
                luns = self.ask({k: v for k, v in config.items() if k not in ("SCSIid", "allocation")}, host=host).luns
                unseen = scsi_id and not self.own and scsi_id not in {x.scsi_id for x in luns}  # some drivers hide LUNs that are in use
                return f"it does not see LUN {scsi_id}" if unseen else ""
            kind, asked = self._mounted(config) if self.row.name == "iso" else (self.row.name, config)
            if kind == "nfs":
                self.ask({"server": asked["server"]}, kind, host)
            elif kind in ("smb", "cephfs", "glusterfs", "moosefs"):
                self.ask(asked, kind, host)
        except ApiError as e:
            return "" if e.code in UNTOLD or e.code in probe.LISTING else probe.reason(e)
        return ""
