# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest tells of itself, as agents of several ages write it."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils import guest


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        ({}, {}),
        ({"0/ip": "10.80.238.146", "0/ipv6/0": "fe80::ac37:99ff:fed3:8c09"}, {"0": ["10.80.238.146", "fe80::ac37:99ff:fed3:8c09"]}),
        ({"0/ip": "10.0.0.1", "0/ipv4/0": "10.0.0.1", "1/ipv4/0": "10.1.0.1"}, {"0": ["10.0.0.1"], "1": ["10.1.0.1"]}),
        ({"0/ip": "10.0.0.1 10.0.0.2\n10.0.0.3"}, {"0": ["10.0.0.1", "10.0.0.2", "10.0.0.3"]}),
        ({"0/ipv4/10": "10.0.0.10", "0/ipv4/9": "10.0.0.9", "0/ipv4/0": "10.0.0.1"}, {"0": ["10.0.0.1", "10.0.0.9", "10.0.0.10"]}),
        ({"0/ipv6/0": "fe80::1", "0/ipv6/1": "2001:0db8:0000:0000:0000:0000:0000:0001"}, {"0": ["2001:db8::1", "fe80::1"]}),
        ({"0/ip": "169.254.7.7", "0/ipv6/0": "2001:db8::1"}, {"0": ["2001:db8::1", "169.254.7.7"]}),
        ({"0/ipv6/0": "fe80::1%4", "0/ip": ""}, {"0": ["fe80::1"]}),
        ({"0/ip": "none", "1/ip": "300.1.1.1", "x": "10.0.0.1"}, {}),
    ],
)
def test_addresses_come_by_device_the_useful_ones_first(networks: dict[str, str], expected: dict[str, list[str]]) -> None:
    assert guest.addresses({"networks": networks}) == expected


def test_a_guest_without_a_report_has_nothing() -> None:
    assert guest.addresses({}) == {}
    assert guest.os({}) == {}
    assert guest.tools({}) == {"detected": False, "up_to_date": False, "version": ""}


@given(st.dictionaries(st.from_regex(r"[0-9]{1,2}/(ip|ipv[46]/[0-9]{1,2}|.{0,5})", fullmatch=True), st.text()))
def test_whatever_a_guest_tells_is_read(networks: dict[str, str]) -> None:
    """A guest can write anything there."""
    for device, found in guest.addresses({"networks": networks}).items():
        assert device in {key.split("/")[0] for key in networks}
        assert found and all(guest.canonical(address) == address for address in found)
        assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            {"name": "Debian GNU/Linux 12 (bookworm)", "uname": "6.1.0", "distro": "debian", "major": "12", "minor": "0"},
            {"name": "Debian GNU/Linux 12 (bookworm)", "distro": "debian", "version": "12.0", "kernel": "6.1.0"},
        ),
        (
            {"name": r"Microsoft Windows 7 Ultimate |C:\Windows|\Device\Harddisk0", "distro": "windows", "major": "6", "minor": "1"},
            {"name": "Microsoft Windows 7 Ultimate", "distro": "windows", "version": "6.1"},
        ),
        ({"name": "FreeBSD 14", "major": "14"}, {"name": "FreeBSD 14", "version": "14"}),
    ],
)
def test_the_operating_system_is_told_as_far_as_it_is_known(told: dict[str, str], expected: dict[str, str]) -> None:
    assert guest.os({"os_version": told}) == expected


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (
            {"PV_drivers_version": {"major": "9", "minor": "4", "micro": "0", "build": "1"}, "PV_drivers_up_to_date": True},
            {"detected": True, "up_to_date": True, "version": "9.4.0-1"},
        ),
        ({"PV_drivers_version": {}, "PV_drivers_detected": True}, {"detected": True, "up_to_date": False, "version": ""}),
        ({"PV_drivers_detected": False, "PV_drivers_up_to_date": True}, {"detected": False, "up_to_date": False, "version": ""}),
        (
            {"PV_drivers_version": {"major": "5", "minor": "6", "micro": "810", "build": "31078"}, "PV_drivers_up_to_date": False},
            {"detected": True, "up_to_date": False, "version": "5.6.810-31078"},
        ),
    ],
)
def test_the_tools_are_told(metrics: dict[str, t.Any], expected: dict[str, t.Any]) -> None:
    assert guest.tools(metrics) == expected
