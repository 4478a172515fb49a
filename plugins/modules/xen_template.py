#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_template
short_description: Manage the templates of a pool
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Makes templates from other templates, VMs, snapshots, cloud images and exported files, says what VMs made from them are to have, and
    deletes them.
  - A copy is made under the name C(NAME (unfinished)) and named last, so that a template of the wanted name is always whole. An
    interrupted task is finished by running it again.
  - How a template is to be made is looked at only when it is not there yet.
  - Stock templates, which the hosts came with, are changed only where O(allow_default=true), and never deleted.
  - An option left out is not managed; a new template has what it is made from has.
  - Memory, processors and how it boots are what the VMs made from it begin with. As a template does not run, all of it may change at
    any time.
extends_documentation_fragment:
  - domzero.xen.xen
  - domzero.xen.vm_memory
  - domzero.xen.vm_cpus
  - domzero.xen.vm_boot
options:
  state:
    description:
      - V(present), it is there as described.
      - V(absent), it is not there, and neither are the disks that are its own. VMs made from it stay.
    type: str
    choices: [present, absent]
    default: present
  name:
    description: Its name, which no VM of the pool may have. Needed for a new one; with O(uuid) what it is to be named.
    type: str
  uuid:
    description: Find it by its uuid instead of by its name.
    type: str
  source:
    description:
      - The template that a new one is a copy of, by name or uuid.
      - With O(image) the template it is based on, one whose VMs boot from a disk and that has none of its own.
        V(Other install media) unless given.
    type: str
  from_vm:
    description:
      - The halted VM that becomes a new template, by name or uuid. There is no such VM any more then, so O(allow_disruption) is needed.
      - With O(from_snapshot) the VM that snapshot is of, and which stays as it is.
    type: str
  from_snapshot:
    description: The snapshot that a new template is a copy of, by name or uuid.
    type: str
  clone:
    description:
      - How the disks of its source become those of a new template. V(fast) shares data with them (VHD chains), V(full) copies them.
      - V(auto) is V(fast) unless the disks are to lie in another O(sr) or their chain is near the limit of 30 images.
    type: str
    choices: [auto, fast, full]
    default: auto
  sr:
    description: The SR for the disks of a new template, by name or uuid. Without it, that of its source's disks, or the pool's default.
    type: str
  image:
    description:
      - File with the image of a disk that a new template has, as clouds publish them, on the machine where the task runs. Raw and VHD are
        sent as they are, others (qcow2, VMDK, VDI, VHDX) are converted with C(qemu-img) before.
      - Its checksum is kept with the template. Whether a template is from another image is only told, see O(replace).
    type: path
  sha256:
    description:
      - The SHA-256 that the file O(image) is to have. It is refused otherwise.
      - A template that was made from an image of this checksum is known by it, and the file not read again.
    type: str
  disk_size:
    description: Size of the disk, if it is to be larger than in the image.
    type: str
  replace:
    description:
      - Whether a template of this name that was not made from this O(image) is deleted and made anew. The old one goes when the new one
        is ready, and VMs made from it stay.
    type: bool
    default: false
  xva:
    description:
      - File of an exported VM or template that a new template is made from, on the machine where the task runs. All of it is checked before
        the first byte is sent.
      - Its network cards get addresses of their own.
    type: path
  networks:
    description:
      - With O(xva) the networks that the network cards go to, by the name of the network in the file. Others go to the network of the same
        name.
    type: dict
  description:
    description: A description.
    type: str
  tags:
    description: Its tags, taken whole. An empty list removes all.
    type: list
    elements: str
  affinity:
    description: The host its VMs prefer to start on, by name or uuid; an empty string for none.
    type: str
  actions_after_shutdown:
    description: What happens when the guest of a VM made from it shuts down.
    type: str
    choices: [destroy, restart]
  actions_after_reboot:
    description: What happens when the guest reboots.
    type: str
    choices: [destroy, restart]
  actions_after_crash:
    description: What happens when the guest crashes.
    type: str
    choices: [destroy, coredump_and_destroy, restart, coredump_and_restart, preserve, rename_restart]
  xenstore_data:
    description: Keys the guests can read in xenstore below their own path (C(vm-data/...)). Merged; V(null) removes a key.
    type: dict
  folder:
    description: Its folder as XenCenter shows it; an empty string for none.
    type: str
  custom_fields:
    description: Custom fields as XenCenter shows them. Merged; V(null) removes one.
    type: dict
  auto_poweron:
    description: Whether its VMs start with their host.
    type: bool
  other_config:
    description: Further keys of its C(other_config), without those that another option stands for. Merged; V(null) removes a key.
    type: dict
  limits:
    description:
      - What is recommended for its VMs, the C(recommendations) of the template. XenCenter offers no more than that, the hosts do not
        enforce it, and M(domzero.xen.xen_vm) does more with a warning.
      - Merged with the limits there are.
    type: dict
    suboptions:
      memory_min:
        description: The least memory. The hosts do not start a VM whose O(memory_static_min) is less.
        type: str
      memory_max:
        description: The most memory.
        type: str
      vcpus_min:
        description: The fewest vCPUs.
        type: int
      vcpus_max:
        description: The most vCPUs.
        type: int
      disks_max:
        description: The most disks and drives.
        type: int
      nics_max:
        description: The most network cards.
        type: int
      bios:
        description: Whether it can start with BIOS.
        type: bool
      uefi:
        description: Whether it can start with UEFI.
        type: bool
      secure_boot:
        description: Whether it can start with UEFI Secure Boot.
        type: bool
      vendor_device:
        description: Whether it can get its drivers from Windows Update.
        type: bool
      gpu_passthrough:
        description: Whether it can have a graphics card of the host.
        type: bool
      vgpu:
        description: Whether it can have a virtual graphics card.
        type: bool
      network_sriov:
        description: Whether it can have an SR-IOV network card.
        type: bool
  provision_disks:
    description:
      - The empty disks that a VM made from it gets, taken whole. They are made with the VM; disks that the template has of its own are
        copied, whatever is said here.
      - What is left out of one stays as it is for a disk of the same C(device).
    type: list
    elements: dict
    suboptions:
      size:
        description: Its size.
        type: str
        required: true
      sr:
        description: The SR it is made in, by name or uuid; an empty string, as in stock templates, for that of the VM.
        type: str
      bootable:
        description: Whether the VM boots from it. The first disk unless said otherwise.
        type: bool
      type:
        description: V(system) holds the operating system, V(user) can be taken out of a running VM. V(system) unless said otherwise.
        type: str
        choices: [system, user]
      device:
        description: Its place in the VM, C(0) for the first. Unless given, its place in this list.
        type: str
  install_methods:
    description: How its VMs can be installed, such as V(cdrom), V(http), V(ftp), V(nfs).
    type: list
    elements: str
  allow_default:
    description: Whether a stock template may be changed. An update of the host makes it anew.
    type: bool
    default: false
  allow_disruption:
    description: Whether a VM may become a template, so that there is no such VM any more.
    type: bool
    default: false
notes:
  - To export a template, give its C(uuid) to M(domzero.xen.xen_vm_export).
seealso:
  - module: domzero.xen.xen_template_info
  - module: domzero.xen.xen_vm
"""

EXAMPLES = r"""
- name: A template of one's own, with more memory and a second disk for its VMs
  domzero.xen.xen_template:
    name: Database server
    source: Debian Bookworm 12
    description: Debian with a disk for data
    tags: [database]
    limits:
      memory_max: 256 GiB
    provision_disks:
      - size: 20 GiB
      - size: 200 GiB
        type: user

- name: The stock template allows more vCPUs
  domzero.xen.xen_template:
    name: Debian Bookworm 12
    limits:
      vcpus_max: 128
    allow_default: true

- name: Its VMs are installed over the network
  domzero.xen.xen_template:
    name: Database server
    install_repository: http://deb.debian.org/debian

- name: A VM that was prepared by hand becomes a template
  domzero.xen.xen_template:
    name: Web server
    from_vm: web-golden
    allow_disruption: true

- name: A template from a snapshot; its VM goes on
  domzero.xen.xen_template:
    name: Application server
    from_vm: app-golden
    from_snapshot: ready

- name: A template from a cloud image, whose VMs are set up with cloud-init
  domzero.xen.xen_template:
    name: Debian 12 cloud
    image: "{{ images }}/debian-12-genericcloud-amd64.qcow2"
    source: Debian Bookworm 12
    disk_size: 10 GiB

- name: A template from another pool, exported there
  domzero.xen.xen_template:
    name: Mail server
    xva: "{{ images }}/mail-server.xva"

- name: It is not needed any more
  domzero.xen.xen_template:
    name: Database server
    state: absent
"""

RETURN = r"""
template:
  description: The template in the words of the options, with its C(uuid); empty when it is absent.
  returned: success
  type: dict
  sample:
    name: Database server
    description: Debian with a disk for data
    limits: {memory_max: 274877906944, vcpus_max: 64}
    provision_disks:
      - {bootable: true, device: "0", size: 21474836480, sr: "", type: system}
      - {bootable: false, device: "1", size: 214748364800, sr: "", type: user}
    tags: [database]
    uuid: 7d7a42bb-ba1a-4d68-9b9c-b8a2c2d5b17c
clone:
  description: How the disks of a new template were made from its source's, V(fast) or V(full).
  returned: when a template with disks is made from another
  type: str
  sample: fast
chain_length:
  description: The images that the longest chain of the new template's disks has.
  returned: when a template with disks is made from another
  type: int
  sample: 2
xva:
  description: The file a new template was made from.
  returned: when O(xva) is given and the template was not there
  type: dict
  contains:
    src:
      description: Its path.
      type: str
    sha256:
      description: Its checksum.
      type: str
    size:
      description: Its size in bytes.
      type: int
operations:
  description: The calls that were made, or would be.
  returned: success
  type: list
  elements: str
  sample: [VM.clone, VM.set_recommendations, VM.set_name_label]
diff:
  description: What differs, by option name.
  returned: success
  type: dict
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.template import Template

MODULE = manage(Template)

if __name__ == "__main__":
    main(MODULE)
