#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xl_guest_os
short_description: Put an operating system onto the volume of a domU
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Installs a Linux system onto a logical volume or raw image file of Dom0 and configures it, so that a domain can be started from it.
    The role P(domzero.xen.domu#role) makes the volume before and the domain after.
  - A system that is there is never installed again, and what holds anything else is refused. An installation that was cut off is begun
    anew.
  - What Dom0 keeps of a guest (its kernel, how far its installation has come) lies below O(state_dir).
extends_documentation_fragment: [domzero.xen.xl]
options:
  name:
    description: The domain's name.
    type: str
    required: true
  path:
    description: The volume, a block device or a raw image file.
    type: path
    required: true
  size:
    description: How large the volume is to be. In check mode a volume that is not there is taken to be made with it.
    type: str
  method:
    description:
      - V(debootstrap) installs O(suite) from O(mirror). V(tarball) unpacks a root file system. V(image) copies a whole disk or file system.
        V(xen_tools) calls C(xen-create-image).
      - V(installer) prepares Debian's installer to be booted as the domain, and configures what it has installed when called again.
    type: str
    required: true
    choices: [debootstrap, tarball, image, xen_tools, installer]
  suite:
    description: The release to install, such as V(bookworm).
    type: str
  mirror:
    description: Where packages come from, a URL. C(file:) URLs are Dom0's folders.
    type: str
  variant:
    description: The variant of debootstrap, such as V(minbase).
    type: str
  components:
    description: Components of the mirror, such as V(main).
    type: list
    elements: str
  include:
    description: Packages that debootstrap installs beside the base system.
    type: list
    elements: str
  keyring:
    description: The keys that sign the mirror, a file on Dom0.
    type: path
  check_gpg:
    description: Whether the mirror's signature is checked by debootstrap.
    type: bool
    default: true
  debootstrap_options:
    description: Further options of debootstrap.
    type: list
    elements: str
  tarball:
    description: The root file system, a tar file on Dom0, packed or not.
    type: path
  image:
    description: The image, a file on Dom0. Raw, qcow2, vhd, vhdx and vmdk are told apart by what they hold.
    type: path
  sha256:
    description: The SHA-256 that O(tarball) or O(image) has to have.
    type: str
  xen_tools_options:
    description: Further options of C(xen-create-image).
    type: list
    elements: str
  preseed:
    description: The text of the preseed file for the installer. Without it one is made of the other options.
    type: str
  installer_kernel:
    description: The installer's kernel, a file of Dom0 or a URL. By default that of the mirror for Xen.
    type: str
  installer_ramdisk:
    description: The installer's initial RAM disk, likewise.
    type: str
  filesystem:
    description: The file system of the root.
    type: str
    choices: [ext4, xfs, btrfs]
    default: ext4
  partitioned:
    description: Whether the root lies in a partition of the volume. No boot method of Xen needs that.
    type: bool
    default: false
  root_partition:
    description: The partition that holds the root of an image or of what the installer makes; V(0) is the volume itself.
    type: int
  device:
    description: As which device the guest has the volume.
    type: str
    default: xvda
  overwrite:
    description: Whether a volume that holds anything, also a system, is installed anew. What it holds is lost, and each run installs again.
    type: bool
    default: false
  kernel:
    description:
      - V(dom0) copies Dom0's kernel for the guest, and its modules into it. V(guest) fetches the guest's own kernel to Dom0, to boot it
        directly.
      - V(grub) leaves it in the guest, with a menu for pygrub or pvgrub where the system has none. V(none) does nothing about it.
    type: str
    choices: [dom0, guest, grub, none]
    default: dom0
  modules:
    description: Whether the modules of Dom0's kernel are copied too.
    type: bool
    default: true
  arguments:
    description: Further arguments of the kernel.
    type: str
    default: console=hvc0 net.ifnames=0
  configure:
    description: Whether the system is configured. An image that isn't Linux is not.
    type: bool
    default: true
  hostname:
    description: Its host name. The domain's name if not set.
    type: str
  domain:
    description: The DNS domain it is in.
    type: str
  interfaces:
    description: Its network interfaces.
    type: list
    elements: dict
    suboptions:
      name:
        description: As the guest calls it, such as V(eth0).
        type: str
        required: true
      address:
        description: Address and length of the network, such as V(192.0.2.10/24), or V(dhcp).
        type: str
        default: dhcp
      gateway:
        description: The router.
        type: str
      mac:
        description: Its MAC address, by which systemd-networkd and netplan know it.
        type: str
  nameservers:
    description: Addresses of name servers.
    type: list
    elements: str
  network_style:
    description: What configures the network in the guest. V(auto) takes what is installed there.
    type: str
    choices: [auto, ifupdown, networkd, netplan, none]
    default: auto
  authorized_keys:
    description: SSH keys that may log in as root.
    type: list
    elements: str
  root_password_hash:
    description: The hash of root's password. Without it, nobody logs in by password where the system allows none already.
    type: str
  timezone:
    description: The time zone, such as V(Europe/Berlin).
    type: str
  packages:
    description: Packages to install in it, from the mirrors it knows.
    type: list
    elements: str
  commands:
    description: Shell commands to run in its root before it is started for the first time. They run as root on Dom0's kernel.
    type: list
    elements: str
  swap:
    description: A volume for swap space.
    type: dict
    suboptions:
      path:
        description: The volume on Dom0.
        type: path
        required: true
      device:
        description: As which device the guest has it.
        type: str
        required: true
  data:
    description: Further volumes. One that has a file system of its type keeps what it holds.
    type: list
    elements: dict
    suboptions:
      path:
        description: The volume on Dom0.
        type: path
        required: true
      device:
        description: As which device the guest has it.
        type: str
        required: true
      mount:
        description: Where it is mounted. Without it, it is not.
        type: str
      filesystem:
        description: Its file system.
        type: str
        choices: [ext4, xfs, btrfs]
        default: ext4
      options:
        description: Options of the mount.
        type: str
        default: defaults
  state_dir:
    description: Where Dom0 keeps what it needs of guests, a folder for each.
    type: path
    default: /var/lib/domzero.xen/guests
  timeout:
    description: Seconds that each of its commands may take.
    type: float
    default: 3600
notes:
  - Mounts are made where nobody else sees them, and are gone when the task ends, however it ends.
seealso:
  - module: domzero.xen.xl_volume
  - module: domzero.xen.xl_domain
"""

EXAMPLES = r"""
- name: A small Debian from a root file system
  domzero.xen.xl_guest_os:
    name: web01
    path: /srv/guests/web01.img
    method: tarball
    tarball: /srv/images/debian-12.tar
    kernel: none
    interfaces:
      - {name: eth0, address: 192.0.2.10/24, gateway: 192.0.2.1}
    nameservers: [192.0.2.53]

- name: The copy of an image as it is
  domzero.xen.xl_guest_os:
    name: web02
    path: /srv/guests/web02.img
    method: image
    image: /srv/images/debian-12.qcow2
    kernel: none
    configure: false
"""

RETURN = r"""
guest_os:
  description: What is known of the system.
  returned: success
  type: dict
  contains:
    name:
      description: The domain's name.
      type: str
      sample: web01
    path:
      description: The volume.
      type: str
      sample: /dev/vg0/web01-root
    state:
      description: V(installed), or V(installing) where the installer is to be booted.
      type: str
      sample: installed
    found:
      description: What the volume held before, V(missing), V(empty), V(begun), V(installed) or V(other).
      type: str
      sample: empty
    used_by:
      description: The domain that has the volume as a disk, or V(Dom0); empty if nobody uses it.
      type: str
      sample: web01
    size:
      description: Bytes of the volume.
      type: int
      sample: 10737418240
    root_device:
      description: The root as the guest calls it.
      type: str
      sample: /dev/xvda
    kernel:
      description: The kernel to boot it with, on Dom0; empty if it boots by itself.
      type: str
      sample: /var/lib/domzero.xen/guests/web01/vmlinuz
    ramdisk:
      description: The initial RAM disk that goes with it.
      type: str
      sample: /var/lib/domzero.xen/guests/web01/initrd.img
    arguments:
      description: The arguments of that kernel.
      type: str
      sample: root=/dev/xvda ro console=hvc0 net.ifnames=0
    installer:
      description: What the installer is booted with, C(kernel), C(ramdisk) and C(arguments), as long as it is to be booted.
      type: dict
commands:
  description: What was done, or would be.
  returned: success
  type: list
  elements: str
  sample: [begin /dev/vg0/web01-root, mkfs.ext4 -q -F /dev/vg0/web01-root]
"""

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.errors import NotFound
from ansible_collections.domzero.xen.plugins.module_utils.formats.sizes import size
from ansible_collections.domzero.xen.plugins.module_utils.xl.guest.look import FOLDER, Journal
from ansible_collections.domzero.xen.plugins.module_utils.xl.guest.machine import Machine
from ansible_collections.domzero.xen.plugins.module_utils.xl.guest.system import plan, told
from ansible_collections.domzero.xen.plugins.module_utils.xl.guest.wanted import METHODS, order
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import Task
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import main as run_module

VOLUME = {"path": {"type": "path", "required": True}, "device": {"type": "str", "required": True}}
TEXTS = (
    "size",
    "suite",
    "mirror",
    "variant",
    "sha256",
    "preseed",
    "installer_kernel",
    "installer_ramdisk",
    "hostname",
    "domain",
    "timezone",
)
LISTS = ("components", "include", "debootstrap_options", "xen_tools_options", "nameservers", "packages", "commands")
OPTIONS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "path": {"type": "path", "required": True},
    "method": {"type": "str", "required": True, "choices": list(METHODS)},
    **{name: {"type": "str"} for name in TEXTS},
    **{name: {"type": "list", "elements": "str"} for name in LISTS},
    "keyring": {"type": "path"},
    "check_gpg": {"type": "bool", "default": True},
    "tarball": {"type": "path"},
    "image": {"type": "path"},
    "filesystem": {"type": "str", "choices": ["ext4", "xfs", "btrfs"], "default": "ext4"},
    "partitioned": {"type": "bool", "default": False},
    "root_partition": {"type": "int"},
    "device": {"type": "str", "default": "xvda"},
    "overwrite": {"type": "bool", "default": False},
    "kernel": {"type": "str", "choices": ["dom0", "guest", "grub", "none"], "default": "dom0"},
    "modules": {"type": "bool", "default": True},
    "arguments": {"type": "str", "default": "console=hvc0 net.ifnames=0"},
    "configure": {"type": "bool", "default": True},
    "interfaces": {
        "type": "list", "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True}, "address": {"type": "str", "default": "dhcp"},
            "gateway": {"type": "str"}, "mac": {"type": "str"},
        },
    },
    "network_style": {"type": "str", "choices": ["auto", "ifupdown", "networkd", "netplan", "none"], "default": "auto"},
    "authorized_keys": {"type": "list", "elements": "str", "no_log": False},
    "root_password_hash": {"type": "str", "no_log": True},
    "swap": {"type": "dict", "options": VOLUME},
    "data": {
        "type": "list", "elements": "dict",
        "options": {
            **VOLUME, "mount": {"type": "str"}, "filesystem": {"type": "str", "choices": ["ext4", "xfs", "btrfs"], "default": "ext4"},
            "options": {"type": "str", "default": "defaults"},
        },
    },
    "state_dir": {"type": "path", "default": FOLDER},
    "timeout": {"type": "float", "default": 3600.0},
}  # fmt: skip


def run(task: Task) -> dict[str, t.Any]:
    asked = order(task.params, size)
    machine, journal = Machine(task.timeout), Journal(asked.name, task.params["state_dir"])
    try:
        seen, steps = plan(asked, machine, journal)
        if seen.state == "missing" and not task.check:
            raise NotFound(f"Guest {asked.name}: there is no volume {asked.path} on Dom0.")
        done = task.carry_out(steps)
    finally:
        machine.unmounted()
    result = told(asked, seen, steps, journal)
    before = {"system": "" if seen.state != "installed" else "installed"}
    after = {"system": result["state"]}
    return {"changed": bool(steps), "guest_os": result, "commands": done, "diff": {"before": before, "after": after}}


def main() -> None:
    run_module(OPTIONS, run)


if __name__ == "__main__":
    main()
