# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a site that tells what is plugged into a host: PCI cards, graphics cards, USB devices. All is kept as plain JSON values."""

from __future__ import annotations

import typing as t

from .site_reader import Reader

Devices = dict[str, list[dict[str, t.Any]]]


def devices(r: Reader) -> Devices:
    """``pci``, ``gpus`` and ``usb`` of one host."""
    found = {"pci": r.each("pci", _pci), "gpus": r.each("gpus", _gpu), "usb": r.each("usb", _usb)}
    return {kind: each for kind, each in found.items() if each}


def _pci(r: Reader) -> dict[str, t.Any]:
    return {"id": r.text("id"), "class": r.text("class", "Ethernet controller"), "vendor": r.text("vendor"), "name": r.text("name")}


def _gpu(r: Reader) -> dict[str, t.Any]:
    return {"id": r.text("id"), "vendor": r.text("vendor"), "name": r.text("name"), "types": r.each("types", _vgpu_type)}


def _vgpu_type(r: Reader) -> dict[str, t.Any]:
    return {"name": r.text("name"), "framebuffer": r.size("framebuffer", "1GiB"), "most": r.number("most", 1)}


def _usb(r: Reader) -> dict[str, t.Any]:
    names = ("path", "vendor_id", "vendor", "product_id", "product")
    return {**{name: r.text(name) for name in names}, "serial": r.text("serial", ""), "version": r.text("version", "2.00")}
