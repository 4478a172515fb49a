# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins of hosts: XCP-ng's updater.py, and prepare_host_upgrade.py."""

from __future__ import annotations

import typing as t
from xmlrpc.client import ServerProxy

import pytest

from ansible_collections.domzero.xen.tests.simulator import upgrade_lab
from ansible_collections.domzero.xen.tests.simulator.updates import BUSY

from .conversation import until
from .upgrading import Lab, lab
from .wired import trusting

PREPARE = "prepare_host_upgrade.py"


@pytest.fixture(scope="module")
def shared() -> t.Iterator[Lab]:
    """For what changes nothing."""
    with lab(special=False) as found:
        yield found


@pytest.fixture
def pool() -> t.Iterator[Lab]:
    with lab(special=False) as found:
        yield found


def _refused(pool: Lab, host: str, function: str, plugin: str = "updater.py", **args: str) -> list[str]:
    return pool.refused("host.call_plugin", pool.ref(host), plugin, function, args)


# what is missing -----------------------------------------------------------------------------------------------------
def test_what_is_newer_is_told_as_json_over_the_wire(shared: Lab) -> None:
    server = ServerProxy(f"https://{shared.machine.address}:{shared.port}", context=trusting())
    answer: t.Any = server.host.call_plugin(shared.session, shared.ref("lab1"), "updater.py", "check_update", {})
    assert answer["Status"] == "Success"
    found = {package["name"]: package for package in shared.plugin("lab1", "check_update")}
    assert set(found) == {"xen-hypervisor", "xapi-core", "linux-firmware", "linstor-satellite"}
    assert found["xen-hypervisor"] == {
        "name": "xen-hypervisor", "version": "4.17.5", "release": "15.1.xcpng8.3", "description": "Xen is a virtual machine monitor",
        "changelog": {"date": "1790000000", "author": "Xen maintainers", "description": "- Security fixes"}, "url": "https://xenproject.org",
        "size": 2 << 20, "license": "GPLv2",
    }  # fmt: skip
    assert found["xapi-core"]["changelog"] is None


def test_full_names_of_installed_packages(shared: Lab) -> None:
    assert shared.plugin("lab1", "query_installed", packages="xapi-core nothing") == {
        "xapi-core": "xapi-core-26.17.0-29.1.xcpng8.3.x86_64",
        "nothing": "",
    }


def test_asking_changes_nothing(shared: Lab) -> None:
    before = len(shared.world.calls)
    shared.plugin("lab1", "check_update")
    shared.plugin("lab1", "getVersion", PREPARE, url=upgrade_lab.INSTALLER)
    shared("pool.check_update_readiness", shared.machine.pool.pool_ref, True)
    assert len(shared.world.calls) == before


# updating ------------------------------------------------------------------------------------------------------------
def test_an_update_is_on_the_disk_and_runs_after_a_boot(pool: Lab) -> None:
    done = pool.plugin("lab0", "update", packages="xen-hypervisor")
    assert (done["returncode"], done["stderr"]) == (0, "")
    assert done["command"] == [
        "yum",
        "update",
        '--disablerepo="*"',
        "--enablerepo=xcp-ng-base,xcp-ng-updates,xcp-ng-linstor",
        "-y",
        "xen-hypervisor",
    ]
    assert pool.plugin("lab0", "query_installed", packages="xen-hypervisor")["xen-hypervisor"].endswith("15.1.xcpng8.3.x86_64")
    assert "xen-hypervisor" not in {package["name"] for package in pool.plugin("lab0", "check_update")}
    assert pool.version("lab0") == "4.17.5-13"
    assert pool.record("host", pool.host)["pending_guidances"] == []  # it is the client that knows
    pool.empty("lab0")
    pool.boot("lab0")
    assert pool.version("lab0") == "4.17.5-15"


def test_an_update_has_a_task_while_it_lasts_and_is_alone(pool: Lab) -> None:
    pool.world.set_speed(200)
    update = pool("Async.host.call_plugin", pool.ref("lab1"), "updater.py", "update", {})
    label = f"Update host lab1 ({pool.record('host', pool.ref('lab1'))['uuid']})"
    until(pool.world, lambda: pool.db.find("task", name_label=label))
    assert _refused(pool, "lab1", "update")[:2] == ["-1", "Update already in progress"]
    assert _refused(pool, "lab1", "check_update")[:2] == ["-1", "The updater plugin is busy (current operation: update)"]
    assert _refused(pool, "lab1", "install", packages="xapi-core")[:2] == ["-1", "The updater plugin is busy (current operation: update)"]
    assert pool.plugin("lab2", "check_update")  # another host
    pool.world.set_speed(0)
    until(pool.world, lambda: pool.db.get("task", update)["status"] == "success")
    assert pool.db.find("task", name_label=label) == []
    assert BUSY not in pool.at("lab1").state


def test_installing_needs_names_that_are_known(pool: Lab) -> None:
    assert pool.plugin("lab0", "install", packages="xapi-core")["returncode"] == 0
    assert _refused(pool, "lab0", "install")[0] == "-1"
    assert _refused(pool, "lab0", "install", packages="emacs")[0] == "1"  # yum's exit status


def test_a_failing_update_is_asked_for(pool: Lab) -> None:
    pool.world.faults.fail("host.call_plugin:update", error=["1", "Error: Cannot retrieve repository metadata", "", ""])
    assert pool.plugin("lab0", "check_update")
    assert _refused(pool, "lab0", "update")[:2] == ["1", "Error: Cannot retrieve repository metadata"]
    assert pool.plugin("lab0", "check_update")


def test_proxies_of_the_repositories(pool: Lab) -> None:
    assert set(pool.plugin("lab0", "get_proxies").values()) == {"_none_"}
    assert pool.plugin("lab0", "set_proxies", proxies='{"xcp-ng-base": "http://10.0.0.1:3128"}') == ""
    assert pool.plugin("lab0", "get_proxies")["xcp-ng-base"] == "http://10.0.0.1:3128"
    assert _refused(pool, "lab0", "set_proxies", proxies='{"other": "x"}')[0] == "-1"
    assert _refused(pool, "lab0", "set_proxies", proxies="{")[0] == "-1"


# which plugins there are ---------------------------------------------------------------------------------------------
def test_unknown_plugins_and_functions(shared: Lab) -> None:
    assert _refused(shared, "lab0", "f", "no-such-plugin") == ["XENAPI_MISSING_PLUGIN", "no-such-plugin"]
    assert _refused(shared, "lab0", "explode") == ["UNKNOWN_XENAPI_PLUGIN_FUNCTION", "explode"]
    with lab("repository", special=False) as other:
        assert _refused(other, "lab0", "check_update") == ["XENAPI_MISSING_PLUGIN", "updater.py"]


def test_an_installer_is_looked_at_before_it_is_prepared() -> None:
    with lab("installer", special=False) as pool:
        url = {"url": upgrade_lab.INSTALLER + "/"}
        assert pool.plugin("lab0", "testUrl", PREPARE, **url) is True
        assert pool.plugin("lab0", "getVersion", PREPARE, **url) == {"product-version": "8.3.0", "platform-version": "3.4.0"}
        assert pool.plugin("lab0", "testSafe2Upgrade", PREPARE, **url) is True
        assert _refused(pool, "lab0", "testUrl", PREPARE) == ["XENAPI_PLUGIN_FAILURE", "testUrl", "Exception", "MISSING_URL"]
        assert _refused(pool, "lab0", "main", PREPARE, url="http://x") == ["XENAPI_PLUGIN_FAILURE", "main", "Exception", "INVALID_URL"]
        assert pool.version("lab0", "product_version") == "8.2.1"


def test_an_older_installer_is_refused() -> None:
    world = upgrade_lab.build("repository", special=False)  # 8.4
    pool = Lab(world.machines["lab0"])
    assert _refused(pool, "lab0", "testUrl", PREPARE, url=upgrade_lab.INSTALLER)[-1] == "INVALID_VER"
    assert _refused(pool, "lab0", "main", PREPARE, url=upgrade_lab.INSTALLER)[-1] == "INVALID_URL"
