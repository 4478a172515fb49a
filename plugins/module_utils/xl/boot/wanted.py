# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the machine is to boot with, from the options: the parameters, and the file of /etc/default/grub.d that says so to GRUB."""

from __future__ import annotations

import re
import typing as t

from ...errors import InvalidChange
from .params import NAME, checked, in_bytes, memory

Options = t.Mapping[str, t.Any]
HEAD = """# Written by Ansible (domzero.xen.xl_boot), which writes it again; put what is your own into another file of this folder.
"""
LEAST_MEMORY = 256 << 20  # Debian's kernel with its initial ramdisk does not start with less
VCPUS = re.compile(r"[1-9]\d*|[1-9]\d*-[1-9]\d*|-[1-9]\d*|[1-9]\d*-")
COM = re.compile(r"(\d+(/\d+)?|auto)(,[\w.:]+)*", re.ASCII)
SCHEDULERS = ("credit", "credit2", "arinc653", "rtds", "null")
# what has an option of its own
OWN = {"dom0_mem", "dom0_max_vcpus", "dom0_vcpus_pin", "console", "com1", "noreboot", "sched"}


class Wanted(t.NamedTuple):
    """The parameters asked for, whether those of the kernel are all it gets, and the file that asks GRUB for them."""

    hypervisor: list[str]
    kernel: list[str]
    replace: bool
    text: str


def wanted(options: Options) -> Wanted:
    """Raises InvalidChange for what the hypervisor would not understand."""
    hypervisor = _hypervisor(options)
    kernel, replace = _kernel(options), bool(options.get("kernel_options_replace"))
    return Wanted(hypervisor, kernel, replace, _text(hypervisor, kernel, replace))


def _hypervisor(options: Options) -> list[str]:
    told = [*_memory(options), *_vcpus(options)]
    if options.get("dom0_vcpus_pin"):
        told.append("dom0_vcpus_pin")
    if options.get("console"):
        told.append(checked("console=" + ",".join(options["console"]), "console"))
    if options.get("com1"):
        if not COM.fullmatch(options["com1"]):
            raise InvalidChange(f"com1 cannot be {options['com1']!r}.", hint="Give speed, bits, parity and stop bits, as in 115200,8n1.")
        told.append(f"com1={options['com1']}")
    if options.get("noreboot"):
        told.append("noreboot")
    if options.get("scheduler"):
        if options["scheduler"] not in SCHEDULERS:
            raise InvalidChange(f"scheduler cannot be {options['scheduler']!r}.", hint=f"Give one of {', '.join(SCHEDULERS)}.")
        told.append(f"sched={options['scheduler']}")
    for name, value in (options.get("hypervisor_options") or {}).items():
        told += _other(str(name), value)
    return told


def _memory(options: Options) -> list[str]:
    given = {name: options.get(name) for name in ("dom0_mem", "dom0_mem_min", "dom0_mem_max")}
    sizes = {name: memory(str(value), name) for name, value in given.items() if value not in (None, "")}
    if not sizes:
        return []
    if "dom0_mem" not in sizes:
        raise InvalidChange(f"{' and '.join(sizes)} need dom0_mem.", hint="Give it.")
    _in_order([(name, sizes.get(name)) for name in ("dom0_mem_min", "dom0_mem", "dom0_mem_max")])
    least = in_bytes(sizes["dom0_mem"])
    if least is not None and least < LEAST_MEMORY:
        raise InvalidChange(f"dom0_mem of {sizes['dom0_mem']} is too little to start Dom0.", hint="Give it 256M or more.")
    parts = [sizes["dom0_mem"]]
    if "dom0_mem_min" in sizes:
        parts.append(f"min:{sizes['dom0_mem_min']}")
    parts.append(f"max:{sizes.get('dom0_mem_max', sizes['dom0_mem'])}")
    return ["dom0_mem=" + ",".join(parts)]


def _in_order(named: list[tuple[str, str | None]]) -> None:
    known = [(name, size, in_bytes(size)) for name, size in named]
    ordered = [(name, size, value) for name, size, value in known if value is not None]
    for place, (greater, large, high) in enumerate(ordered[1:]):
        lesser, small, low = ordered[place]
        if low > high:
            raise InvalidChange(f"{lesser} ({small}) is more than {greater} ({large}).", hint="Give the smaller one less.")


def _vcpus(options: Options) -> list[str]:
    given = options.get("dom0_max_vcpus")
    if given in (None, ""):
        return []
    text = str(given).strip()
    low, dash, high = text.partition("-")
    if not VCPUS.fullmatch(text) or (dash and low and high and int(low) > int(high)):
        raise InvalidChange(f"dom0_max_vcpus cannot be {text!r}.", hint="Give a number, or the least and the most as in 1-4.")
    return [f"dom0_max_vcpus={text}"]


def _other(name: str, value: t.Any) -> list[str]:
    if name in OWN:
        raise InvalidChange(
            f"hypervisor_options: {name} has an option of its own.", hint=f"Use {'scheduler' if name == 'sched' else name}."
        )
    if not NAME.fullmatch(name):
        raise InvalidChange(f"hypervisor_options: {name!r} cannot be the name of a parameter.", hint="Give name and value apart.")
    if value is None:
        return []
    if isinstance(value, dict):
        raise InvalidChange(f"hypervisor_options: {name} cannot be a dictionary.", hint="Give a value, a list of values, or true.")
    if isinstance(value, (list, tuple)):
        return [word for one in value for word in _other(name, one)]
    if value is True:
        return [name]
    text = "false" if value is False else str(value)
    return [checked(f"{name}={text}", "hypervisor_options")]


def _kernel(options: Options) -> list[str]:
    told = [checked(word, "kernel_options") for given in options.get("kernel_options") or [] for word in str(given).split()]
    # the hypervisor has the serial port then, and hands Dom0 the console hvc0
    serial = any(one.startswith("com") for one in options.get("console") or [])
    if serial and not any(word.startswith("console=hvc") for word in told):
        told.append("console=hvc0")
    return told


def _text(hypervisor: list[str], kernel: list[str], replace: bool) -> str:
    lines = [HEAD]
    if hypervisor:
        lines.append(f'GRUB_CMDLINE_XEN="$GRUB_CMDLINE_XEN {" ".join(hypervisor)}"\n')
    if replace:
        # GRUB's script takes what is empty for not given
        lines.append(f'GRUB_CMDLINE_LINUX_XEN_REPLACE="{" ".join(kernel) or " "}"\n')
        lines.append('GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT=" "\n')
    elif kernel:
        before = "${GRUB_CMDLINE_LINUX_XEN_REPLACE:-$GRUB_CMDLINE_LINUX}"
        lines.append(f'GRUB_CMDLINE_LINUX_XEN_REPLACE="{before} {" ".join(kernel)}"\n')
    lines.append("# which entry is the default stands in /boot/grub/grubenv\nGRUB_DEFAULT=saved\nGRUB_SAVEDEFAULT=false\n")
    return "".join(lines)


def asked_in(text: str) -> tuple[list[str], list[str]]:
    """The parameters a file that _text() made asks for: of the hypervisor, of the kernel."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'^(GRUB_CMDLINE\w*)="(.*)"$', text, re.MULTILINE):
        found.setdefault(name, [word for word in value.split() if not word.startswith("$")])
    return found.get("GRUB_CMDLINE_XEN", []), found.get("GRUB_CMDLINE_LINUX_XEN_REPLACE", [])


def replaces(text: str) -> bool:
    """Whether such a file keeps from the kernel what the machine's other entries give it."""
    return "GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT=" in text
