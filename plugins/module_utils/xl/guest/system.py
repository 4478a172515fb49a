# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what there is to a system that is whole: the plan of one guest's installation."""

from __future__ import annotations

import functools
import os
import shutil
import typing as t

from ...errors import InvalidChange, NotFound
from ..step import Step
from . import installer, settle, ways
from .look import Journal, Seen, blank, look, where_root
from .machine import PLACE, Machine, inside
from .wanted import Order

NO_SERVICES = "#!/bin/sh\nexit 101\n"


def plan(asked: Order, machine: Machine, journal: Journal) -> tuple[Seen, list[Step]]:
    """What there is, and what is to be done. Raises InvalidChange for what cannot be, before anything is changed."""
    seen = look(machine, asked.path, asked.part, journal)
    if seen.state == "missing" and not asked.size:
        raise NotFound(f"Guest {asked.name}: there is no volume {asked.path} on Dom0.")
    if seen.user and seen.user != asked.name and (seen.user != "Dom0" or asked.overwrite):
        raise InvalidChange(f"Guest {asked.name}: {asked.path} is in use by {seen.user}.")
    if seen.state == "installed" and not asked.overwrite:
        return seen, kept(asked, seen, machine, journal)
    if seen.user and seen.state == "begun" and asked.method == "installer":
        return seen, []  # it is installing
    if seen.user:
        raise InvalidChange(
            f"Guest {asked.name}: {asked.path} is in use by {seen.user}, and cannot be installed anew.", hint="Stop it first."
        )
    if seen.state == "other" and not asked.overwrite:
        raise InvalidChange(
            f"Guest {asked.name}: {asked.path} holds {seen.holds}, and no system.",
            hint="overwrite: true loses what it holds; another path keeps it.",
        )
    check_kernel(asked)
    ways.check_source(asked, machine, seen.size or asked.size)
    if asked.method == "installer":
        return seen, by_installer(asked, seen, machine, journal)
    return seen, install(asked, seen, machine, journal)


def kept(asked: Order, seen: Seen, machine: Machine, journal: Journal) -> list[Step]:
    """A system that is there stays; only its kernel is fetched again where Dom0 has lost it."""
    if seen.mark and seen.mark.get("name") not in (None, asked.name):
        raise InvalidChange(
            f"Guest {asked.name}: {asked.path} holds the system of guest {seen.mark['name']}.", hint="Is it the volume that was meant?"
        )
    if asked.kernel not in ("dom0", "guest") or seen.user or os.path.exists(journal.file("vmlinuz")):
        return []
    return [ways.mounting(asked, machine), kernel(asked, machine, journal), unmounting(machine)]


def install(asked: Order, seen: Seen, machine: Machine, journal: Journal) -> list[Step]:
    return [begun(asked, journal), *ways.WAYS[asked.method](asked, seen, machine), *completed(asked, seen, machine, journal)]


def by_installer(asked: Order, seen: Seen, machine: Machine, journal: Journal) -> list[Step]:
    """What is before the installer, or after it. None where it is to be booted."""
    if installer.finished(asked, seen, machine):
        return [ways.mounting(asked, machine), *completed(asked, seen, machine, journal)]
    installer.check(asked)
    if seen.state == "begun" and installer.ready(journal):
        return []
    return [*ways.empty(asked, seen, machine), *installer.prepare(asked, journal), begun(asked, journal)]


def begun(asked: Order, journal: Journal) -> Step:
    return Step(("begin", asked.path), "note that an installation was begun", run=lambda: journal.note(asked.path, "begun"))


def completed(asked: Order, seen: Seen, machine: Machine, journal: Journal) -> list[Step]:
    """From a root that is mounted to a system that is whole."""
    steps = further(asked, machine, again=seen.state == "begun")
    if asked.configure:
        steps += configured(asked, machine)
    if asked.kernel in ("dom0", "guest"):
        steps.append(kernel(asked, machine, journal))
    elif asked.kernel == "grub":
        steps.append(Step(("write", f"{PLACE}/boot/grub/grub.cfg"), "write the boot menu", run=lambda: menu(asked, machine)))
    if asked.configure:
        steps.append(Step(("mark", asked.name), "note that it is whole", run=lambda: inside(PLACE, functools.partial(settle.mark, asked))))
    return [*steps, unmounting(machine), ended(asked, journal)]


def ended(asked: Order, journal: Journal) -> Step:
    return Step(
        ("end", asked.path),
        "note that the installation has ended",
        run=lambda: journal.note(asked.path, "installed" if asked.configure else "copied"),
    )


def unmounting(machine: Machine) -> Step:
    def run() -> None:
        machine.unmounted()
        machine.run("sync")

    return Step(("umount", PLACE), "unmount the root", run=run)


def further(asked: Order, machine: Machine, *, again: bool) -> list[Step]:
    """Swap space and file systems of the other volumes, where there are none. What holds something is never overwritten; `again`: but what
    an installation left that was cut off."""
    steps = []
    for data in [*([asked.swap] if asked.swap else []), *asked.data]:
        there = machine.probe(data.path) if os.path.exists(data.path) else {}
        if there.get("TYPE") == data.filesystem:
            continue
        if there:
            raise InvalidChange(
                f"Guest {asked.name}: {data.path} holds {there.get('TYPE') or 'a partition table'}, not {data.filesystem}.",
                hint="It is not overwritten; give it another path, or empty it (wipefs).",
            )
        if os.path.exists(data.path) and not again and not blank(data.path):
            raise InvalidChange(
                f"Guest {asked.name}: {data.path} holds something of an unknown kind, not {data.filesystem}.",
                hint="It is not overwritten; give it another path, or empty it (dd if=/dev/zero).",
            )
        argv = ["mkswap", data.path] if data.filesystem == "swap" else [f"mkfs.{data.filesystem}", "-q", data.path]
        steps.append(ways.step(machine, f"prepare {data.path}", *argv))
    return steps


def configured(asked: Order, machine: Machine) -> list[Step]:
    steps = [Step(("configure", asked.name), "set it up", run=functools.partial(settled, asked, machine))]
    if asked.packages or asked.commands:
        steps.append(
            Step(("mount", "--types", "proc", "proc", f"{PLACE}/proc"), "prepare the root", run=functools.partial(prepared, machine))
        )
        if asked.packages:
            steps.append(in_root(machine, "apt-get", "update", "--quiet"))
            steps.append(in_root(machine, "apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *asked.packages))
        steps += [in_root(machine, "sh", "-c", command) for command in asked.commands]
        steps.append(Step(("rm", f"{PLACE}/usr/sbin/policy-rc.d"), "let services start again", run=released))
    steps.append(Step(("ssh-keygen", "-A"), "make its host keys", run=functools.partial(host_keys, machine)))
    return steps


def in_root(machine: Machine, *argv: str) -> Step:
    return ways.step(machine, "run in the guest's root", "chroot", PLACE, *argv)


def settled(asked: Order, machine: Machine) -> None:
    part = where_root(machine, asked.path, asked.part)
    probe = machine.probe(asked.path, part.start if part else 0)
    uuids = {asked.root_device: probe.get("UUID", "")}
    for data in [*([asked.swap] if asked.swap else []), *asked.data]:
        uuids[f"/dev/{data.device}"] = machine.probe(data.path).get("UUID", "")
    inside(PLACE, functools.partial(settle.settle, asked, uuids, probe.get("TYPE", "")))


def prepared(machine: Machine) -> None:
    """What packages expect while they are installed: /proc, /sys, /dev, names that resolve, and no service that starts."""
    machine.run("mount", "--types", "proc", "proc", f"{PLACE}/proc")
    machine.run("mount", "--types", "sysfs", "sys", f"{PLACE}/sys")
    machine.run("mount", "--rbind", "/dev", f"{PLACE}/dev")
    resolving = settle.read("/etc/resolv.conf")
    inside(PLACE, functools.partial(ready, resolving))


def ready(resolving: str) -> None:
    settle.write("/usr/sbin/policy-rc.d", NO_SERVICES, 0o755)
    if not settle.read("/etc/resolv.conf"):
        settle.write("/etc/resolv.conf", resolving)


def released() -> None:
    inside(PLACE, lambda: os.remove("/usr/sbin/policy-rc.d"))


def host_keys(machine: Machine) -> None:
    """Made anew for each guest, with its own program; a system without ssh has none."""
    if inside(PLACE, lambda: os.path.isdir("/etc/ssh") and os.path.exists("/usr/bin/ssh-keygen")):
        machine.run("chroot", PLACE, "ssh-keygen", "-q", "-A")


def kernel(asked: Order, machine: Machine, journal: Journal) -> Step:
    """The kernel the domain is booted with lies on Dom0, where neither Dom0's nor the guest's updates take it away."""
    target = journal.file("vmlinuz")
    if asked.kernel == "guest":
        return Step(("cp", f"{PLACE}/vmlinuz", target), "fetch its kernel", run=lambda: fetched(journal, *inside(PLACE, settle.kernels)))
    version = os.uname().release
    what = f"give it Dom0's kernel {version}" + (" and its modules" if asked.modules else "")
    return Step(("cp", f"/boot/vmlinuz-{version}", target), what, run=functools.partial(given, asked, version, machine, journal))


def fetched(journal: Journal, kernel: str, ramdisk: str) -> None:
    os.makedirs(journal.place, exist_ok=True)
    for source, name in ((kernel, "vmlinuz"), (ramdisk, "initrd.img")):
        place = journal.file(name)
        if source:
            with open(place + ".new", "wb") as out:
                copy_out(source, out)
            os.replace(place + ".new", place)
        elif os.path.exists(place):
            os.remove(place)


def copy_out(source: str, out: t.IO[bytes]) -> None:
    """A file of the guest, whose links are followed within its root."""

    def act() -> None:
        with open(source, "rb") as file:
            shutil.copyfileobj(file, out, 1 << 20)
        out.flush()

    inside(PLACE, act)


def given(asked: Order, version: str, machine: Machine, journal: Journal) -> None:
    os.makedirs(journal.place, exist_ok=True)
    for source, name in ((f"/boot/vmlinuz-{version}", "vmlinuz"), (f"/boot/initrd.img-{version}", "initrd.img")):
        place = journal.file(name)
        shutil.copyfile(source, place + ".new")
        os.replace(place + ".new", place)
    if asked.modules:
        modules = inside(PLACE, module_folder)
        machine.run("cp", "--archive", "--no-target-directory", f"/lib/modules/{version}", f"{PLACE}{modules}/{version}")


def module_folder() -> str:
    os.makedirs("/lib/modules", exist_ok=True)
    return os.path.realpath("/lib/modules")


def menu(asked: Order, machine: Machine) -> None:
    part = where_root(machine, asked.path, asked.part)
    inside(PLACE, functools.partial(settle.grub, asked, machine.probe(asked.path, part.start if part else 0).get("UUID", "")))


def check_kernel(asked: Order) -> None:
    """Raises InvalidChange if Dom0 has not the kernel that is to be given."""
    version = os.uname().release
    if asked.kernel == "dom0" and not os.path.exists(f"/boot/vmlinuz-{version}"):
        raise InvalidChange(
            f"Guest {asked.name}: Dom0's kernel /boot/vmlinuz-{version} is not there.", hint="kernel: guest or grub takes the guest's own."
        )


def told(asked: Order, seen: Seen, steps: t.Sequence[Step], journal: Journal) -> dict[str, t.Any]:
    """What the module returns of it: after the steps."""
    ends = any(step.argv[0] == "end" for step in steps)
    said = {
        "name": asked.name, "path": asked.path, "state": "installed", "found": seen.state, "size": seen.size or asked.size,
        "used_by": seen.user, "root_device": asked.root_device, "installer": {},
    }  # fmt: skip
    if asked.method == "installer" and not ends and seen.state != "installed":
        said |= {"state": "installing", "installer": installer.told(journal)}
    own = asked.kernel in ("dom0", "guest")
    kernel, ramdisk = (journal.file(name) if own else "" for name in ("vmlinuz", "initrd.img"))
    arguments = f"root={asked.root_device} ro {asked.arguments}".rstrip() if own else ""
    return {**said, "kernel": kernel, "ramdisk": ramdisk, "arguments": arguments}
