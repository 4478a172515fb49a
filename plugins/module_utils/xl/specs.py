# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The specification of each key of xl.cfg(5) that lists devices."""

from __future__ import annotations

from . import devices
from .disk import DISK
from .pci import PCI
from .spec import Spec
from .vif import VIF

SPECS: dict[str, Spec] = {
    spec.name: spec
    for spec in (
        DISK, VIF, PCI, devices.USBCTRL, devices.USBDEV, devices.VFB, devices.VKB, devices.CHANNEL, devices.P9, devices.VTPM,
        devices.PVCALLS, devices.VDISPL, devices.RDM, devices.VIRTIO,
    )
}  # fmt: skip
