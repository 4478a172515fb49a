# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of guests becomes a running Debian domU (PVH, its own kernel), which grows and is copied while it runs."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.nested_xen.dom0 import Dom0

ADDRESS = "10.99.0.61"
GUEST: dict[str, t.Any] = {
    "name": "domu-web", "memory": "256", "root": {"size": "900 MiB"}, "swap": "64 MiB",
    "data": [{"name": "data", "size": "64 MiB", "mount": "/srv/data"}],
    "nics": [{"bridge": "xenbr0", "address": f"{ADDRESS}/24"}], "wait_timeout": 900,
}  # fmt: skip
SSH = f"ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=120 root@{ADDRESS}"


@pytest.fixture(scope="module")
def variables(dom0: Dom0) -> dict[str, t.Any]:
    """What the role is given. The Dom0's own key may enter the guest."""
    key = dom0.sh("ssh-keygen -y -f /root/.ssh/id_ed25519")
    return {
        "domu_defaults": {
            "vg": "vg0", "boot": "guest", "install": {"method": "tarball", "tarball": "/srv/domu/debian.tar"},
            "system": {"authorized_keys": [key.strip()], "timezone": "Etc/UTC"},
        },
        "domu_guests": [GUEST],
    }  # fmt: skip


@pytest.fixture(scope="module")
def running(dom0: Dom0, variables: dict[str, t.Any]) -> None:
    """The guest is there, also where the stories that make it were told before others."""
    if GUEST["name"] not in dom0.sh("xl list"):
        dom0.role("domu", variables)


@pytest.mark.core
def test_what_is_wrong_is_told_before_anything_is_made(dom0: Dom0, variables: dict[str, t.Any]) -> None:
    wrong = [
        {**GUEST, "name": "domu-a", "nics": [{"bridge": "nobr9"}]}, {**GUEST, "name": "domu-b", "root": {"size": "90 GiB"}},
        {**GUEST, "name": "domu-c", "install": {"tarball": "/no.tar"}, "memory": "64 GiB"},
    ]  # fmt: skip
    done = dom0.fails({"domzero.xen.xl_guest_preflight": {"guests": [GUEST, *wrong], "defaults": variables["domu_defaults"]}})
    for told in (
        "no bridge nobr9",
        "The volume group vg0 has",
        "there is no tarball /no.tar",
        "of memory together",
        f"address {ADDRESS} is used twice",
    ):
        assert told in done["msg"]
    assert "domu-" not in dom0.sh("lvs --noheadings -o lv_name vg0")


@pytest.mark.core
def test_a_debian_from_a_tarball_answers(dom0: Dom0, variables: dict[str, t.Any]) -> None:
    """Check mode, real, again."""
    dom0.role_converges("domu", variables)
    said = dom0.sh(f"{SSH} 'hostname; findmnt -no SOURCE /; findmnt -no SOURCE /srv/data; cat /proc/swaps; cat /sys/hypervisor/guest_type'")
    assert said.split()[:3] == ["domu-web", "/dev/xvda", "/dev/xvdc"] and "/dev/xvdb" in said and "PVH" in said
    assert "/run/domzero.xen" not in dom0.sh("cat /proc/mounts; losetup -a")


@pytest.mark.usefixtures("running")
def test_file_systems_and_swap_grow_while_it_runs(dom0: Dom0, variables: dict[str, t.Any]) -> None:
    boot = dom0.sh(f"{SSH} cat /proc/sys/kernel/random/boot_id")
    larger = {**GUEST, "root": {"size": "1100 MiB"}, "swap": "96 MiB", "data": [{**GUEST["data"][0], "size": "128 MiB"}]}
    dom0.role("domu", {**variables, "domu_guests": [larger]})
    said = dom0.sh(f"{SSH} 'cat /proc/sys/kernel/random/boot_id; df -m --output=size / /srv/data; cat /proc/swaps'")
    assert said.startswith(boot)
    root, data = (int(line) for line in said.splitlines()[2:4])
    assert root > 1000 and data > 110
    assert "98300" in said  # KiB of 96 MiB without a page


@pytest.mark.usefixtures("running")
def test_its_volumes_are_copied_while_it_runs(dom0: Dom0, variables: dict[str, t.Any]) -> None:
    dom0.sh(f"{SSH} 'echo kept >/srv/data/file; sync'")
    there = {**GUEST, "root": {"path": "/dev/vg0/domu-web-root"}, "swap": None, "data": [{**GUEST["data"][0], "size": "128 MiB"}]}
    backup = {"domu_guests": [there], "domu_backup_dir": "/root", "domu_backup_format": "raw", "domu_backup_stamp": "1"}
    task = {"ansible.builtin.include_role": {"name": "domzero.xen.domu", "tasks_from": "backup"}, "vars": {**variables, **backup}}
    dom0.tasks([task])
    assert "kept" in dom0.sh("debugfs -R 'cat /file' /root/domu-web-data-1.raw")
    assert dom0.sh("lvs --noheadings -o lv_name vg0").split() == ["domu-web-data", "domu-web-root", "domu-web-swap"]  # and no snapshot
    assert "domu-web" in dom0.sh("xl list domu-web")


@pytest.mark.usefixtures("running")
def test_it_goes_with_its_volumes(dom0: Dom0, variables: dict[str, t.Any]) -> None:
    gone = {**GUEST, "state": "absent", "remove_volumes": True}
    dom0.sh("xl destroy domu-web", check=False)
    dom0.role("domu", {**variables, "domu_guests": [gone]})
    assert "domu-" not in dom0.sh("lvs --noheadings -o lv_name vg0 && xl list && find /etc/xen -name '*.cfg'")
