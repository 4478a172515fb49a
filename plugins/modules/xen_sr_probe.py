#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_sr_probe
short_description: Ask a storage server what it has
version_added: 0.1.0
author: [Domzero (@domzero)]
description:
  - Asks a storage server, as a host sees it, and changes nothing (C(SR.probe)).
  - Each answer tells what to choose from next. An NFS server without O(path) tells its exports, an iSCSI server without O(iqn) its
    targets, with it and without O(scsi_id) its LUNs. With everything given, the SRs that lie there are told.
  - V(lvmohba) without O(scsi_id) tells the LUNs that the host's adapters see.
extends_documentation_fragment:
  - domzero.xen.xen
  - domzero.xen.sr
seealso:
  - module: domzero.xen.xen_sr
options:
  type:
    description: Kind of storage, as in M(domzero.xen.xen_sr).
    type: str
    required: true
  host:
    description: The host that asks, by name or uuid; the coordinator unless given.
    type: str
"""

EXAMPLES = r"""
- name: Which paths does the filer export?
  domzero.xen.xen_sr_probe:
    type: nfs
    server: 172.16.0.10

- name: Which LUNs has the target?
  domzero.xen.xen_sr_probe:
    type: lvmoiscsi
    target: 172.16.0.20
    iqn: iqn.2024-01.lab.example:san.pool
    host: xcp01
"""

RETURN = r"""
exports:
  description: Paths that an NFS server exports.
  returned: success
  type: list
  elements: dict
  contains:
    server: {description: The server., type: str}
    path: {description: The path., type: str}
    access: {description: Who may mount it., type: str}
iqns:
  description: Targets of an iSCSI server.
  returned: success
  type: list
  elements: dict
  contains:
    iqn: {description: Name of the target., type: str}
    address: {description: Where it is reached., type: str}
    port: {description: TCP port., type: int}
luns:
  description: LUNs of an iSCSI target.
  returned: success
  type: list
  elements: dict
  contains:
    lun: {description: Number of the LUN., type: int}
    scsi_id: {description: Its SCSI id., type: str}
    size: {description: Bytes., type: int}
    vendor: {description: Vendor of the storage., type: str}
    serial: {description: Serial number., type: str}
devices:
  description: LUNs that the host's adapters see and no SR of the pool uses.
  returned: success
  type: list
  elements: dict
  contains:
    path: {description: Its device., type: str}
    scsi_id: {description: Its SCSI id., type: str}
    size: {description: As the driver tells it., type: str}
    vendor: {description: Vendor of the storage., type: str}
    serial: {description: Serial number., type: str}
    adapter: {description: The adapter that sees it., type: str}
srs:
  description: SRs that lie there, those of this pool among them.
  returned: success
  type: list
  elements: dict
  contains:
    uuid: {description: The SR's uuid., type: str}
    name: {description: Its name where the medium tells it., type: str}
    description: {description: Its description where the medium tells it., type: str}
    size: {description: Bytes where the medium tells it., type: int}
    devices: {description: What it lies on., type: str}
    type: {description: Its type where it is not the one asked for., type: str}
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main
from ansible_collections.domzero.xen.plugins.module_utils.resources.sr import looking

MODULE = Module(looking.ARGUMENTS, looking.look)

if __name__ == "__main__":
    main(MODULE)
