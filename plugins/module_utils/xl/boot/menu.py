# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GRUB's menu as grub.cfg says it, and what /boot/grub/grubenv says of it.

How a saved entry is looked up follows GRUB's grub-core/normal/menu.c (get_entry_number) and its manual, "default".
"""

from __future__ import annotations

import re
import typing as t

from .params import words as words_of

OPENS = re.compile(r"^\s*(menuentry|submenu)\s+(.*?)\s*\{\s*$")
QUOTED = re.compile(r"""'((?:[^']|'\\'')*)'|"([^"]*)"|(\S+)""")
VARIABLE = re.compile(r"\$\{?\w+\}?")


class Item:
    """An entry of the menu, or a submenu.

    Attributes: title, id (of --id, or ""), children (of a submenu; None for an entry), path (what the default is set to), hypervisor and
    kernel (parameters; None where it boots none).
    """

    def __init__(self, title: str, ident: str, submenu: bool, above: Item | None):
        self.title, self.id, self.above = title, ident, above
        self.children: list[Item] | None = [] if submenu else None
        self.hypervisor: list[str] | None = None
        self.kernel: list[str] | None = None

    @property
    def path(self) -> str:
        own = (self.id or self.title).replace(">", ">>")
        return f"{self.above.path}>{own}" if self.above else own

    @property
    def titles(self) -> str:
        return f"{self.above.titles} > {self.title}" if self.above else self.title


class Menu:
    """items: what stands at the top. saved: whether GRUB looks at saved_entry. once: whether it looks at next_entry."""

    def __init__(self, text: str):
        self.items = _read(text)
        self.saved = bool(re.search(r'^\s*set default="\$\{saved_entry\}"', text, re.MULTILINE))
        self.once = "next_entry" in text

    def entries(self) -> t.Iterator[Item]:
        yield from _entries(self.items)

    def xen(self) -> Item | None:
        """The entry of the newest hypervisor with the newest kernel: GRUB's script puts it first."""
        return next((entry for entry in self.entries() if entry.hypervisor is not None), None)

    def linux(self) -> Item | None:
        """The entry of the newest kernel without a hypervisor."""
        return next((entry for entry in self.entries() if entry.hypervisor is None and entry.kernel is not None), None)

    def find(self, saved: str) -> Item | None:
        """The entry a default stands for: a number, a title or an id, for one in a submenu after those of the submenu and >."""
        level: list[Item] | None = self.items
        found: Item | None = None
        for part in re.split(r"(?<!>)>(?!>)", saved or "0"):
            if not level:
                return None
            name = part.replace(">>", ">")
            found = next((item for item in level if name in (item.title, item.id)), None)
            if found is None and name.isdigit() and int(name) < len(level):
                found = level[int(name)]
            if found is None:
                return None
            level = found.children
        while found is not None and found.children is not None:
            found = found.children[0] if found.children else None
        return found


def environment(text: str) -> dict[str, str]:
    """What grubenv holds."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: value for name, sign, value in (line.partition("=") for line in lines) if sign}


def _entries(items: list[Item]) -> t.Iterator[Item]:
    for item in items:
        if item.children is None:
            yield item
        else:
            yield from _entries(item.children)


def _read(text: str) -> list[Item]:
    top: list[Item] = []
    # what is open: an item, or None for a block of another kind
    opened: list[Item | None] = []
    for line in text.splitlines():
        begins = OPENS.match(line)
        inside = next((item for item in reversed(opened) if item), None)
        if begins:
            item = _item(begins[1] == "submenu", begins[2], inside)
            siblings = inside.children if inside and inside.children is not None else top
            siblings.append(item)
            opened.append(item)
        elif line.strip() == "}" and opened:
            opened.pop()
        elif line.rstrip().endswith("{"):
            opened.append(None)
        elif inside:
            _boots(inside, line.split())
    return top


def _item(submenu: bool, rest: str, above: Item | None) -> Item:
    parts = [(a or "").replace("'\\''", "'") or b or c for a, b, c in QUOTED.findall(rest)]
    ident = ""
    for place, value in enumerate(parts[1:]):
        if parts[place] in ("$menuentry_id_option", "--id"):
            ident = value
    return Item(parts[0] if parts else "", ident, submenu, above)


def _boots(item: Item, words: list[str]) -> None:
    if len(words) < 2:
        return
    given = words_of(" ".join(word for word in words[2:] if not VARIABLE.fullmatch(word)))
    if words[0] in ("multiboot", "multiboot2", "xen_hypervisor"):
        item.hypervisor = given
    elif words[0] in ("module", "module2", "xen_module", "linux", "linux16") and item.kernel is None:
        item.kernel = given
