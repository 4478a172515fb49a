# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The disks and network cards of a template, which a VM made from it gets copies of."""

from __future__ import annotations

import typing as t

from ...refs import Objects
from ..vm.part import Subject


def devices(objects: Objects, subject: Subject) -> dict[str, t.Any]:
    """disks (sizes in bytes) and nics, in order of their places."""
    vdis, disks = objects.all("VDI"), []
    for vbd in sorted(subject.vbds.values(), key=lambda r: (len(r["userdevice"]), r["userdevice"])):
        vdi = vdis.get(vbd["VDI"])
        if vbd["type"] != "Disk" or not vdi:
            continue
        row = {"device": vbd["userdevice"], "name": vdi["name_label"], "uuid": vdi["uuid"], "size": int(vdi["virtual_size"])}
        disks.append({**row, "sr": objects.label("SR", vdi["SR"]), "bootable": vbd["bootable"]})
    vifs = sorted(subject.vifs.values(), key=lambda r: int(r["device"]) if r["device"].isdecimal() else 0)
    return {"disks": disks, "nics": [{"device": vif["device"], "network": objects.label("network", vif["network"])} for vif in vifs]}
