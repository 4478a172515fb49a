# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Command lines of the hypervisor and of Dom0's kernel.

The names are those of Xen's document "Xen Hypervisor Command Line Options" (misc/xen-command-line).
"""

from __future__ import annotations

import re
import typing as t

from ...errors import InvalidChange

# What GRUB's scripts (20_linux_xen) and GRUB itself add, which nobody asks for
OF_THE_BOOT_LOADER = {"placeholder", "no-real-mode", "edd=off"}
NAMES_OF_THE_BOOT_LOADER = {"BOOT_IMAGE", "initrd"}
# The words are written into grub.cfg as they are, where the others mean something to GRUB
WORD = re.compile(r"[\w.,:=+\-/@%^~!\[\]]+", re.ASCII)
NAME = re.compile(r"[\w.\-]+(\[[\w.:]+\])?", re.ASCII)
SIZE = re.compile(r"(\d+) ?([KMGT])(i?B)?", re.IGNORECASE)
FRACTION = re.compile(r"\d{1,2}%|100%")
BYTES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def words(line: str) -> list[str]:
    """The parameters of a command line, without what only the boot loader adds."""
    return [word for word in line.split() if word not in OF_THE_BOOT_LOADER and word.partition("=")[0] not in NAMES_OF_THE_BOOT_LOADER]


def by_name(parameters: t.Iterable[str]) -> dict[str, list[str]]:
    """The words of each parameter in their order; it matters where one is given several times (console=)."""
    found: dict[str, list[str]] = {}
    for word in parameters:
        found.setdefault(word.partition("=")[0], []).append(word)
    return found


def differences(running: t.Sequence[str], wanted: t.Sequence[str], who: str) -> list[str]:
    """What differs, a sentence each; empty if a reboot would lead to the same. who: "The hypervisor"."""
    now, then = by_name(running), by_name(wanted)
    told = []
    for name in [*then, *(name for name in now if name not in then)]:
        before, after = now.get(name, []), then.get(name, [])
        if before == after:
            continue
        if not before:
            told.append(f"{who} runs without {' '.join(after)}.")
        elif not after:
            told.append(f"{who} runs with {' '.join(before)}, which is not in the boot entry any more.")
        else:
            told.append(f"{who} runs with {' '.join(before)}, not with {' '.join(after)}.")
    return told


def without(line: t.Sequence[str], taken: t.Iterable[str]) -> list[str]:
    """The words of a line without those of another, each taken away once, from the end."""
    left = list(reversed(line))
    for word in taken:
        if word in left:
            left.remove(word)
    return left[::-1]


def missing(line: t.Iterable[str], asked: t.Sequence[str]) -> list[str]:
    """What was asked for and the line does not have."""
    left = list(line)
    lacking = []
    for word in asked:
        if word in left:
            left.remove(word)
        else:
            lacking.append(word)
    return lacking


def checked(word: str, option: str) -> str:
    """Raises InvalidChange for a word that cannot stand in a command line."""
    if not WORD.fullmatch(word):
        raise InvalidChange(
            f"{option}: {word!r} cannot be a parameter of a command line.",
            hint="Letters, digits and . , : = + - / @ % ^ ~ ! [ ] _ may be used.",
        )
    return word


def memory(text: str, option: str) -> str:
    """A size as Xen takes it: 1024M, 10%, 512M+5%. Raises InvalidChange."""
    parts = [part.strip() for part in str(text).strip().split("+")]
    told = []
    for part in parts:
        size = SIZE.fullmatch(part)
        if size:
            told.append(f"{int(size[1])}{size[2].upper()}")
        elif FRACTION.fullmatch(part):
            told.append(part)
        else:
            # a number alone would be KiB to Xen, which nobody means
            hint = f"Give a unit, as in {part}M." if part.isdigit() else "Write it as in 1024M, 1 GiB, 10% or 512M+5%."
            raise InvalidChange(f"{option} cannot be {str(text)!r}.", hint=hint)
    if len(told) > 2 or (len(told) == 2 and (told[0].endswith("%") or not told[1].endswith("%"))):
        raise InvalidChange(f"{option} cannot be {str(text)!r}.", hint="A sum is a size and a fraction, as in 512M+5%.")
    return "+".join(told)


def in_bytes(size: str | None) -> int | None:
    """Bytes of a size as memory() gives it; None where a fraction takes part, or for None."""
    match = SIZE.fullmatch(size or "")
    return int(match[1]) * BYTES[match[2].upper()] if match else None
