# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest is described and configured by: texts, options of modules, sizes in super blocks."""

from __future__ import annotations

import os
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.xl.guest import described, installer, texts, waiting
from ansible_collections.domzero.xen.plugins.module_utils.xl.guest.initrd import initrd_of, too_little
from ansible_collections.domzero.xen.plugins.module_utils.xl.guest.look import Journal, Seen
from ansible_collections.domzero.xen.plugins.module_utils.xl.guest.machine import Machine
from ansible_collections.domzero.xen.plugins.module_utils.xl.guest.room import known_size
from ansible_collections.domzero.xen.plugins.module_utils.xl.guest.survey import balloons
from ansible_collections.domzero.xen.plugins.module_utils.xl.guest.wanted import order

MIB = 1 << 20
STATIC = texts.Interface("eth0", "192.0.2.10/24", "192.0.2.1", "00:16:3e:00:00:01")
DYNAMIC = texts.Interface("eth1")


def test_ifupdown_has_a_block_for_each_interface() -> None:
    assert texts.interfaces([STATIC, DYNAMIC, texts.Interface("eth2", "2001:db8::5/64")]) == (
        "auto lo\niface lo inet loopback\n\n"
        "auto eth0\niface eth0 inet static\n    address 192.0.2.10/24\n    gateway 192.0.2.1\n\n"
        "auto eth1\niface eth1 inet dhcp\n\n"
        "auto eth2\niface eth2 inet6 static\n    address 2001:db8::5/64\n"
    )


def test_networkd_knows_an_interface_by_its_mac() -> None:
    assert texts.networkd(STATIC, ["192.0.2.53"], "example.com") == (
        "[Match]\nMACAddress=00:16:3e:00:00:01\n\n[Network]\nAddress=192.0.2.10/24\nGateway=192.0.2.1\nDNS=192.0.2.53\nDomains=example.com\n"
    )
    assert texts.networkd(DYNAMIC) == "[Match]\nName=eth1\n\n[Network]\nDHCP=yes\n"


def test_rows_that_fstab_has_of_other_places_stay() -> None:
    before = "# kept\nUUID=1 / xfs defaults 0 0\nUUID=2 /srv ext4 defaults 0 2\ntmpfs /tmp tmpfs size=1G 0 0\n"
    after = texts.fstab([texts.Mount("UUID=3", "/srv", "ext4"), texts.swap_row("4")], before)
    assert after == (
        "# kept\nUUID=1 / xfs defaults 0 0\ntmpfs /tmp tmpfs size=1G 0 0\nUUID=3 /srv ext4 defaults 0 2\nUUID=4 none swap sw 0 0\n"
    )
    assert texts.fstab([texts.Mount("UUID=3", "/srv", "ext4"), texts.swap_row("4")], after) == after
    assert str(texts.Mount("UUID=3", "/my data", "ext4")) == r"UUID=3 /my\040data ext4 defaults 0 2"


@given(st.lists(st.from_regex(r"UUID=[a-f0-9]{4} /[a-z]{1,5} ext4 defaults 0 2|#[a-z ]*|", fullmatch=True)))
def test_fstab_is_written_once(lines: list[str]) -> None:
    rows = [texts.root_row("0000", "ext4"), texts.swap_row("zzzz")]
    once = texts.fstab(rows, "\n".join(lines))
    assert texts.fstab(rows, once) == once
    assert [line for line in once.splitlines() if line.startswith("#")] == [line for line in lines if line.startswith("#")]


def test_menus_name_kernel_ram_disk_and_root() -> None:
    entries = [("web", "/vmlinuz", "/initrd.img")]
    menu = texts.grub_cfg(entries, "1234", "root=UUID=1234 ro console=hvc0")
    assert "menuentry 'web' {\n  search --no-floppy --fs-uuid --set=root 1234\n  linux /vmlinuz root=UUID=1234 ro console=hvc0\n" in menu
    assert "  initrd /initrd.img\n}" in menu
    assert "  append root=UUID=1234" in texts.extlinux_conf(entries, "root=UUID=1234")
    assert "initrd" not in texts.grub_cfg([("web", "/vmlinuz", "")], "1", "ro")


def test_only_roots_password_is_replaced() -> None:
    assert texts.shadow("root:*:1:0:99999:7:::\nme:!:1::::::\n", "root", "$6$x") == "root:$6$x:1:0:99999:7:::\nme:!:1::::::\n"
    with pytest.raises(InvalidChange, match="no user root"):
        texts.shadow("me:!:1::::::\n", "root", "$6$x")


def test_keys_and_consoles_are_added_once() -> None:
    once = texts.added("ssh-rsa A a", ["ssh-rsa B b", "ssh-rsa A a"])
    assert once == "ssh-rsa A a\nssh-rsa B b\n" and texts.added(once, ["ssh-rsa B b"]) == once
    assert texts.inittab(texts.inittab("id:2:initdefault:\n")).count("hvc0:") == 1


@pytest.mark.parametrize(
    ("address", "gateway", "told"),
    [
        ("192.0.2.10", "", "says no length"), ("192.0.2.0/24", "", "is the network itself"), ("192.0.2.255/24", "", "broadcast address"),
        ("192.0.2.10/24", "198.51.100.1", "is not in 192.0.2.0/24"), ("192.0.2.10/24", "192.0.2.10", "is its own address"),
        ("somewhere", "", "Interface eth0"), ("dhcp", "192.0.2.1", "no address of its own"), ("192.0.2.10/24", "2001:db8::1", "is not in"),
    ],
)  # fmt: skip
def test_addresses_that_cannot_be_are_refused(address: str, gateway: str, told: str) -> None:
    with pytest.raises(InvalidChange, match=told):
        texts.checked(texts.Interface("eth0", address, gateway))


# --- the description of a guest


DEFAULTS = {
    "vg": "vg0", "install": {"method": "tarball", "tarball": "/srv/root.tar"},
    "system": {"timezone": "UTC", "nameservers": ["192.0.2.53"]},
}  # fmt: skip
WEB: dict[str, t.Any] = {
    "name": "web", "memory": "1 GiB", "root": {"size": "10 GiB"}, "swap": "512 MiB",
    "data": [{"name": "srv", "size": "20 GiB", "mount": "/srv"}],
    "nics": [{"bridge": "xenbr0", "address": "192.0.2.10/24", "gateway": "192.0.2.1", "rate": "10Mb/s"}],
    "system": {"timezone": "Europe/Berlin"}, "options": {"on_crash": "restart", "vcpus": 3},
}  # fmt: skip


def test_a_guest_becomes_options_of_modules() -> None:
    guest = described.described(DEFAULTS, WEB)
    assert [volume.path for volume in guest.volumes] == ["/dev/vg0/web-root", "/dev/vg0/web-swap", "/dev/vg0/web-srv"]
    assert guest.volumes[0].options == {"vg": "vg0", "name": "web-root", "pool": None, "path": None, "format": "lvm", "size": str(10 << 30)}
    assert guest.domain["memory"] == "1024" and guest.domain["on_crash"] == "restart" and guest.domain["vcpus"] == 3
    assert [disk["vdev"] for disk in guest.domain["disk"]] == ["xvda", "xvdb", "xvdc"]
    (vif,) = guest.domain["vif"]
    assert vif == {"bridge": "xenbr0", "rate": "10Mb/s", "mac": described.mac("web", 0)} and vif["mac"].startswith("00:16:3e:")
    assert guest.os["timezone"] == "Europe/Berlin" and guest.os["nameservers"] == ["192.0.2.53"]
    assert guest.os["swap"] == {"path": "/dev/vg0/web-swap", "device": "xvdb"}
    assert guest.os["interfaces"] == [{"name": "eth0", "address": "192.0.2.10/24", "gateway": "192.0.2.1", "mac": vif["mac"]}]
    assert guest.address == "192.0.2.10" and guest.wait["wait_for"] == "ssh"
    order({**guest.os}, int)  # which takes all of it


@pytest.mark.parametrize(
    ("kind", "boot", "found"),
    [
        ("pvh", "pygrub", {"bootloader": "pygrub"}), ("pv", "pvgrub", {"kernel": "/usr/lib/grub-xen/grub-x86_64-xen.bin"}),
        ("pvh", "pvgrub", {"kernel": "/usr/lib/grub-xen/grub-i386-xen_pvh.bin"}), ("hvm", "none", {}), ("pvh", "guest", {}),
    ],
)  # fmt: skip
def test_a_guest_boots_as_it_says(kind: str, boot: str, found: dict[str, str]) -> None:
    guest = described.described(DEFAULTS, {**WEB, "type": kind, "boot": boot})
    assert {key: value for key, value in guest.domain.items() if key in ("kernel", "bootloader")} == found


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "a/b"}, "cannot be the name"), ({"root": None}, "has no root"), ({"root": {}}, "the volume root has no size"),
        ({"root": {"size": "ten"}}, "'ten' is not a size"), ({"vg": None}, "where shall the volume root lie"),
        ({"colour": "red"}, "has no key colour"), ({"data": [{"name": "root", "size": "1G"}]}, "two volumes root"),
        ({"boot": "lilo"}, "boot is 'lilo'"), ({"type": "hvm", "boot": "pvgrub"}, "boots by its own BIOS"),
        ({"nics": [{"mac": "zz"}]}, "'zz' is no MAC"), ({"nics": [{"mac": "01:00:5e:00:00:01"}]}, "is no MAC address of a NIC"),
        ({"install": {"method": None}}, "install has no method"), ({"system": {"hostname": "a_b"}}, "cannot be a host name"),
        ({"state": "happy"}, "state is 'happy'"), ({"root": "10G"}, "is not a dictionary"),
    ],
)  # fmt: skip
def test_a_description_that_cannot_be_is_refused(change: dict[str, t.Any], told: str) -> None:
    with pytest.raises(InvalidChange, match=told):
        described.described({**DEFAULTS, **({"vg": None} if "vg" in change else {})}, {**WEB, **change})


def test_addresses_of_nics_stay_the_same_and_differ() -> None:
    made = {described.mac(name, number) for name in ("a", "b", "web") for number in range(4)}
    assert len(made) == 12 and described.mac("web", 0) == described.mac("web", 0)


# --- what is read


@pytest.mark.parametrize(
    ("command", "size"),
    [
        (["mkfs.ext4", "-q", "-F"], 64 * MIB), (["mkfs.ext4", "-q", "-F", "-O", "64bit"], 300 * MIB), (["mkfs.xfs", "-q", "-f"], 320 * MIB),
        (["mkswap"], 32 * MIB),
    ],
    ids=["ext4", "ext4-64bit", "xfs", "swap"],
)  # fmt: skip
def test_a_super_block_says_how_large_its_disk_was(tmp_path: Path, command: list[str], size: int) -> None:
    if not shutil.which(command[0]):
        pytest.skip(f"needs {command[0]}")
    volume = tmp_path / "disk"
    volume.touch()
    os.truncate(volume, size)
    subprocess.run([*command, str(volume)], capture_output=True, check=True)
    os.truncate(volume, size * 2)
    assert known_size(str(volume)) == size


def test_what_is_no_file_system_has_no_size(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(MIB))
    (tmp_path / "short").write_bytes(bytes(10))
    assert known_size(str(tmp_path / "disk")) == known_size(str(tmp_path / "short")) == 0


def test_the_archive_of_the_preseed_file_is_one_that_cpio_reads(tmp_path: Path) -> None:
    if not shutil.which("cpio"):
        pytest.skip("needs cpio")
    done = subprocess.run(["cpio", "-i", "--quiet"], input=installer.cpio("preseed.cfg", b"d-i a b c\n"), cwd=tmp_path, check=True)
    assert done.returncode == 0 and (tmp_path / "preseed.cfg").read_text() == "d-i a b c\n"


def test_the_installer_is_answered() -> None:
    asked = order(
        {
            "name": "web", "path": "/dev/vg0/web", "method": "installer", "suite": "bookworm", "mirror": "http://deb.example.com/debian",
            "interfaces": [{"name": "eth0", "address": "192.0.2.10/24", "gateway": "192.0.2.1"}], "nameservers": ["192.0.2.53"],
        },
        int,
    )  # fmt: skip
    said = installer.preseed(asked).decode()
    assert "d-i netcfg/get_netmask string 255.255.255.0\n" in said and "d-i mirror/http/hostname string deb.example.com\n" in said
    assert "d-i mirror/http/directory string /debian\n" in said and "d-i debian-installer/exit/poweroff boolean true\n" in said
    assert installer.sources(asked)["installer_kernel"].endswith("/dists/bookworm/main/installer-amd64/current/images/netboot/xen/vmlinuz")


def test_an_address_is_found_by_its_mac(tmp_path: Path) -> None:
    leases = tmp_path / "leases"
    leases.write_text("1790000000 00:16:3E:00:00:01 192.0.2.20 web *\n1790000000 00:16:3e:00:00:02 192.0.2.21 db *\n")
    assert waiting.addresses(Machine(), ["00:16:3e:00:00:01"], [str(leases)]) == ["192.0.2.20"]


def test_dom0_gives_memory_away_unless_it_has_a_fixed_size() -> None:
    assert balloons("placeholder") is True and balloons("dom0_mem=1024M,max:1024M") is False


def test_what_a_guest_said_last_is_read_where_dom0_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "guest-web.log").write_bytes(b"starting\r\n" * 20000 + b"\x1b[1mKernel panic\x1b[0m\r\n\r\n---[ end ]---\n")
    assert waiting.logged("web", str(tmp_path), lines=3) == "starting\nKernel panic\n---[ end ]---"
    assert waiting.logged("db", str(tmp_path)) == ""


@pytest.mark.parametrize(
    ("boot", "state", "options", "found"),
    [
        ("dom0", "missing", {}, f"/boot/initrd.img-{os.uname().release}"),
        ("dom0", "installed", {}, "STATE/web/initrd.img"),
        ("guest", "missing", {}, ""),
        ("guest", "installed", {}, "STATE/web/initrd.img"),
        ("pygrub", "installed", {}, ""),
        ("guest", "installed", {"ramdisk": "/boot/other"}, "/boot/other"),
    ],
)
def test_the_initrd_of_a_guest_is_known_where_dom0_has_it(boot: str, state: str, options: dict[str, t.Any], found: str) -> None:
    guest = described.described(DEFAULTS, {**WEB, "boot": boot, "options": options})
    assert initrd_of(guest, Seen("/dev/vg0/web", state), Journal("web", "STATE")) == found


class Debian12(Machine):
    """Its initrd for all hardware, in two files."""

    def ask(self, *argv: str) -> tuple[int, str]:
        assert argv[:2] == ("lsinitramfs", "-l")
        row = "-rw-r--r--   1 root     root     {:>8} Nov 22 17:04 usr/lib/modules/{}\n"
        return 0, "drwxr-xr-x   2 root     root            0 Nov 22 17:04 .\n" + row.format(147152896, "a.ko") + row.format(1, "b.ko")


@pytest.mark.parametrize(
    ("boot", "memory", "options", "advised"),
    [
        ("dom0", "256", {}, 320),  # it panicked
        ("dom0", "272", {}, 0),  # it started
        ("dom0", "1 GiB", {}, 0),
        ("dom0", "192", {"kernel": "/boot/a-small-one"}, 320),  # of which nobody knows what it takes
        ("guest", "192", {}, 320),
        ("guest", "256", {}, 0),
    ],
)
def test_memory_that_an_initrd_does_not_fit_into_is_refused(
    tmp_path: Path, boot: str, memory: str, options: dict[str, t.Any], advised: int
) -> None:
    initrd = tmp_path / "initrd.img"
    initrd.touch()
    os.truncate(initrd, 35288521)
    guest = described.described(DEFAULTS, {**WEB, "boot": boot, "memory": memory, "options": options})
    told = too_little(guest, str(initrd), Debian12())
    assert [line.partition("Give it ")[2] for line in told] == ([f"{advised} MiB."] if advised else [])
