# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of backups that are encrypted while they are written: what lies there, who can read it, what is told where it fails."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup import sealing
from ansible_collections.domzero.xen.plugins.module_utils.backup.manifest import Stored
from ansible_collections.domzero.xen.plugins.module_utils.backup.private import PREFIX, private_folder
from ansible_collections.domzero.xen.plugins.module_utils.backup.stored import Backup
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged

from ..meanwhile import meanwhile
from . import keys, shelf

DATA = random.Random(7).randbytes(3 << 20) + b"secret of the guest" * 1000 + bytes(1 << 20)


class Key(t.NamedTuple):
    encryption: keys.Encryption
    identity: str


@pytest.fixture(scope="module", params=[pytest.param("age", marks=keys.needs_age), pytest.param("gpg", marks=keys.needs_gpg)])
def key(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Key]:
    if request.param == "age":
        yield Key(*keys.age_key(tmp_path_factory.mktemp("age")))
        return
    with keys.gpg_home() as encryption:
        yield Key(encryption, "")


def sealed(path: Path, encryption: keys.Encryption, data: bytes = DATA) -> Stored:
    with sealing.landing(path, encryption) as file:
        for at in range(0, len(data), 1 << 18):
            file.write(memoryview(data)[at : at + (1 << 18)])
        file.finish()
    return Stored(path.name, file.size, file.sha256)


def read(path: Path, encryption: keys.Encryption, identity: str) -> bytes:
    found, buffer = b"", memoryview(bytearray(1 << 20))
    with sealing.opened(path, encryption, identity) as source:
        while count := source.readinto(buffer):
            found += buffer[:count]
    return found


def backup(root: Path, encryption: keys.Encryption, data: bytes = DATA) -> tuple[Backup, Stored]:
    subject = shelf.vm(root)
    with subject.lock("backup"), subject.begin(shelf.NOON) as draft:
        file = sealed(draft.path / "disk0.vhd", encryption, data)
        return draft.commit(shelf.described(draft, [file], encryption=encryption)), file


def test_what_lies_there_is_encrypted_and_is_read_again(key: Key, tmp_path: Path) -> None:
    file = sealed(tmp_path / "x.vhd", key.encryption)
    there = (tmp_path / "x.vhd").read_bytes()
    assert (file.size, file.sha256) == (len(there), hashlib.sha256(there).hexdigest())
    assert b"secret" not in there
    assert read(tmp_path / "x.vhd", key.encryption, key.identity) == DATA
    assert os.listdir(tmp_path) == ["x.vhd"]


def test_the_tool_itself_opens_it_without_us(key: Key, tmp_path: Path) -> None:
    sealed(tmp_path / "x", key.encryption)
    command = ["age", "-d", "-i", key.identity] if key.identity else ["gpg", "--batch", "-q", "-d"]
    assert subprocess.run([*command, str(tmp_path / "x")], check=True, capture_output=True).stdout == DATA


def test_what_is_encrypted_says_so_in_its_name(key: Key) -> None:
    name = sealing.named("disk0.vhd", key.encryption)
    assert name in ("disk0.vhd.age", "disk0.vhd.gpg")
    assert sealing.plain_name(name) == sealing.plain_name("disk0.vhd") == sealing.named("disk0.vhd", {}) == "disk0.vhd"


def test_a_file_of_nothing_is_a_file(key: Key, tmp_path: Path) -> None:
    assert sealed(tmp_path / "x", key.encryption, b"").size > 0
    assert read(tmp_path / "x", key.encryption, key.identity) == b""


def test_what_is_not_finished_is_not_there(key: Key, tmp_path: Path) -> None:
    with sealing.landing(tmp_path / "x", key.encryption) as file:
        file.write(DATA)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("place", [0, 100, 5000, -40, -1])
def test_a_changed_bit_is_found(key: Key, tmp_path: Path, place: int) -> None:
    sealed(tmp_path / "x", key.encryption)
    there = bytearray((tmp_path / "x").read_bytes())
    there[place] ^= 1
    (tmp_path / "x").write_bytes(there)
    with pytest.raises((Damaged, InvalidChange)):
        read(tmp_path / "x", key.encryption, key.identity)


def test_a_file_cut_off_is_found(key: Key, tmp_path: Path) -> None:
    file = sealed(tmp_path / "x", key.encryption)
    os.truncate(tmp_path / "x", file.size - 100)
    with pytest.raises(Damaged, match="is damaged"):
        read(tmp_path / "x", key.encryption, key.identity)


def test_a_plain_copy_is_there_for_a_while(key: Key, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "repository").mkdir()
    made, file = backup(tmp_path / "repository", key.encryption)
    with sealing.unsealed(made, file, key.identity, tmp_path / "private") as path:
        assert path.read_bytes() == DATA
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.name == "disk0.vhd"
    assert os.listdir(tmp_path / "private") == []
    assert made.file(file).read_bytes() != DATA


def test_a_plain_backup_is_read_where_it_lies(tmp_path: Path) -> None:
    made, file = backup(tmp_path, {})
    with sealing.unsealed(made, file) as path:
        assert path == made.path / "disk0.vhd"
    assert read(path, {}, "") == DATA


def test_nothing_can_be_read_without_the_key(key: Key, tmp_path: Path) -> None:
    sealed(tmp_path / "x", key.encryption)
    if not key.identity:
        with keys.gpg_home(), pytest.raises(InvalidChange, match=r"cannot be opened.*No secret key"):
            read(tmp_path / "x", key.encryption, "")
        return
    with pytest.raises(InvalidChange, match="is encrypted with age"):
        read(tmp_path / "x", key.encryption, "")
    with pytest.raises(InvalidChange, match=r"identity .* cannot be read"):
        read(tmp_path / "x", key.encryption, str(tmp_path / "nowhere"))
    _other, identity = keys.age_key(tmp_path)
    with pytest.raises(InvalidChange, match="cannot be opened: no identity matched"):
        read(tmp_path / "x", key.encryption, identity)


# before anything is changed -------------------------------------------------------------------------------------
@pytest.mark.parametrize("recipients", [["nobody-of-that-name"], ["--version"], [""], []])
def test_a_recipient_nobody_knows_is_refused_before(key: Key, recipients: list[str]) -> None:
    with pytest.raises(InvalidChange, match=r"cannot encrypt for|no recipient is given"):
        sealing.refuse_bad({**key.encryption, "recipients": recipients})


def test_recipients_that_are_known_are_not_refused(key: Key) -> None:
    sealing.refuse_bad(key.encryption)
    sealing.refuse_bad({})


def test_a_command_that_is_missing_is_told(key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed(tmp_path / "x", key.encryption)
    monkeypatch.setenv("PATH", str(tmp_path))
    for asked in (
        lambda: sealing.refuse_bad(key.encryption),
        lambda: sealed(tmp_path / "y", key.encryption),
        lambda: read(tmp_path / "x", key.encryption, key.identity),
    ):
        with pytest.raises(InvalidChange, match=r"The command (age|gpg) is missing"):
            asked()
    assert os.listdir(tmp_path) == ["x"]


def test_a_command_that_fails_on_the_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ends early, by itself or killed."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "age").write_text("#!/bin/sh\nhead -c 1000 >/dev/null\necho 'age: error: no more' >&2\nexit 3\n")
    (tools / "age").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    with pytest.raises(XenError, match="could not be encrypted: age says: no more"):
        sealed(tmp_path / "x", {"tool": "age", "recipients": ["a"]})
    assert os.listdir(tmp_path) == ["bin"]


@keys.needs_age
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    encryption, _identity = keys.age_key(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(XenError, match="could not be written"):
            sealed(tmp_path / "x", encryption)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == ["key.txt"]


def test_what_a_killed_task_left_unencrypted_goes_with_the_next(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}left").mkdir()
    (tmp_path / f"{PREFIX}left" / "disk0.vhd").write_bytes(b"secret")
    (tmp_path / "mine").mkdir()
    with private_folder(tmp_path) as first, private_folder(tmp_path) as second:
        assert {path.name for path in tmp_path.iterdir()} == {"mine", first.name, second.name}
    assert os.listdir(tmp_path) == ["mine"]


@pytest.mark.parametrize("before", ["open", "flock"])
def test_a_folder_that_another_task_took_for_left_is_made_again(tmp_path: Path, before: str) -> None:
    """Between its making and its lock."""

    def sweep() -> None:
        for path in tmp_path.iterdir():
            path.rmdir()

    with meanwhile(before, sweep), private_folder(tmp_path) as place:
        assert os.listdir(tmp_path) == [place.name]
    assert os.listdir(tmp_path) == []
