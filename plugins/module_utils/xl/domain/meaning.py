# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a configuration means: the JSON of `xl create -n` (of a file) and of `xl list -l` (of what runs), which have one form.

libxl keeps of a domain the configuration it was created with, and brings up to date what was changed since (memory, vCPUs that are
online, scheduler, devices); see libxl_retrieve_domain_configuration in tools/libs/light/libxl_domain.c of Xen.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import devices
from .options import Option
from .table import TABLE

Config = t.Mapping[str, t.Any]
# Told of what runs, or of every file, and no setting of the file.
NOISE = frozenset(
    (
        *(
            "c_info/domid",
            "c_info/run_hotplug_scripts",
            "c_info/poolid",
            "c_info/ssidref",
            "b_info/claim_mode",
            "b_info/sched_params/sched",
        ),
        *("b_info/cpumap", "b_info/nodemap", "b_info/numa_placement", "b_info/exec_ssidref", "b_info/device_model_ssidref"),
        *("b_info/iommu_memkb", "b_info/type.hvm/ms_vm_genid/bytes", "b_info/type.hvm/ms_vm_genid"),
    )
)
# What a domain has without having been told; a key that is not in the file is compared with it.
DEFAULTS: dict[str, t.Any] = {
    "b_info/max_vcpus": 1,
    "b_info/avail_vcpus": [0],
    "b_info/sched_params/weight": 256,
    "b_info/sched_params/cap": 0,
    "c_info/pool_name": "Pool-0",
    "on_poweroff": "destroy",
    "on_watchdog": "destroy",
    "on_crash": "destroy",
}
ACTIONS = {"restart_rename": "rename-restart"}
DEVICES = frozenset({"disks", "nics"})
# Chosen by Xen where the file says nothing.
FILLED = ("c_info/uuid", "b_info/video_memkb", "b_info/shadow_memkb", "b_info/vcpu_hard_affinity", "b_info/vcpu_soft_affinity")
OWNERS: dict[str, tuple[str, ...]] = {}
for _option in TABLE:
    OWNERS[_option.path] = (*OWNERS.get(_option.path, ()), _option.name)
# where a key is told in another place too
for _path, _also in {
    "c_info/name": ("name",), "b_info/exec_ssid_label": ("seclabel",), "b_info/type.hvm/viridian_enable": ("viridian",),
    "b_info/type.hvm/viridian_disable": ("viridian",), "b_info/type.hvm/serial_list": ("serial",),
    "b_info/type.hvm/usbdevice_list": ("usbdevice",), "b_info/type.hvm/gfx_passthru_kind": ("gfx_passthru",),
}.items():  # fmt: skip
    OWNERS[_path] = _also
OWNERS["b_info/type.hvm/bios"] = ("bios", "firmware")
OWNERS["b_info/kernel"] = ("kernel", "firmware")
# what there is at most follows what there is, where the file does not say
OWNERS["b_info/max_memkb"] = ("maxmem", "memory")
OWNERS["b_info/max_vcpus"] = ("maxvcpus", "vcpus")


@dataclasses.dataclass(frozen=True)
class Difference:
    """Attributes: path, options (whose doing it is; empty where no option is known for it), wanted, running (None: not there)."""

    path: str
    options: tuple[str, ...]
    wanted: t.Any
    running: t.Any


def plain(value: t.Any) -> t.Any:
    """libxl tells its three-valued booleans as strings."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    return {"True": True, "False": False}.get(value, value) if isinstance(value, str) else value


def flat(config: Config, prefix: str = "") -> dict[str, t.Any]:
    """Values by their path; lists are values, empty groups nothing."""
    result: dict[str, t.Any] = {}
    for key, value in config.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict):
            result.update(flat(value, f"{path}/"))
        elif path not in DEVICES:
            result[path] = plain(value)
    return result


def at(config: Config, path: str) -> t.Any:
    """The value there, or what stands for none."""
    return flat(config).get(path, DEFAULTS.get(path))


def owners(path: str) -> tuple[str, ...]:
    """The options that make a value."""
    while path:
        if path in OWNERS:
            return OWNERS[path]
        path = path.rpartition("/")[0]
    return ()


def differences(wanted: Config, running: Config, managed: t.Container[str], everything: bool) -> list[Difference]:
    """Where what runs is not what the file means, of the options in `managed` (of all with `everything`)."""
    here, there = flat(wanted), flat(running)
    result = []
    for path in sorted({*here, *there} - NOISE):
        mine = owners(path)
        if not (everything or any(name in managed for name in mine)):
            continue
        if path not in here and (path in FILLED or path.startswith("b_info/arch_")):
            continue
        one, other = here.get(path, DEFAULTS.get(path)), there.get(path, DEFAULTS.get(path))
        if not covers(one, other) and (one or other):  # nothing, False and 0 are one
            result.append(Difference(path, mine, one, other))
    return result


def covers(wanted: t.Any, running: t.Any) -> bool:
    """Whether what runs is what is wanted; of devices more may be known than the file says."""
    if isinstance(wanted, dict) and isinstance(running, dict):
        return all(covers(value, running.get(key)) for key, value in wanted.items() if key != "devid")
    if isinstance(wanted, list) and isinstance(running, list):
        return len(wanted) == len(running) and all(map(covers, wanted, running))
    return bool(plain(wanted) == plain(running))


def running_options(config: Config) -> dict[str, t.Any]:
    """What runs in the vocabulary of the module, as far as it can be said."""
    values = flat(config)
    result: dict[str, t.Any] = {"name": values.get("c_info/name")}
    for option in TABLE:
        if option.path in values and option.name in told_of(option, values):
            result[option.name] = of_json(option, values[option.path])
    for key, json in (("disk", "disks"), ("vif", "nics")):
        if config.get(json):
            result[key] = [devices.of_json(key, one) for one in config[json]]
    return {key: value for key, value in result.items() if value is not None}


def told_of(option: Option, values: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    """The options that a value of what runs is told as: of several that make it one (cmdline, not root and extra)."""
    if (
        option.secret
        or option.change == "pin"
        or option.type in ("devices", "raw_list", "strings", "ints")
        or isinstance(values[option.path], dict)
    ):
        return ()
    return OWNERS[option.path][:1]


def of_json(option: Option, value: t.Any) -> t.Any:
    if option.name == "vcpus":
        return len(value)
    if option.type == "mib":
        return value // 1024
    if option.name.startswith("on_"):
        return ACTIONS.get(value, str(value).replace("_", "-"))
    if f"{value}".replace("_", "-") in option.choices:
        return f"{value}".replace("_", "-")
    return option.told(value) if option.type != "words" or isinstance(value, (str, list)) else None
