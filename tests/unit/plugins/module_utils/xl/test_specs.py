# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Specifications of devices: every form that xl knows is read, and what xl would refuse or pass over is refused by name."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.xl import disk, pci, vif
from ansible_collections.domzero.xen.plugins.module_utils.xl.cfg import Cfg
from ansible_collections.domzero.xen.plugins.module_utils.xl.spec import Key
from ansible_collections.domzero.xen.plugins.module_utils.xl.specs import SPECS

DATA = Path(__file__).resolve().parents[4] / "data" / "xl"
VERDICTS: dict[str, list[dict[str, t.Any]]] = json.loads((DATA / "verdicts.json").read_text())
WORDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,10}", fullmatch=True)


def texts_of(verdicts: list[dict[str, t.Any]], refused: bool) -> list[t.Any]:
    return [pytest.param(one, id=repr(one["text"])) for one in verdicts if (one["json"] is None) == refused]


def as_libxl_has_it(device: dict[str, t.Any]) -> dict[str, t.Any]:
    """A disk as libxl prints it."""
    told = disk.filled(device)
    empty = told["format"] == "empty"
    names = {
        "pdev_path": told.get("target"), "vdev": told["vdev"], "format": told["format"], "readwrite": told["access"] == "rw" or None,
        "is_cdrom": told.get("devtype") == "cdrom" or None, "removable": told.get("devtype") == "cdrom" or None,
        "backend": told.get("backendtype"), "backend_domname": told.get("backend"), "script": told.get("script"),
        "direct_io_safe": told.get("direct_io_safe"), "colo_enable": None if "colo" not in told else str(told["colo"]),
        "discard_enable": str(device["discard"]) if "discard" in device else None, "colo_port": told.get("colo_port"),
        "specification": told["specification"] if "specification" in device else None,
        **{name: told.get(name) for name in ("colo_host", "colo_export", "active_disk", "hidden_disk")},
    }  # fmt: skip
    return {name: value for name, value in names.items() if value is not None and not (empty and name == "pdev_path")}


@pytest.mark.parametrize("verdict", texts_of(VERDICTS["disk"], refused=False))
def test_a_disk_means_what_it_means_to_xl(verdict: dict[str, t.Any]) -> None:
    meant = {name: value for name, value in verdict["json"].items() if value != ""}
    assert as_libxl_has_it(disk.parse(verdict["text"])) == meant


@pytest.mark.parametrize("verdict", texts_of(VERDICTS["disk"], refused=True))
def test_a_disk_that_xl_refuses_is_refused(verdict: dict[str, t.Any]) -> None:
    with pytest.raises(InvalidChange, match=r"^disk "):
        disk.parse(verdict["text"])


@pytest.mark.parametrize("verdict", VERDICTS["pci"], ids=lambda verdict: repr(verdict["text"]))
def test_a_pci_device_is_read_or_refused_as_xl_does(verdict: dict[str, t.Any]) -> None:
    if verdict["json"] is None:
        with pytest.raises(InvalidChange, match=r"^pci "):
            pci.parse(verdict["text"])
        return
    told, meant = pci.filled(pci.parse(verdict["text"])), verdict["json"]
    assert {name: told[name] for name in ("seize", "permissive")} == {name: meant.get(name, False) for name in ("seize", "permissive")}
    assert int(told.get("vslot", "0"), 16) == meant.get("vdevfn", 0) >> 3
    if "bdf" in told:
        assert int(told["bdf"][5:7], 16) == meant.get("bus", 0) and int(told["bdf"][:4], 16) == meant.get("domain", 0)


@pytest.mark.parametrize("verdict", VERDICTS["rate"], ids=lambda verdict: repr(verdict["text"]))
def test_a_rate_is_read_or_refused_as_xl_does(verdict: dict[str, t.Any]) -> None:
    if verdict["json"] is None:
        with pytest.raises(InvalidChange, match="rate"):
            vif.parse(f"rate={verdict['text']}")
        return
    per_second = verdict["json"]["rate_bytes_per_interval"] * 10**6 / verdict["json"]["rate_interval_usecs"]
    assert vif.bytes_per_second(verdict["text"]) == pytest.approx(per_second, rel=0.2)


# Xen 4.19 knows vlan, later ones trusted disks; netdev means something else, and nothing, and xl only says so.
ACCEPTED = ("vlan", "netdev", "trusted")


@pytest.mark.parametrize("verdict", VERDICTS["create"], ids=lambda verdict: verdict["text"].strip())
def test_what_xl_refuses_or_passes_over_is_refused(verdict: dict[str, t.Any]) -> None:
    """xl says of a wrong vif that it is wrong, and goes on."""
    for key, value in Cfg.parse(verdict["text"]).items() if "vcpus" not in verdict["text"] else []:
        for text in [str(one) for one in (value if isinstance(value, list) else [value])] if key in SPECS and value != "x" else []:
            if verdict["said"] and not text.startswith(ACCEPTED):
                with pytest.raises(InvalidChange, match=f"^{key} "):
                    SPECS[key].parse(text)
            elif text not in ("foo=1", "/dev/x,raw,drive0", "vifname=averyveryverylongname"):  # refused, and xl would only fail later
                assert SPECS[key].same(SPECS[key].text(SPECS[key].parse(text)), text)


def devices(name: str) -> st.SearchStrategy[dict[str, t.Any]]:
    """Devices of a key as the modules have them."""
    spec = SPECS[name]
    known: dict[str, st.SearchStrategy[t.Any]] = {
        "vdev": st.sampled_from(["xvda", "hdc", "sda1", "d1p2", "51712"]), "mac": st.sampled_from(["00:16:3e:00:00:01", "0:16:3E:a:0:2"]),
        "rate": st.sampled_from(["10Mb/s", "1MB/s@20ms"]), "vlan": st.sampled_from(["10", "10p/20-29"]),
        "bdf": st.sampled_from(["01:00.0", "0001:1f:1f.7", "03:00.*"]), "vslot": st.sampled_from(["8", "0x1f", 8]),
        "uuid": st.uuids().map(str), "connectors": st.sampled_from(["id0:1920x1080;id1:800x600"]), "vifname": st.just("vif-a"),
        "target": st.text(st.characters(codec="ascii", categories=["L", "N", "P"]) | st.sampled_from(" ,:="), min_size=1, max_size=12),
        "type": st.sampled_from(list(spec.keys["type"].choices) or ["virtio,device22"]) if "type" in spec.keys else WORDS,
    }  # fmt: skip

    def values(key: Key) -> st.SearchStrategy[t.Any]:
        if key.option in known:
            return known[key.option]
        if key.kind in ("bool", "flag"):
            return st.booleans() | st.sampled_from(["yes", "0"])
        return st.integers(key.least, key.most) if key.kind == "int" else st.sampled_from(key.choices) if key.choices else WORDS

    every = {option: values(key) for option, key in spec.keys.items()}
    required = {option: every.pop(option) for option in (*spec.required, *{"disk": ["target"], "pci": ["bdf"]}.get(name, []))}
    return st.fixed_dictionaries(required, optional=every)


@pytest.mark.parametrize("name", sorted(SPECS))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_device_that_is_written_is_read_again(name: str, data: st.DataObject) -> None:
    spec, device = SPECS[name], data.draw(devices(name))
    try:
        told = spec.checked(device)
    except InvalidChange:
        return
    text = spec.text(device)
    assert "\n" not in text and spec.parse(text) == told and spec.text(told) == text and spec.same(text, device)


@pytest.mark.parametrize("name", sorted(SPECS))
@settings(max_examples=40, deadline=None)
@given(text=st.text(st.sampled_from("ab:=,/ 01.@*\n") | st.characters(codec="utf-8"), max_size=20))
def test_any_text_is_read_or_refused_with_a_sentence(name: str, text: str) -> None:
    try:
        told = SPECS[name].parse(text)
    except InvalidChange:
        with pytest.raises(InvalidChange, match=f"^{name} "):
            SPECS[name].parse(text)
    else:
        assert SPECS[name].parse(SPECS[name].text(told)) == told


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("vif", "mac=zz", "'zz' is no mac. It is six groups"),
        ("vif", "brige=xenbr0", "'brige=xenbr0' is not understood. Is bridge meant?"),
        ("vif", "type=emulated", "type is 'emulated'; it can be ioemu, vif"),
        ("vif", "mtu=big", "mtu is 'big'; it is a number from 68 to 65535"),
        ("vif", "vifname=a-name-that-is-too-long", "is no vifname. It is at most 15 characters"),
        ("vif", "mac=00:16:3e:00:00:01,mac=00:16:3e:00:00:02", "mac is given twice"),
        ("vif", "type=vif,model=e1000", "a model is emulated, and type vif is not"),
        ("disk", "vdev=xvda", "target must be given. Only a CD drive"),
        ("disk", "/dev/x,raw,drive0", "'drive0' is no vdev. It is such as xvda"),
        ("disk", "/dev/x,iso,xvda", "format is 'iso'; it can be raw, qcow, qcow2, vhd, qed, empty"),
        ("disk", "backendtype=phy,format=qcow2,vdev=xvda,target=/x", "the backendtype phy reads raw images only, and not qcow2"),
        ("disk", "colo,colo-host=a,vdev=xvda,target=/x", "colo_port and colo_export and active_disk and hidden_disk must be given"),
        ("pci", "01:00.9", "'01:00.9' is no bdf"),
        ("pci", "01:00.0,rdm_policy=some", "rdm_policy is 'some'; it can be strict, relaxed"),
        ("usbctrl", "ports=32", "ports is '32'; it is a number from 1 to 31"),
        ("usbctrl", "version=3,type=pv", "USB 3.0 has type devicemodel only, and not pv"),
        ("usbdev", "hostbus=1", "hostaddr must be given"),
        ("usbdev", "hostbus=1,hostaddr=2,port=1", "port needs controller"),
        ("usbdev", "hostbus=1,hostaddr=009", "hostaddr is '009'; it is a number"),
        ("vfb", "vnc=yes", "vnc is 'yes'; it can be 0 or 1"),
        ("vfb", "vnclisten=127.0.0.1:1,vncdisplay=1", "the display number is given twice"),
        ("vkb", "unique-id=T1", "backend_type must be given"),
        ("vkb", "backend-type=qemu,feature-multi-touch=1", "feature_multi_touch needs multi_touch_width"),
        ("channel", "name=a,connection=socket", "a socket needs a path"),
        ("channel", "connection=pty", "name must be given"),
        ("p9", "tag=share", "path must be given"),
        ("p9", "tag=share,path=/srv", "security_model must be given; only none is supported"),
        ("vtpm", "uuid=1", "'1' is no uuid"),
        ("vdispl", "connectors=1920x1080", "is no connectors. It is such as id0:1920x1080"),
        ("rdm", "policy=lax", "policy is 'lax'; it can be strict, relaxed"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_by_name(name: str, text: str, said: str) -> None:
    with pytest.raises(InvalidChange) as caught:
        SPECS[name].parse(text)
    assert said in str(caught.value)


def test_keys_of_a_dict_may_be_written_as_xl_does() -> None:
    assert disk.text({"direct-io-safe": True, "cdrom": True, "vdev": "hdc", "target": None}) == "vdev=hdc,devtype=cdrom,direct-io-safe"
    with pytest.raises(InvalidChange, match="direct_io_safe is given twice"):
        disk.checked({"direct-io-safe": True, "direct_io_safe": False, "vdev": "xvda", "target": "/x"})
    with pytest.raises(InvalidChange, match="'size' is no key of it"):
        disk.checked({"vdev": "xvda", "target": "/x", "size": 1})
    with pytest.raises(InvalidChange, match="neither a text nor a dictionary"):
        disk.checked(t.cast("t.Any", ["/x"]))


def test_two_forms_of_the_same_are_the_same() -> None:
    assert disk.same("/dev/vg/a,,xvda", {"vdev": "xvda", "target": "/dev/vg/a", "format": "raw", "access": "w", "discard": True})
    assert not disk.same("/dev/vg/a,,xvda", "/dev/vg/a,,xvda,r")
    assert disk.same(",hdc:cdrom,r", {"vdev": "hdc", "devtype": "cdrom"})
    assert vif.same("mac=0:16:3E:0:0:1,netdev=eth0", {"mac": "00:16:3e:00:00:01", "gatewaydev": "eth0", "trusted": True})
    assert pci.same("1:0.0@8", {"bdf": "0000:01:00.0", "vslot": 8, "seize": False})


def test_the_devices_of_the_manual_pages_are_read() -> None:
    read = 0
    for path in sorted((DATA / "examples").glob("*.cfg")):
        for key, value in Cfg.read(str(path)).items():
            for text in value if key in SPECS and isinstance(value, list) else []:
                assert SPECS[key].same(SPECS[key].text(SPECS[key].parse(str(text))), str(text))
                read += 1
    assert read > 20
