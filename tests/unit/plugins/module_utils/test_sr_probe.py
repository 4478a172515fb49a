# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The five forms of a probe's answer, spaced out as the drivers print them."""

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, XenError
from ansible_collections.domzero.xen.plugins.module_utils.resources.sr import probe

LUN = """<?xml version="1.0" ?>
<iscsi-target>
    <LUN>
        <vendor>
            LIO-ORG
        </vendor>
        <LUNid>
            3
        </LUNid>
        <size>
            1073741824
        </size>
        <SCSIid>
            36001405
        </SCSIid>
    </LUN>
</iscsi-target>
""".replace("    ", "\t")  # xapi indents with tabs


def test_exports() -> None:
    text = "<nfs-exports><Export><Target>10.0.0.5</Target><Path>/export/xen</Path><Accesslist>*</Accesslist></Export></nfs-exports>"
    assert probe.parse(text).exports == [probe.Export("10.0.0.5", "/export/xen", "*")]


def test_targets_without_the_entry_that_stands_for_all() -> None:
    text = """<iscsi-target-iqns>
      <TGT><Index>0</Index><IPAddress>10.0.0.6</IPAddress><Port>3261</Port><TargetIQN>iqn.a</TargetIQN></TGT>
      <TGT><Index>1</Index><IPAddress>10.0.0.6</IPAddress><TargetIQN>iqn.b</TargetIQN></TGT>
      <TGT><Index>2</Index><IPAddress>10.0.0.6</IPAddress><TargetIQN>*</TargetIQN></TGT></iscsi-target-iqns>"""
    assert probe.parse(text).iqns == [probe.Iqn("iqn.a", "10.0.0.6", 3261), probe.Iqn("iqn.b", "10.0.0.6", 3260)]


def test_luns_stripped_of_the_tabs_around_their_texts() -> None:
    assert probe.parse(LUN).luns == [probe.Lun(3, "36001405", 1 << 30, "LIO-ORG", "")]


def test_devices_without_the_adapters() -> None:
    text = """<Devlist><BlockDevice><path>/dev/x</path><SCSIid>1</SCSIid><vendor>V</vendor><serial>S</serial><size>5</size>
      <adapter>host1</adapter>
      </BlockDevice><Adapter><host>host1</host><name>qla</name></Adapter></Devlist>"""
    assert probe.parse(text).devices == [probe.Device("/dev/x", "1", "5", "V", "S", "host1")]


def test_srs_with_and_without_names() -> None:
    text = """<SRlist><SR><UUID>u1</UUID><Devlist>/dev/sdb</Devlist><size>7</size><name_label>San</name_label>
      <name_description>d</name_description>
      <pool_metadata_detected>false</pool_metadata_detected></SR><SR><UUID>u2</UUID></SR>
      <SupportedVersions><Version>3</Version></SupportedVersions></SRlist>"""
    assert probe.parse(text).srs == [probe.Existing("u1", "San", "d", 7, "/dev/sdb"), probe.Existing("u2")]


@pytest.mark.parametrize("text", ["", "\n", "<SRlist/>"])
def test_nothing_found(text: str) -> None:
    assert probe.parse(text) == probe.Answer()


def test_what_is_no_xml_is_told() -> None:
    with pytest.raises(XenError, match="is no XML"):
        probe.parse("mount.nfs: timed out")


def test_the_driver_s_own_words_are_the_reason() -> None:
    error = ApiError("SR.probe", ["SR_BACKEND_FAILURE_141", "", "Unable to connect to ISCSI service on target", ""])
    assert probe.reason(error) == "Unable to connect to ISCSI service on target (SR_BACKEND_FAILURE_141)"
    assert "HOST_OFFLINE" in probe.reason(ApiError("SR.probe", ["HOST_OFFLINE", "x"]))
