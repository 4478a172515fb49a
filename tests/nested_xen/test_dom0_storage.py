# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage of a Dom0: an iSCSI target and an NFS server in the same guest, a volume group, and a domU on an iSCSI disk."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.nested_xen.playbook import TaskFailed

from .dom0 import Dom0

TARGET = "iqn.2026-11.test.example:storage"
CHAP = {"username": "xen1", "password": "one-secret-12", "username_in": "target1", "password_in": "other-secret-34"}
DISK = f"/dev/disk/by-path/ip-127.0.0.1:3260-iscsi-{TARGET}-lun-0"
# LIO (targetcli): CHAP in both directions, for whatever initiator comes
SERVE = f"""set -e
mkdir -p /srv/export
targetcli <<END
/backstores/fileio create storage /srv/storage.img 128M
/iscsi create {TARGET}
/iscsi/{TARGET}/tpg1/luns create /backstores/fileio/storage
/iscsi/{TARGET}/tpg1 set attribute authentication=1 demo_mode_write_protect=0 generate_node_acls=1 cache_dynamic_acls=1
/iscsi/{TARGET}/tpg1 set auth userid=xen1 password=one-secret-12 mutual_userid=target1 mutual_password=other-secret-34
END
"""
DOMU = f"""
name = "storage-a"
type = "pvh"
kernel = "/vmlinuz"
ramdisk = "/root/domu-initrd.gz"
extra = "console=hvc0 hn=storage-a"
memory = 128
disk = ["phy:{DISK},xvda,w"]
"""


def iscsi(**options: t.Any) -> dict[str, t.Any]:
    return {"domzero.xen.xl_iscsi": {"portal": "127.0.0.1", "target": TARGET, **options}}


def mount(**options: t.Any) -> dict[str, t.Any]:
    return {"domzero.xen.xl_mount": {"path": "/srv/guests", "options": "vers=4.2,_netdev", **options}}


@pytest.mark.core
def test_a_target_is_logged_in_at_with_chap_and_again_when_the_host_starts(dom0: Dom0) -> None:
    dom0.sh(SERVE, timeout=300)
    failed = dom0.fails(iscsi(**{**CHAP, "password": "not-the-secret"}))
    assert "refused the login" in failed["msg"] and "not-the-secret" not in str(failed)
    done = dom0.converges(iscsi(**CHAP, initiator_name="iqn.2026-11.test.example:xen1"))
    assert done["target"]["logged_in"] and done["target"]["disks"][DISK].startswith("/dev/sd")
    assert done["initiator_name"] == "iqn.2026-11.test.example:xen1" and "one-secret-12" not in str(done["commands"])
    assert "InitiatorName=iqn.2026-11.test.example:xen1" in dom0.sh("cat /etc/iscsi/initiatorname.iscsi")
    assert "automatic" in dom0.sh(f"iscsiadm -m node -T {TARGET} -p 127.0.0.1:3260 | grep node.startup")
    assert "disabled" not in dom0.sh("systemctl is-enabled open-iscsi iscsid")


def test_a_target_or_portal_that_is_not_there_is_told(dom0: Dom0) -> None:
    assert f"no target {TARGET}2" in dom0.fails(iscsi(target=f"{TARGET}2"))["msg"]
    assert "127.0.0.1:3999 told no targets" in dom0.fails(iscsi(portal="127.0.0.1:3999", target=f"{TARGET}2"))["msg"]


@pytest.mark.core
def test_a_domu_runs_on_the_disk_and_keeps_it(dom0: Dom0) -> None:
    dom0.put(DOMU, "/root/storage-a.cfg")
    dom0.sh("xl create /root/storage-a.cfg")
    dom0.until("xenstore-read /local/domain/$(xl domid storage-a)/device/vbd/51712/state | grep -q 4", timeout=120)
    failed = dom0.fails(iscsi(state="absent"))
    assert "is in use" in failed["msg"]
    dom0.sh("xl destroy storage-a")


def test_a_volume_group_lies_on_the_target(dom0: Dom0) -> None:
    group = {"name": "iscsivg", "devices": [DISK], "thin_pools": [{"name": "thin", "size": "48 MiB"}]}
    done = dom0.converges({"domzero.xen.xl_volume_group": group})
    assert done["volume_group"]["thin_pools"] == [{"name": "thin", "size": 48 << 20}]
    grown = dom0.converges({"domzero.xen.xl_volume_group": {**group, "thin_pools": [{"name": "thin", "size": "64 MiB"}]}})
    assert grown["commands"] == [f"lvextend --size {64 << 20}b iscsivg/thin"]
    assert "has volumes: thin" in dom0.fails({"domzero.xen.xl_volume_group": {"name": "iscsivg", "state": "absent"}})["msg"]
    assert "vda1 is mounted at /" in dom0.fails({"domzero.xen.xl_volume_group": {"name": "other", "devices": ["/dev/vda1"]}})["msg"]
    dom0.sh("lvremove -y iscsivg/thin")
    dom0.converges({"domzero.xen.xl_volume_group": {"name": "iscsivg", "state": "absent"}})


def test_a_disk_that_holds_something_is_not_taken(dom0: Dom0) -> None:
    dom0.sh(f"mkfs.ext4 -q -L precious {DISK}")
    failed = dom0.fails({"domzero.xen.xl_volume_group": {"name": "iscsivg", "devices": [DISK]}})
    assert "holds ext4 'precious'" in failed["msg"]
    dom0.converges(iscsi(state="absent"))
    assert "No active sessions" in dom0.sh("iscsiadm -m session", check=False)


def test_an_nfs_export_is_mounted_now_and_later(dom0: Dom0) -> None:
    dom0.sh("systemctl start nfs-server; exportfs -o rw,no_root_squash,insecure 127.0.0.1:/srv/export", timeout=200)
    done = dom0.converges(mount(source="127.0.0.1:/srv/export"))
    assert done["mount"]["mounted"] and done["backup"] == "/etc/fstab.before-ansible"
    dom0.sh("touch /srv/guests/one; test -e /srv/export/one; grep -q /srv/guests /etc/fstab; systemctl is-active srv-guests.mount")
    assert "is mounted at /srv/guests" in dom0.fails(mount(source="127.0.0.1:/srv"))["msg"]
    dom0.converges(mount(state="absent"))
    assert "/srv/guests" not in dom0.sh("cat /etc/fstab /proc/mounts")


def test_an_export_that_is_not_there_fails_and_can_be_mended(dom0: Dom0) -> None:
    with pytest.raises(TaskFailed, match="mount /srv/guests failed"):
        dom0.task(mount(source="127.0.0.1:/srv/nothing"))
    dom0.task(mount(source="127.0.0.1:/srv/export"))
    dom0.task(mount(state="absent"))
