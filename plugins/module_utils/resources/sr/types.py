# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The SR types, one row each: which options they have, and which keys of PBD.device_config those are.

A new type is a row in TYPES. A new option is a Key in it, and its lines in the documentation (doc_fragments/sr.py).
Keys, defaults and what is shared: the drivers of xapi-project/sm (libs/sm/drivers) and xcp-ng/sm (drivers).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ...fields import text_map

Config = dict[str, str]
Wish = dict[str, "str | None"]  # None removes a key
Choices = tuple[str, ...]
# keys that drivers write into device_config themselves; no task asks for them
DRIVER_KEYS = {"SRmaster", "multiSession", "multihomelist", "targetlist", "probeversion"}
# keys that drivers write into SR.sm_config themselves
DRIVER_SM_KEYS = {
    "allocation",
    "use_vhd",
    "devserial",
    "multipathable",
    "iso_type",
    "provisioning",
    "disktype",
    "datatype",
    "target",
    "targetIQN",
}


@dataclass(frozen=True)
class Key:
    """A key of device_config as an option. default: what the driver takes where the key is missing."""

    api: str
    option: str
    type: str = "str"
    required: bool = False
    default: t.Any = None
    choices: Choices = ()

    @property
    def secret(self) -> bool:
        """xapi keeps it as a Secret object, the key is then <key>_secret (xen-api: ocaml/xapi/xapi_secret.ml)."""
        return self.api.endswith("password")

    def argument(self) -> dict[str, t.Any]:
        spec: dict[str, t.Any] = {"type": self.type}
        return {**spec, **({"choices": list(self.choices)} if self.choices else {}), **({"no_log": True} if self.secret else {})}

    def encode(self, value: t.Any) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    def decode(self, text: str) -> t.Any:
        if self.type == "bool":
            return text.lower() == "true"
        if self.type == "int" and text.isdigit():
            return int(text)
        return forward(text) if self.option == "location" else text


class Share(Key):
    r"""An SMB share: written //server/share, kept \\server\share."""

    def encode(self, value: t.Any) -> str:
        return str(value).replace("/", "\\")


def forward(location: str) -> str:
    """The one spelling of a place: //server/share for an SMB share."""
    return location.replace("\\", "/") if location.startswith("\\\\") else location


@dataclass(frozen=True)
class SrType:
    """A row.

    place: "whole" when the SR takes a device or LUN as a whole, so that creating it destroys what was there; "folder" when
    each SR has its own folder there; "" when creating writes nothing over anything.
    ask: how the target is asked while planning, a function of target.py; probe_as: further types whose SRs can lie on the
    same device; also: older names of the type; known: False for somebody else's driver, of which nothing is known.
    """

    name: str
    keys: tuple[Key, ...] = ()
    shared: bool = True
    content_type: str = "user"
    place: str = ""
    ask: str = ""
    probe_as: Choices = ()
    also: Choices = ()
    known: bool = True

    def key(self, api: str) -> Key | None:
        return next((k for k in self.keys if k.api == api), None)

    @property
    def required(self) -> list[Key]:
        return [k for k in self.keys if k.required]

    @property
    def options(self) -> set[str]:
        """What a task may say of an SR of the type. lun is no key: it tells whose SCSI id is meant when the SR is created."""
        lun = {"lun"} if self.ask == "iscsi" and self.key("SCSIid") else set()
        return {k.option for k in self.keys} | {"device_config"} | lun


def _disk(name: str, *more: Key, **row: t.Any) -> SrType:
    """On a disk of one host."""
    device = Key("device", "device", required=True)
    others = tuple(x for x in ("ext", "lvm", "xfs", "largeblock") if x != name)
    return SrType(name, (device, *more), shared=False, place="whole", ask="plain", probe_as=others, **row)


def _directory(name: str) -> SrType:
    return SrType(name, (Key("location", "location", required=True),), shared=False)


ALLOCATION = Key("allocation", "allocation", choices=("thick", "thin"), default="thick")
OPTIONS = Key("options", "options")
NFS_VERSION = Key("nfsversion", "nfs_version", choices=("3", "4", "4.0", "4.1"), default="3")
SCSI_ID = Key("SCSIid", "scsi_id", required=True)
ISCSI = (
    Key("target", "target", required=True),
    Key("targetIQN", "iqn", required=True),
    Key("port", "port", "int", default=3260),
    Key("chapuser", "chap_user"),
    Key("chappassword", "chap_password"),
    Key("incoming_chapuser", "incoming_chap_user"),
    Key("incoming_chappassword", "incoming_chap_password"),
    Key("multihomed", "multihomed", "bool", default=False),
    Key("localIQN", "local_iqn"),
)
SERVER = Key("server", "server", required=True)
PATH = Key("serverpath", "path", required=True)

TYPES: tuple[SrType, ...] = (
    _disk("ext"),
    _disk("lvm", ALLOCATION, also=("lvhd",)),
    _disk("xfs"),
    _disk("largeblock"),
    SrType("lvmoiscsi", (*ISCSI, SCSI_ID, ALLOCATION), place="whole", ask="iscsi", also=("lvhdoiscsi",)),
    SrType("lvmohba", (SCSI_ID, ALLOCATION), place="whole", ask="hba", also=("lvhdohba",)),
    SrType("lvmofcoe", (SCSI_ID, ALLOCATION), place="whole", ask="hba", also=("lvhdofcoe",)),
    SrType("nfs", (SERVER, PATH, NFS_VERSION, OPTIONS, Key("useUDP", "udp", "bool", default=False)), place="folder", ask="nfs"),
    SrType(
        "iso",
        (
            Key("location", "location", required=True),
            NFS_VERSION,
            OPTIONS,
            Key("username", "smb_username"),
            Key("cifspassword", "smb_password"),
            Key("vers", "smb_version", choices=("1.0", "3.0"), default="3.0"),
            Key("iso_path", "iso_path"),
        ),
        content_type="iso",
        ask="iso",
    ),
    SrType(
        "smb",
        (Share("server", "location", required=True), Key("username", "smb_username"), Key("password", "smb_password")),
        place="folder",
        ask="plain",
    ),
    SrType("cephfs", (SERVER, PATH, Key("serverport", "port", "int"), OPTIONS), place="folder", ask="plain"),
    SrType(
        "glusterfs",
        (SERVER, Key("backupservers", "backup_servers"), Key("fetchattempts", "fetch_attempts", "int")),
        place="folder",
        ask="plain",
    ),
    SrType(
        "moosefs",
        (
            Key("masterhost", "server", required=True),
            Key("rootpath", "path", required=True),
            Key("masterport", "port", "int"),
            OPTIONS,
        ),
        place="folder",
        ask="plain",
    ),
    SrType(
        "linstor",
        (
            Key("group-name", "group_name", required=True),
            Key("redundancy", "redundancy", "int", required=True),
            Key("provisioning", "provisioning", choices=("thin", "thick"), default="thin"),
            Key("monitor-db-quorum", "monitor_db_quorum", "bool"),
        ),
    ),
    SrType("iscsi", ISCSI, ask="iscsi"),
    SrType("hba"),
    _directory("file"),
    _directory("shm"),
    _directory("zfs"),
    SrType("udev", (Key("location", "location", required=True),), shared=False, content_type="disk"),
    SrType("dummy", shared=False),
)
_BY_NAME = {name: row for row in TYPES for name in (row.name, *row.also)}


def of_name(name: str) -> SrType:
    """The row of a type; one of no row (a driver of somebody else's) has device_config only."""
    return _BY_NAME.get(name) or SrType(name, shared=False, place="whole", ask="plain", known=False)


def arguments() -> dict[str, dict[str, t.Any]]:
    """The options of all types. Two types that share an option describe it alike, apart from what may be chosen."""
    spec: dict[str, dict[str, t.Any]] = {}
    for key in (k for row in TYPES for k in row.keys):
        spec.setdefault(key.option, key.argument())
    return {**spec, "device_config": {"type": "dict"}}


def added(row: SrType, config: Config) -> Config:
    """Keys that follow from others and that no option is needed for: how an ISO library is mounted (xcp-ng/sm: ISOSR.py)."""
    location = config.get("location", "")
    if row.name != "iso" or "type" in config or "legacy_mode" in config:
        return {}
    if forward(location).startswith("//"):
        return {"type": "cifs"}
    return {"legacy_mode": "true"} if location.startswith("/") else {"type": "nfs_iso"}


def wanted(row: SrType, params: t.Mapping[str, t.Any]) -> Wish:
    """The keys of device_config that a task names, secrets in plain text among them."""
    config = {k.api: k.encode(params[k.option]) for k in row.keys if params.get(k.option) is not None}
    return {**config, **text_map(params.get("device_config") or {})}


def merged(config: t.Mapping[str, str], want: Wish) -> Config:
    """A device_config with the task's words laid over it."""
    return {k: v for k, v in {**config, **want}.items() if v is not None}


def is_secret(api: str) -> bool:
    return api.endswith(("password", "password_secret"))


def described(row: SrType, config: t.Mapping[str, str]) -> dict[str, t.Any]:
    """A device_config in the words of the options; no secrets, no defaults, nothing that drivers keep there for themselves."""
    plain = {k: v for k, v in config.items() if not is_secret(k) and k not in DRIVER_KEYS}
    known = {k.api: k for k in row.keys}
    values = {known[api]: known[api].decode(text) for api, text in plain.items() if api in known}
    # drivers write some defaults down and others not
    told = {key.option: value for key, value in values.items() if value != key.default}
    derived = added(row, {k: v for k, v in plain.items() if k not in ("type", "legacy_mode")})
    rest = {k: v for k, v in plain.items() if k not in known and derived.get(k) != v}
    return {**told, **({"device_config": rest} if rest else {})}


def differs(row: SrType, config: t.Mapping[str, str], want: Wish) -> list[str]:
    """Options by whose value a PBD is not as the task wants it; of a secret it can only be seen whether there is one."""
    options: list[str] = []
    for api, text in want.items():
        key = row.key(api) or Key(api, f"device_config[{api}]")
        if is_secret(api):
            if text is not None and not {api, f"{api}_secret"} & set(config):
                options.append(key.option)
            continue
        have = key.decode(config[api]) if api in config else key.default
        if have != (key.default if text is None else key.decode(text)):
            options.append(key.option)
    return options
