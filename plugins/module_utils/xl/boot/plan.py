# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From how a machine boots to how it is to boot: what is written and run, and what waits for a reboot."""

from __future__ import annotations

import typing as t

from ...errors import InvalidChange, XenError
from .menu import Item, Menu
from .params import differences, missing, without
from .wanted import Wanted, asked_in, replaces

HYPERVISOR, KERNEL = "The hypervisor", "The kernel of Dom0"


class Seen(t.NamedTuple):
    """What the machine says. text: of our file, "" without; environment: of grubenv; under_xen: as Dom0; the rest: words it runs with."""

    text: str
    menu: Menu
    environment: dict[str, str]
    under_xen: bool
    hypervisor: list[str]
    kernel: list[str]


class Entries(t.NamedTuple):
    """The entries of the menu that matter, as they are or will be: what the default is set to, title, parameters."""

    xen: str
    xen_title: str
    hypervisor: list[str]
    kernel: list[str]
    linux: str
    linux_title: str


class Plan(t.NamedTuple):
    """write: our file has another text. update: update-grub is needed. default, once: the entry to set so, "" for none to set."""

    write: bool
    update: bool
    entries: Entries
    default: str
    once: str
    needs_reboot: list[str]


def plan(seen: Seen, wanted: Wanted, *, try_first: bool) -> Plan:
    """try_first: Xen becomes the default only when the machine runs as asked; until then it is booted once.

    Raises XenError where the menu has nothing to boot.
    """
    write = seen.text != wanted.text
    entries = foreseen(seen, wanted)
    update = write or stale(seen.menu, wanted)
    waiting = needs_reboot(seen, entries)
    default, once = choices(seen, entries, first=try_first and bool(waiting))
    return Plan(write, update, entries, default, once, waiting)


def stale(menu: Menu, wanted: Wanted) -> bool:
    """grub.cfg was not written since our file was, or something else has the last word."""
    xen = menu.xen()
    if xen is None or not menu.saved:
        return True
    return bool(missing(xen.hypervisor or [], wanted.hypervisor) or missing(xen.kernel or [], wanted.kernel))


def foreseen(seen: Seen, wanted: Wanted) -> Entries:
    """The entries after update-grub, before it ran."""
    linux, xen = seen.menu.linux(), seen.menu.xen()
    if linux is None and xen is None:
        raise XenError("GRUB's menu boots no kernel.", hint="Look at /boot/grub/grub.cfg; update-grub writes it.")
    hypervisor_before, kernel_before = asked_in(seen.text)
    if xen is not None:
        hypervisor = _exchanged(xen.hypervisor or [], hypervisor_before, wanted.hypervisor)
        kernel = _exchanged(_kernel_before(seen, xen, linux, wanted), kernel_before, wanted.kernel)
        return Entries(xen.path, xen.titles, hypervisor, kernel, *_named(linux))
    # the script of Xen's entries names the first one after the first without it (20_linux_xen)
    path = f"xen-{linux.id}" if linux and linux.id else ""
    title = f"{linux.title}, with Xen hypervisor" if linux else ""
    plain = (linux.kernel if linux else None) or []
    kernel = [*(of_the_root(plain) if wanted.replace else plain), *wanted.kernel]
    return Entries(path, title, list(wanted.hypervisor), kernel, *_named(linux))


def found(menu: Menu, wanted: Wanted, file: str) -> Entries:
    """The entries as update-grub wrote them. Raises XenError if they are not as our file asks."""
    xen = menu.xen()
    if xen is None:
        raise InvalidChange(
            "update-grub made no entry for Xen.",
            hint="Is there a hypervisor (/boot/xen-*.gz) and a kernel that can be Dom0 (CONFIG_XEN_DOM0=y)?",
        )
    lacking = missing(xen.hypervisor or [], wanted.hypervisor) + missing(xen.kernel or [], wanted.kernel)
    if lacking or not menu.saved:
        what = f"lacks {' '.join(lacking)}" if lacking else "has another default than GRUB_DEFAULT=saved"
        raise InvalidChange(
            f"GRUB's menu {what}, although {file} asks for it.",
            hint="Another file of /etc/default/grub.d that is read later, or a script of /etc/grub.d, says otherwise.",
        )
    return Entries(xen.path, xen.titles, list(xen.hypervisor or []), list(xen.kernel or []), *_named(menu.linux()))


def needs_reboot(seen: Seen, entries: Entries) -> list[str]:
    """Why, a sentence each; empty where the machine runs as its Xen entry says."""
    if not seen.under_xen:
        return ["The machine does not run under Xen."]
    return differences(seen.hypervisor, entries.hypervisor, HYPERVISOR) + differences(seen.kernel, entries.kernel, KERNEL)


def choices(seen: Seen, entries: Entries, *, first: bool) -> tuple[str, str]:
    """The default and the entry for the next boot only that have to be set. first: try Xen before it becomes the default."""
    default = entries.linux if first and entries.linux else entries.xen
    once = entries.xen if first and entries.linux else ""
    current = seen.menu.find(seen.environment.get("saved_entry", ""))
    next_one = seen.environment.get("next_entry", "")
    is_set = bool(seen.environment.get("saved_entry")) and current is not None and current.path == default
    return "" if is_set else default, "" if next_one == once else once


def of_the_root(words: t.Iterable[str]) -> list[str]:
    """What GRUB's script gives the kernel by itself."""
    return [word for word in words if word in ("ro", "rw") or word.partition("=")[0] in ("root", "rootflags")]


def _kernel_before(seen: Seen, xen: Item, linux: Item | None, wanted: Wanted) -> list[str]:
    """What the kernel's line in Xen's entry is without ours, or with ours where that stays as it is."""
    if wanted.replace:
        return list(xen.kernel or []) if seen.text == wanted.text else of_the_root(xen.kernel or [])
    if replaces(seen.text) and linux and linux.kernel is not None:
        return list(linux.kernel)
    return list(xen.kernel or [])


def given_twice(entries: Entries, wanted: Wanted) -> list[str]:
    """Parameters of the hypervisor that our file gives and another one too."""
    names = {word.partition("=")[0] for word in wanted.hypervisor}
    return [word for word in without(entries.hypervisor, wanted.hypervisor) if word.partition("=")[0] in names]


def _exchanged(line: t.Sequence[str], before: t.Sequence[str], after: t.Sequence[str]) -> list[str]:
    if list(before) == list(after) and not missing(line, after):
        return list(line)
    return [*without(line, before), *after]


def _named(item: Item | None) -> tuple[str, str]:
    return (item.path, item.titles) if item else ("", "")
