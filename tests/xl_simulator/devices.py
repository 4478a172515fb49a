# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and NICs as they are written, as libxl keeps them, and as xenstore and the lists show them."""

from __future__ import annotations

import re
import typing as t

from .errors import Failed, NotSimulated

Json = dict[str, t.Any]
POSITIONS = ("target", "format", "vdev", "access")
FORMATS = {"raw": "raw", "qcow": "qcow", "qcow2": "qcow2", "vhd": "vhd", "qed": "qed", "empty": "empty"}
WRITABLE = {"r": 0, "ro": 0, "w": 1, "rw": 1}
FLAGS = {"cdrom": "is_cdrom", "direct-io-safe": "direct_io_safe"}


def disk(text: str, where: str) -> Json:
    """xl-disk-configuration(5). Raises Failed as libxlu_disk does."""
    rest = text.strip()
    words: Json = {}
    position = 0
    for prefix, format_ in (
        ("phy:", "raw"),
        ("file:", "raw"),
        ("tap:qcow2:", "qcow2"),
        ("tap:aio:", "raw"),
        ("vhd:", "vhd"),
        ("qcow2:", "qcow2"),
    ):
        if rest.startswith(prefix):  # the old form: TARGET,VDEV,ACCESS
            words["format"] = format_
            rest = rest[len(prefix) :]
            parts = [part.strip() for part in rest.split(",")]
            words["target"] = parts.pop(0)
            rest = ",".join(parts)
            position = 2
            break
    for part in [part.strip() for part in rest.split(",")] if rest else []:
        key, equals, value = part.partition("=")
        if equals and key == "target":
            words["target"] = rest[rest.index("target=") + len("target=") :]
            break
        if equals and re.fullmatch("[a-z-]+", key):
            words[key] = value
        elif part in FLAGS or part in ("discard", "no-discard", "colo"):
            words[part] = True
        elif position < len(POSITIONS):
            if part:
                words[POSITIONS[position]] = part
            position += 1
        else:
            raise NotSimulated(f"disk {text}")
    if "vdev" in words and words["vdev"].endswith(":cdrom"):
        words["vdev"], words["cdrom"] = words["vdev"][: -len(":cdrom")], True
    if words.get("devtype") == "cdrom":
        words["cdrom"] = True
    if "vdev" not in words:
        raise Failed(1, f"{where}: config parsing error in disk specification: no vdev specified in `{text}'")
    return kept_disk(words, where, text)


def kept_disk(words: Json, where: str, text: str) -> Json:
    format_ = words.get("format", "raw")
    access = words.get("access", "r" if words.get("cdrom") else "rw")
    if format_ not in FORMATS:
        raise Failed(1, f"{where}: config parsing error in disk specification: unknown value for format: near `{format_}' in `{text}'")
    if access not in WRITABLE:
        raise Failed(1, f"{where}: config parsing error in disk specification: unknown value for access: near `{access}' in `{text}'")
    if words.get("cdrom") and not words.get("target"):
        format_ = "empty"
    kept: Json = {"backend_domname": words.get("backend"), "pdev_path": words.get("target"), "vdev": words["vdev"]}
    kept |= {"backend": {"phy": "phy", "tap": "tap", "qdisk": "qdisk"}.get(words.get("backendtype", "")), "format": FORMATS[format_]}
    kept |= {"script": words.get("script"), "removable": 1 if words.get("cdrom") else None, "readwrite": WRITABLE[access] or None}
    kept |= {"is_cdrom": 1 if words.get("cdrom") else None, "direct_io_safe": True if words.get("direct-io-safe") else None}
    kept |= {"discard_enable": "True" if words.get("discard") else "False" if words.get("no-discard") else None}
    return {key: value for key, value in kept.items() if value is not None}


NIC_KEYS = {
    "mac": "mac", "bridge": "bridge", "vifname": "ifname", "script": "script", "type": "nictype", "model": "model", "ip": "ip",
    "backend": "backend_domname", "devid": "devid", "mtu": "mtu", "gatewaydev": "gatewaydev", "rate": "rate",
}  # fmt: skip
NIC_ORDER = (
    "backend_domname",
    "devid",
    "mtu",
    "model",
    "mac",
    "ip",
    "bridge",
    "ifname",
    "script",
    "nictype",
    "rate_bytes_per_interval",
    "rate_interval_usecs",
    "gatewaydev",
)


def nic(text: str, devid: int, warnings: list[str]) -> Json:
    """xl-network-configuration(5). What is wrong in it is only complained about, as xl does."""
    found: Json = {"devid": devid}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, _equals, value = part.partition("=")
        if key not in NIC_KEYS:
            warnings.append(f"unrecognized argument `{part}'")
        elif key == "mac" and not re.fullmatch(r"([0-9a-fA-F]{1,2}:){5}[0-9a-fA-F]{1,2}", value):
            warnings.append("Invalid parameter `mac'.")
        elif key == "rate":
            found |= rate(value)
        else:
            if key in ("devid", "mtu") and not value.isdigit():
                raise Failed(1, *warnings, f'xl: failed to convert "{value}" to number')
            found[NIC_KEYS[key]] = int(value) if key in ("devid", "mtu") else "vif_ioemu" if value == "ioemu" else value
    return {key: found[key] for key in NIC_ORDER if key in found}


def rate(text: str) -> Json:
    """10Mb/s, 250KB/s@20ms (xlu_vif_parse_rate)."""
    match = re.fullmatch(r"(\d+)([KMG]?)([bB])/s(?:@(\d+)(us|ms|s))?", text)
    if not match:
        raise NotSimulated(f"rate {text}")
    interval = int(match[4] or 50) * {"us": 1, "ms": 1000, "s": 1000000}[match[5] or "ms"]
    bytes_a_second = int(match[1]) * 1000 ** " KMG".index(match[2] or " ") // (8 if match[3] == "b" else 1)
    return {"rate_bytes_per_interval": bytes_a_second * interval // 1000000, "rate_interval_usecs": interval}


def vdev_number(vdev: str) -> int:
    """libxl__device_disk_dev_number (tools/libs/light/libxl_device.c)."""
    match = re.fullmatch(r"xvd([a-z]{1,2})(\d*)", vdev)
    if match:
        index = 0
        for letter in match.group(1):
            index = index * 26 + ord(letter) - 96
        index -= 1
        part = int(match.group(2) or 0)
        return (202 << 8) | (index << 4) | part if index <= 15 and part <= 15 else (1 << 28) | (index << 8) | part
    match = re.fullmatch(r"hd([a-d])(\d*)", vdev)
    if match:
        index, part = ord(match.group(1)) - 97, int(match.group(2) or 0)
        return ((3 if index < 2 else 22) << 8) | ((index & 1) << 6) | part
    match = re.fullmatch(r"sd([a-p])(\d*)", vdev)
    if match:
        return (8 << 8) | ((ord(match.group(1)) - 97) << 4) | int(match.group(2) or 0)
    raise NotSimulated(f"vdev {vdev}")


BLOCK_HEADER = "Vdev  BE  handle state evt-ch ring-ref BE-path                       "
NIC_HEADER = "Idx BE Mac Addr.         handle state evt-ch   tx-/rx-ring-ref BE-path                       "


def block_line(domid: int, number: int, place: int, state: int) -> str:
    return f"{number:<5} {0:<3} {domid:<6} {state:<5} {9 + 3 * place:<6} {8 + 516 * place:<8} /local/domain/0/backend/vbd/{domid}/{number}"


def nic_line(domid: int, found: Json, place: int, state: int) -> str:
    devid = found["devid"]
    path = f"/local/domain/0/backend/vif/{domid}/{devid}"
    return f"{devid:<3} {0:<2} {found['mac']:<17} {devid:>5} {state:>5} {-1:>6} {522 + 514 * place:>5}/{523 + 514 * place:<11} {path:<30}"
