# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # disks, network and other devices; the same as DEVICES in module_utils/xl/domain/table.py
    DOCUMENTATION = r"""
options:
  disk:
    description:
      - >-
        Its disks: each a dictionary with the keys of xl-disk-configuration(5) (C(target), C(vdev), C(format), C(access),
        C(cdrom) and so on), or a string as in the file.
      - >-
        The whole list: a disk that is not in it is detached. Known by C(vdev). Changed while it runs.
    type: list
    elements: raw
  vif:
    description:
      - >-
        Its network interfaces: each a dictionary with the keys of xl-network-configuration(5) (C(mac), C(bridge), C(ip),
        C(script), C(rate) and so on), or a string as in the file.
      - The whole list. Known by C(mac), and by their place in the list where they have none. Changed while it runs; one that
        is changed is detached and attached.
    type: list
    elements: raw
  vfb:
    description:
      - >-
        PV. Framebuffers: C(vnc), C(vnclisten), C(vncdisplay), C(vncpasswd), C(keymap) and so on.
    type: list
    elements: raw
  vkb:
    description: Keyboards and pointers.
    type: list
    elements: raw
  vtpm:
    description: Trusted platform modules (C(backend), C(uuid)).
    type: list
    elements: raw
  p9:
    description: Shared folders over 9pfs (C(tag), C(path), C(security_model), C(backend)).
    type: list
    elements: raw
  pvcalls:
    description: PV calls connections (C(backend)).
    type: list
    elements: raw
  channel:
    description: Channels (C(name), C(connection), C(path), C(backend)).
    type: list
    elements: raw
  vdispl:
    description: Displays (C(connectors), C(be-alloc), C(backend)).
    type: list
    elements: raw
  vsnd:
    description: Sound cards; each a list of strings that begin with V(CARD), V(PCM) or V(STREAM).
    type: list
    elements: raw
  virtio:
    description: Virtio devices (C(type), C(transport), C(backend), C(grant_usage)). Xen 4.18.
    type: list
    elements: raw
  usbctrl:
    description: USB controllers (C(type), C(version), C(ports)).
    type: list
    elements: raw
  usbdev:
    description: USB devices of the host (C(hostbus), C(hostaddr), C(controller), C(port)).
    type: list
    elements: raw
  pci:
    description:
      - >-
        PCI devices of the host: V(0000:03:00.0), or a dictionary with the keys of xl-pci-configuration(5).
    type: list
    elements: raw
  pci_permissive:
    description: Give full access to the configuration space of all of O(pci).
    type: bool
  pci_msitranslate:
    description: Translate their INTx interrupts to MSI.
    type: bool
  pci_seize:
    description: Take them from their drivers on Dom0.
    type: bool
  pci_power_mgmt:
    description: HVM. Let the guest set their power states.
    type: bool
  passthrough:
    description: How devices passed through see its memory (IOMMU).
    type: str
    choices: [disabled, enabled, sync_pt, share_pt, "default"]
  gfx_passthru:
    description:
      - >-
        HVM. Pass a graphics card through: V(0), V(1), V(default), V(igd).
    type: str
  rdm:
    description: HVM. Reserved device memory, such as V(strategy=host,policy=relaxed).
    type: str
  rdm_mem_boundary:
    description: HVM. Where conflicts with reserved memory begin to matter.
    type: str
  e820_host:
    description: PV. Show the memory map of the host.
    type: bool
  dtdev:
    description: Arm. Device tree nodes to pass through.
    type: list
    elements: str
  ioports:
    description: I/O ports it may use, hexadecimal, such as V(2f8-2ff).
    type: list
    elements: str
  iomem:
    description: I/O memory pages it may use, hexadecimal, such as V(fe000,1).
    type: list
    elements: str
  irqs:
    description: Physical interrupts it may use.
    type: list
    elements: int
  max_event_channels:
    description: The most event channels it may have.
    type: int
  max_grant_frames:
    description: The most grant frames it may have.
    type: int
  max_maptrack_frames:
    description: The most maptrack frames it may have.
    type: int
  max_grant_version:
    description: The highest version of grant tables it may use.
    type: int
  nomigrate:
    description: It cannot be migrated or saved.
    type: bool
  driver_domain:
    description: It is a driver domain.
    type: bool
  seclabel:
    description: XSM security label.
    type: str
  init_seclabel:
    description: XSM security label while it is built.
    type: str
  xend_suspend_evtchn_compat:
    description: Suspend as xend did, for old drivers.
    type: bool
  tee:
    description: Arm. Trusted execution environment.
    type: str
    choices: ["none", optee, ffa]
  gic_version:
    description: Arm. Version of the interrupt controller.
    type: str
    choices: ["v2", "v3", "default"]
  vuart:
    description: Arm. Serial console, V(sbsa_uart).
    type: str
  sve:
    description: Arm. Length of SVE vectors, V(disabled) or V(hw).
    type: str
"""
