# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of places for drives: a number, or a disk's name (xen-api: ocaml/xapi/xapi_vbd.ml, ocaml/xapi-idl/xen/device_number.ml)."""

from __future__ import annotations

import re

from .operations import rules

VBD_PLACES = range(rules("VBD")["device_range"][0], rules("VBD")["device_range"][1] + 1)
VIF_PLACES = range(rules("VIF")["device_range"][0], rules("VIF")["device_range"][1] + 1)
AUTODETECT = "autodetect"
_NUMBER = re.compile(r"\d+")
_NAME = re.compile(r"(?:xvd|sd|hd)([a-z]{1,2})")
_FLOPPY = re.compile(r"fd([ab])")


def place_of(userdevice: str) -> int | str | None:
    """Where in the VM that is, the same for 0, hda, sda and xvda; None for what is no place."""
    if _NUMBER.fullmatch(userdevice):
        return int(userdevice)
    named = _NAME.fullmatch(userdevice)
    if named:
        number = 0
        for letter in named[1]:
            number = number * 26 + ord(letter) - ord("a") + 1
        return number - 1
    return userdevice if _FLOPPY.fullmatch(userdevice) else None
