# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils import hosts
from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import NotFound
from ansible_collections.domzero.xen.plugins.module_utils.refs import Objects


@pytest.fixture
def objects(session: Session) -> Objects:
    """Those of a pool of two hosts."""
    return Objects(session)


def name(objects: Objects, ref: str | None) -> str:
    return hosts.name_of(objects, ref or "")


@pytest.mark.parametrize("text", ["xcp01", "127.10.0.101", "127.10.0.101:8443", "https://127.10.0.101:8443"])
def test_a_host_is_known_by_its_name_and_address(text: str, objects: Objects) -> None:
    assert name(objects, hosts.resolve(objects, text)) == "xcp01"


def test_a_host_is_known_by_its_uuid(objects: Objects) -> None:
    uuid = objects.get("host", hosts.coordinator(objects))["uuid"]
    assert hosts.resolve(objects, uuid) == hosts.coordinator(objects)


def test_a_host_nobody_knows_is_not_found(objects: Objects) -> None:
    assert hosts.known(objects, "no host") is None
    with pytest.raises(NotFound, match="There are: xcp00, xcp01"):
        hosts.resolve(objects, "192.0.2.1")


def test_a_name_that_resolves_is_an_address(pool: t.Any, objects: Objects) -> None:
    db = pool().world.pools[0].db
    db.set("host", hosts.coordinator(objects), address="127.0.0.1")
    objects.forget()
    assert name(objects, hosts.one_at(objects, "localhost")) == "xcp00"


def test_a_local_sr_is_what_goes_with_a_host(objects: Objects) -> None:
    member = hosts.resolve(objects, "xcp01")
    assert [objects.get("SR", sr)["name_label"] for sr in hosts.local_srs(objects, member)] == ["Local storage"]
    loss = hosts.lost_with(objects, member)
    assert (loss["host"], [sr["name"] for sr in loss["srs"]], loss["vms"]) == ("xcp01", ["Local storage"], [])
