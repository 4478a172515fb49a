# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drive for cloud-init, read by readers of others: dissect.fat, and blkid by which cloud-init finds it."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from dissect.fat import FATFS
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.formats import fat, nocloud

UUID = "7d7a42bb-ba1a-4d68-9b9c-b8a2c2d5b17c"
NAMES = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,40}", fullmatch=True).filter(lambda name: not name.endswith("."))


def files_of(image: bytes) -> dict[str, bytes]:
    return {e.name: e.open().read() if e.size else b"" for e in FATFS(io.BytesIO(image)).root.iterdir() if e.name != nocloud.LABEL}


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, st.binary(max_size=9000), max_size=8))
def test_what_is_written_is_read(files: dict[str, bytes]) -> None:
    image = fat.image("CIDATA", files)
    assert files_of(image) == files
    assert len(image) % fat.SECTOR == 0
    assert fat.image("CIDATA", files) == image


@pytest.mark.parametrize("size", [0, 1, fat.CLUSTER - 1, fat.CLUSTER, fat.CLUSTER + 1, fat.SMALLEST + 1, fat.MOST_CLUSTERS * fat.CLUSTER])
def test_files_of_any_size_are_read(size: int) -> None:
    data = bytes(n * 7 % 251 for n in range(min(size, 9000))).ljust(size, b"x")
    assert files_of(fat.image("CIDATA", {"user-data": data})) == {"user-data": data}


def test_more_than_a_small_disk_holds_is_refused() -> None:
    with pytest.raises(InvalidChange, match="more than a small disk holds"):
        fat.image("CIDATA", {"user-data": bytes(fat.MOST_CLUSTERS * fat.CLUSTER + 1)})


@pytest.mark.skipif(not shutil.which("blkid"), reason="blkid is not there")
def test_the_drive_is_found_by_its_label(tmp_path: Path) -> None:
    path = tmp_path / "drive"
    path.write_bytes(config({"packages": ["nginx"]}).image(UUID, "web01"))
    told = subprocess.run(["blkid", "-p", "-o", "export", path], check=True, capture_output=True, text=True).stdout
    assert {"LABEL=CIDATA", "TYPE=vfat"} <= set(told.splitlines())


def config(user_data: t.Any = None, meta_data: t.Any = None, network_config: t.Any = None) -> nocloud.Config:
    return nocloud.config(user_data, meta_data, network_config, "of VM 'web01'")


@pytest.mark.parametrize("name", ["web01", "web01.example.com"])
def test_a_mapping_is_written_as_cloud_config(name: str) -> None:
    data = {"users": ["default"], "hostname": "ü", "runcmd": [["echo", "a: b"]]}
    files = files_of(config(data).image(UUID, name))
    assert set(files) == {"user-data", "meta-data"}
    assert files["user-data"].startswith(b"#cloud-config\n")
    assert yaml.safe_load(files["user-data"]) == data
    assert yaml.safe_load(files["meta-data"]) == {"instance-id": f"{UUID}-{config(data).digest[:12]}", "local-hostname": name}


def test_a_text_is_written_as_it_is() -> None:
    text = "#cloud-config\n# with a remark\npackages: [nginx]\n"
    assert files_of(config(text).image(UUID, "x"))["user-data"].decode() == text


def test_meta_data_can_be_given() -> None:
    meta = yaml.safe_load(files_of(config(meta_data="instance-id: fixed\nregion: here\n").image(UUID, "My VM!"))["meta-data"])
    assert meta == {"instance-id": "fixed", "region": "here"}


@pytest.mark.parametrize("network", [{"version": 2, "ethernets": {}}, "network:\n  version: 1\n  config: []\n"])
def test_the_network_can_be_configured(network: t.Any) -> None:
    written = yaml.safe_load(files_of(config(network_config=network).image(UUID, "x"))["network-config"])
    assert written == (yaml.safe_load(network) if isinstance(network, str) else network)


def test_another_content_or_vm_is_another_instance() -> None:
    ids = {
        json.loads(files_of(config({"a": a}).image(uuid, "x"))["meta-data"])["instance-id"] for a in (1, 2) for uuid in (UUID, UUID[::-1])
    }
    assert len(ids) == 4


def test_a_new_name_is_no_other_content() -> None:
    assert config({"a": 1}).digest == config({"a": 1}).digest != config({"a": 2}).digest


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"user_data": "packages: [nginx]"}, "user_data of VM 'web01' begins with nothing that cloud-init knows"),
        ({"user_data": "#cloud-config\na: [1\nb: hunter2"}, "user_data of VM 'web01' is not YAML .line 3"),
        ({"user_data": "#cloud-config\n- a\n"}, "user_data of VM 'web01' is not a mapping"),
        ({"user_data": ["a"]}, "user_data of VM 'web01' is not a mapping"),
        ({"user_data": "#cloud-config\nruncmd: reboot\n"}, "runcmd has to be a list"),
        ({"user_data": {"packages": "nginx"}}, "packages has to be a list"),
        ({"meta_data": "just text"}, "meta_data of VM 'web01' is not a mapping"),
        ({"network_config": {"ethernets": {}}}, "network_config of VM 'web01' names no version"),
        ({"network_config": "version: 3"}, "names no version"),
    ],
)
def test_what_cloud_init_would_not_take_is_refused(given: dict[str, t.Any], told: str) -> None:
    with pytest.raises(InvalidChange, match=told) as refused:
        config(**given)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("text", ["#!/bin/sh\nreboot\n", "## template: jinja\n#cloud-config\n{% if x %}\n", "#include\nhttps://x\n"])
def test_other_kinds_of_user_data_are_taken(text: str) -> None:
    assert files_of(config(text).image(UUID, "x"))["user-data"].decode() == text
