# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.xl.storage import iscsi as rules

from .debian_lab import converged, host, shell, thrice

pytestmark = pytest.mark.slow(whole=True)  # each waits for programs that say no; the stories on a real Xen log in

BASE = "iqn.2026-11.com.example"
CHAP = {"username": "xen1", "password": "one-secret-12"}
BOTH = {**CHAP, "username_in": "target1", "password_in": "other-secret-34"}


def iscsi(**options: t.Any) -> dict[str, t.Any]:
    return {"domzero.xen.xl_iscsi": {"portal": "192.0.2.10", "target": f"{BASE}:guests", "wait_timeout": 0, **options}}


def test_a_target_comes_with_chap_and_goes(tmp_path: Path) -> None:
    present = iscsi(**CHAP, initiator_name=f"{BASE}:xen1")
    two = iscsi(**BOTH, target=f"{BASE}:both")
    files = shell("cat /etc/iscsi/initiatorname.iscsi /etc/iscsi/initiatorname.iscsi.before-ansible")
    told = host(tmp_path, *thrice(present), files, *thrice(two), *thrice(iscsi(state="absent")))
    done = converged(*told[:3])
    assert done["target"] == {
        "portal": "192.0.2.10:3260", "target": f"{BASE}:guests", "logged_in": True, "startup": "automatic", "username": "xen1",
        "username_in": "", "disks": {},
    }  # fmt: skip
    assert "secret" not in str(done["commands"]) and any(command.endswith("-v '********'") for command in done["commands"])
    assert done["commands"][0] == "write /etc/iscsi/initiatorname.iscsi"
    assert f"InitiatorName={BASE}:xen1" in told[3]["stdout"] and "org.debian:01" in told[3]["stdout"]
    assert converged(*told[4:7])["target"]["username_in"] == "target1"
    assert not converged(*told[7:10])["target"]["logged_in"]


def test_a_refused_login_is_told_without_the_secret_and_mended_by_the_right_one(tmp_path: Path) -> None:
    told = host(tmp_path, iscsi(**{**CHAP, "password": "not-the-one-0"}), iscsi(**CHAP), iscsi(**CHAP))
    assert "the target refused the login" in told[0]["msg"] and "not-the-one-0" not in str({**told[0], "invocation": ""})
    assert told[1]["changed"] and told[1]["target"]["logged_in"] and not told[2]["changed"]


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    told = host(
        tmp_path, iscsi(target=f"{BASE}:others"), iscsi(portal="192.0.2.11"), iscsi(target=None), iscsi(**CHAP),
        iscsi(**CHAP, initiator_name=f"{BASE}:xen2"),
    )  # fmt: skip
    assert told[0]["msg"] == f"192.0.2.10:3260 has no target {BASE}:others. It offers {BASE}:both, {BASE}:guests."
    assert "192.0.2.11:3260 told no targets: the portal cannot be reached" in told[1]["msg"]
    assert "does not offer exactly one target" in told[2]["msg"]
    assert "Log out of all targets" in told[4]["msg"], "a session knows the host by its old name"


BAD = {
    "no date": ({"target": "iqn.guests"}, "is no iSCSI name"),
    "a short domain": ({"target": "iqn.2026-11.lab:x"}, "is no iSCSI name"),
    "an initiator": ({"initiator_name": "xen1"}, "is no iSCSI name"),
    "no password": ({"username": "a"}, "both a user name and a password"),
    "one way only": ({"username_in": "a", "password_in": "b"}, "needs username as well"),
    "the same secret": ({"username": "a", "password": "x", "username_in": "b", "password_in": "x"}, "are the same"),
    "discovery": ({"discovery_username": "a"}, "CHAP at the discovery"),
    "a portal": ({"portal": "192.0.2.10:99999"}, "is no portal"),
}


@pytest.mark.parametrize(("options", "sentence"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_is_refused(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(XenError, match=sentence):
        rules.wanted_of({"portal": "192.0.2.10", **options})


def test_recorded_answers_are_understood() -> None:
    told = "tcp: [1] 127.0.0.1:3260,1 iqn.2026-11.lab:t1 (non-flash)\n"
    assert rules.sessions_of(told) == (rules.Session("1", "127.0.0.1:3260", "iqn.2026-11.lab:t1"),)
    assert rules.targets_of("127.0.0.1:3260,1 iqn.2026-11.lab.test:lio1\n") == [("127.0.0.1:3260", "iqn.2026-11.lab.test:lio1")]
    assert rules.portal("[2001:db8::1]") == "[2001:db8::1]:3260"
