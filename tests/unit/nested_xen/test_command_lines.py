# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest of the stories on a real Xen: how it is started and entered."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.domzero.xen.tests.nested_xen.machine import LINK, Machine
from ansible_collections.domzero.xen.tests.nested_xen.ssh import Ssh

MACHINE = Machine(Path("/x/guest"), Path("/x/key"), ssh_port=2201, link_port=2202)


def words_after(line: list[str], option: str) -> list[str]:
    return [line[place + 1] for place, word in enumerate(line) if word == option]


def test_the_processor_is_the_one_xen_boots_on() -> None:
    assert words_after(MACHINE.command(), "-cpu") == ["qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+svm,+npt"]


def test_a_guest_sees_nothing_of_the_world_and_only_its_ssh_is_seen() -> None:
    user, _link = words_after(MACHINE.command(), "-netdev")
    assert "restrict=on" in user.split(",")
    assert "hostfwd=tcp:127.0.0.1:2201-:22" in user.split(",")


def test_going_on_from_a_snapshot_changes_nothing_else() -> None:
    assert MACHINE.command("xen") == [*MACHINE.command(), "-loadvm", "xen"]


def test_of_two_linked_guests_one_listens_and_both_have_the_same_devices() -> None:
    other = Machine(Path("/x/guest"), Path("/x/key"), ssh_port=2201, link_port=2202, listens=False)
    assert "socket,id=n1,listen=127.0.0.1:2202" in MACHINE.command()
    assert [word.replace("connect=", "listen=") for word in other.command()] == MACHINE.command()
    assert any(LINK in word for word in other.command())


def test_ansible_and_ssh_share_one_connection() -> None:
    ssh = Ssh(2201, Path("/x/key"), Path("/tmp/cm"))
    assert "ControlPath=/tmp/cm/2201" in ssh.command("true")
    assert "ControlPath=/tmp/cm/2201" in str(ssh.host_vars()["ansible_ssh_args"])
    assert ssh.command("xl list")[-2:] == ["root@127.0.0.1", "xl list"]
