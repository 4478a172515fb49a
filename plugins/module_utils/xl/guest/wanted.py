# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of a guest's system, checked before anything is looked at."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ...errors import InvalidChange
from .texts import Interface, checked

METHODS = ("debootstrap", "tarball", "image", "xen_tools", "installer")
NEEDS = {"debootstrap": "suite", "tarball": "tarball", "image": "image", "xen_tools": "suite", "installer": "suite"}
KERNELS = ("dom0", "guest", "grub", "none")
NAME = r"[A-Za-z0-9][A-Za-z0-9_.+-]*"
LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"


@dataclass(frozen=True)
class Data:
    """A further volume: its path on Dom0, as which device the guest has it, where it is mounted."""

    path: str
    device: str
    mount: str = ""
    filesystem: str = "ext4"
    options: str = "defaults"


@dataclass(frozen=True)
class Order:
    """One guest's system. The options of xl_guest_os tell what the attributes mean."""

    name: str
    path: str
    method: str
    filesystem: str = "ext4"
    partitioned: bool = False
    root_partition: int = 0
    overwrite: bool = False
    device: str = "xvda"
    size: int = 0
    source: dict[str, t.Any] = field(default_factory=dict)
    kernel: str = "dom0"
    modules: bool = True
    arguments: str = ""
    hostname: str = ""
    domain: str = ""
    interfaces: tuple[Interface, ...] = ()
    nameservers: tuple[str, ...] = ()
    network_style: str = "auto"
    authorized_keys: tuple[str, ...] = ()
    root_password_hash: str = ""
    timezone: str = ""
    packages: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    swap: Data | None = None
    data: tuple[Data, ...] = ()
    configure: bool = True

    @property
    def part(self) -> int:
        """The number of the partition that holds the root, 0 if the volume itself does."""
        return self.root_partition or (1 if self.partitioned else 0)

    @property
    def root_device(self) -> str:
        return f"/dev/{self.device}{self.part or ''}"


def order(params: t.Mapping[str, t.Any], sizes: t.Callable[[t.Any], int]) -> Order:
    """Raises InvalidChange for what cannot be, whatever there is on Dom0. None means the default."""
    given = {key: value for key, value in params.items() if value is not None and key in Order.__dataclass_fields__}
    source = {key: params.get(key) for key in SOURCES if params.get(key) is not None}
    given["source"] = source
    given["size"] = sizes(given["size"]) if given.get("size") else 0
    given["interfaces"] = tuple(
        checked(Interface(**{k: v for k, v in row.items() if v is not None})) for row in given.get("interfaces", ())
    )
    for key in ("nameservers", "authorized_keys", "packages", "commands"):
        given[key] = tuple(given.get(key, ()))
    given["swap"] = Data(given["swap"]["path"], given["swap"]["device"], filesystem="swap") if given.get("swap") else None
    given["data"] = tuple(Data(**{k: v for k, v in row.items() if v is not None}) for row in given.get("data", ()))
    return valid(Order(**given))


SOURCES = (
    "suite", "mirror", "variant", "components", "include", "keyring", "check_gpg", "debootstrap_options", "tarball", "image", "sha256",
    "xen_tools_options", "preseed", "installer_kernel", "installer_ramdisk",
)  # fmt: skip


def valid(asked: Order) -> Order:
    if not re.fullmatch(NAME, asked.name):
        raise InvalidChange(f"{asked.name!r} cannot be the name of a domain.", hint="Letters, digits and . _ + - make one.")
    hostname = asked.hostname or asked.name
    if not re.fullmatch(LABEL, hostname):
        raise InvalidChange(
            f"Guest {asked.name}: {hostname!r} cannot be a host name.", hint="Letters, digits and - make one; the rest is the domain."
        )
    need = NEEDS.get(asked.method, "")
    if need and need not in asked.source:
        raise InvalidChange(f"Guest {asked.name}: the method {asked.method} needs {need}.")
    if asked.partitioned and asked.filesystem != "ext4":
        raise InvalidChange(
            f"Guest {asked.name}: a partitioned root gets ext4, not {asked.filesystem}.", hint="Leave partitioned out, pygrub needs none."
        )
    if asked.authorized_keys and not all(re.match(r"\S+ ", key + " ") and "\n" not in key.strip() for key in asked.authorized_keys):
        raise InvalidChange(f"Guest {asked.name}: an authorized key is one line, as in a .pub file.")
    if (
        ":" in asked.root_password_hash
        or "\n" in asked.root_password_hash
        or (asked.root_password_hash and asked.root_password_hash[0] not in "$*!")
    ):
        raise InvalidChange(
            f"Guest {asked.name}: root_password_hash is not the hash of a password.", hint="password_hash('sha512') makes one."
        )
    places = [row.mount for row in asked.data if row.mount]
    for place in places:
        if not place.startswith("/") or place == "/" or places.count(place) > 1:
            raise InvalidChange(f"Guest {asked.name}: data volumes are mounted at paths of their own, not at {place!r}.")
    return asked
