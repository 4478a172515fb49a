# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # the options of all SR types; the same as TYPES in module_utils/resources/sr/types.py
    DOCUMENTATION = r"""
options:
  server:
    description: V(nfs), V(cephfs), V(glusterfs) (as C(host:/volume)), V(moosefs). Name or address of the server.
    type: str
  path:
    description: V(nfs), V(cephfs), V(moosefs). The exported path.
    type: str
  nfs_version:
    description: V(nfs), V(iso). Without it the driver takes 3.
    type: str
    choices: ["3", "4", "4.0", "4.1"]
  udp:
    description: V(nfs). Use UDP instead of TCP.
    type: bool
  options:
    description: V(nfs), V(iso), V(cephfs), V(moosefs). More options for the mount, separated by commas.
    type: str
  target:
    description: V(lvmoiscsi), V(iscsi). Address of the iSCSI server; several are separated by commas.
    type: str
  port:
    description: V(lvmoiscsi), V(iscsi), V(cephfs), V(moosefs). TCP port of the server. Of iSCSI servers 3260 unless given.
    type: int
  iqn:
    description: V(lvmoiscsi), V(iscsi). Name of the target (IQN); V(*) for all that the server has.
    type: str
  scsi_id:
    description: V(lvmoiscsi), V(lvmohba), V(lvmofcoe). The SCSI id of the LUN.
    type: str
  chap_user:
    description: V(lvmoiscsi), V(iscsi). User to log in to the target as.
    type: str
  chap_password:
    description: V(lvmoiscsi), V(iscsi). Password of O(chap_user). It is kept as a secret of the pool.
    type: str
  incoming_chap_user:
    description: V(lvmoiscsi), V(iscsi). User the target logs in to the host as.
    type: str
  incoming_chap_password:
    description: V(lvmoiscsi), V(iscsi). Password of O(incoming_chap_user). It is kept as a secret of the pool.
    type: str
  multihomed:
    description: V(lvmoiscsi), V(iscsi). Log in to all addresses of the target.
    type: bool
  local_iqn:
    description: V(lvmoiscsi), V(iscsi). The host's own IQN for this SR, instead of the host's C(iscsi_iqn).
    type: str
  allocation:
    description: V(lvm), V(lvmoiscsi), V(lvmohba), V(lvmofcoe). Whether a disk takes all its space from the beginning.
    type: str
    choices: [thick, thin]
  device:
    description: V(ext), V(lvm), V(xfs), V(largeblock). The disk or partition, as V(/dev/sdb); several are separated by commas.
    type: str
  location:
    description:
      - V(iso). Where the images are, C(server:/path) for an NFS export, C(//server/share) for an SMB share, a path for a directory of the
        host.
      - V(smb). The share, as C(//server/share).
      - V(file), V(shm), V(zfs). A directory of the host that is there already.
      - V(udev). The directory of the links to the devices.
    type: str
  iso_path:
    description: V(iso). The directory of the images inside the export or share.
    type: str
  smb_username:
    description: V(iso), V(smb). User of the share, with its domain as C(domain\user).
    type: str
  smb_password:
    description: V(iso), V(smb). Password of O(smb_username). It is kept as a secret of the pool.
    type: str
  smb_version:
    description: V(iso). Version of the SMB protocol. Without it the driver takes 3.0.
    type: str
    choices: ["1.0", "3.0"]
  backup_servers:
    description: V(glusterfs). Further servers of the volume, separated by commas.
    type: str
  fetch_attempts:
    description: V(glusterfs). How often a server is asked for the volume's description.
    type: int
  group_name:
    description: V(linstor). The resource group.
    type: str
  redundancy:
    description: V(linstor). On how many hosts each disk is kept.
    type: int
  provisioning:
    description: V(linstor). Whether a disk takes all its space from the beginning. Without it the driver takes V(thin).
    type: str
    choices: [thin, thick]
  monitor_db_quorum:
    description: V(linstor). Watch whether enough hosts hold the database.
    type: bool
  device_config:
    description:
      - Further keys of C(PBD.device_config), for what has no option of its own, and for types that are not named here.
      - A null removes a key. Keys not named here are left alone.
      - Passwords have options of their own; what stands here is not hidden in logs.
    type: dict
"""
