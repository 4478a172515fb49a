# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts get update files (XenServer 7.1 to 8.2), or a whole new release from an installer."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, XenError
from ansible_collections.domzero.xen.tests.simulator import update_files, upgrade_lab
from ansible_collections.domzero.xen.tests.simulator.running import InProcess
from ansible_collections.domzero.xen.tests.simulator.updates import File

from ..conftest import Run, Start
from .host_upgrade_lab import HOSTS, Lab, lab, row

REBOOTING, RESTARTING = "XS76E999", "XS76E998"
INSTALLER: dict[str, t.Any] = {"method": "installer", "install_url": upgrade_lab.INSTALLER}


@pytest.fixture
def site(simulator: Start, session_to: t.Callable[[InProcess], Session]) -> Lab:
    return lab(simulator, session_to, "pool_update")


def _file(site: Lab, folder: Path, name: str = REBOOTING, **more: t.Any) -> str:
    known = next((file for file in site.world.updates.files if file.name == name), None)
    path = folder / f"{name}.iso"
    path.write_bytes(update_files.image(known or File(name=name, **more)))
    return str(path)


def _disks(site: Lab) -> int:
    return len(site.db.all("VDI"))


def test_a_file_of_the_iso_library_is_introduced_and_applied(site: Lab, run: Run) -> None:
    options: dict[str, t.Any] = {"method": "pool_update", "updates": ["XS76E999.iso"]}
    prepared = run("xen_host_upgrade", hosts=[], **options)
    assert prepared["operations"] == ["pool_update.introduce"]
    assert run("xen_host_upgrade", hosts=[], **options)["operations"] == []
    predicted, done = (run("xen_host_upgrade", check=check, hosts=list(HOSTS), **options) for check in (True, False))
    assert row(done, "lab2")["operations"] == ["host.disable", "pool_update.apply", "host.reboot", "host.enable"]
    assert (done["operations"], done["diff"]) == (predicted["operations"], predicted["diff"])
    assert (row(done, "lab2")["why"], row(done, "lab2")["packages"]) == ("it lacks XS76E999", [REBOOTING])
    assert {site.version(host) for host in HOSTS} == {"4.7.6-6.9"}
    assert run("xen_host_upgrade", hosts=list(HOSTS), **options)["changed"] is False
    assert run("xen_host_upgrade", hosts=list(HOSTS), method="pool_update", updates=[REBOOTING])["changed"] is False


def test_a_file_is_uploaded_applied_and_goes_when_all_hosts_have_it(site: Lab, run: Run, tmp_path: Path) -> None:
    options: dict[str, t.Any] = {"method": "pool_update", "updates": [_file(site, tmp_path)]}
    disks = _disks(site)
    predicted, done = (run("xen_host_upgrade", check=check, hosts=["lab0"], **options) for check in (True, False))
    sent = ["VDI.create", "http/put_import_raw_vdi", "pool_update.introduce"]
    assert done["operations"] == predicted["operations"] == [*sent, "host.disable", "pool_update.apply", "host.reboot", "host.enable"]
    assert run("xen_host_upgrade", hosts=["lab0"], **options)["operations"] == []
    done = run("xen_host_upgrade", hosts=list(HOSTS), **options)
    assert done["operations"][-1] == "pool_update.pool_clean"
    assert _disks(site) == disks
    assert {site.version(host) for host in HOSTS} == {"4.7.6-6.9"}
    assert run("xen_host_upgrade", hosts=list(HOSTS), **options)["changed"] is False


def test_a_fix_of_the_toolstack_leaves_guests_alone(
    simulator: Start, session_to: t.Callable[[InProcess], Session], run: Run, tmp_path: Path
) -> None:
    site = lab(simulator, session_to, "pool_update", guests=True)
    guests = site.guests("lab0")
    options: dict[str, t.Any] = {"method": "pool_update", "updates": [_file(site, tmp_path, RESTARTING)]}
    predicted, done = (run("xen_host_upgrade", check=check, hosts=["lab0"], **options) for check in (True, False))
    calls = ["host.add_to_other_config", "pool_update.apply", "host.restart_agent", "host.enable"]
    assert row(done, "lab0")["operations"] == row(predicted, "lab0")["operations"] == calls
    assert (site.version("lab0", "xapi_build"), site.guests("lab0")) == ("1.110.2", guests)
    assert run("xen_host_upgrade", hosts=["lab0"], **options)["changed"] is False


def test_each_host_is_asked_before_anything_is_applied(site: Lab, run: Run, tmp_path: Path) -> None:
    missing = "0e9b2c1a-7f60-4c7e-9f0a-2b7c1d3e4f51"
    more = {"uuid": "1e9b2c1a-7f60-4c7e-9f0a-2b7c1d3e4f50", "requires": [missing], "guidance": ["restartXAPI"]}
    path = _file(site, tmp_path, "second", **more)
    mark = site.sim.mark()
    for hosts in (["lab0"], []):
        with pytest.raises(InvalidChange, match=r"Host 'lab0' does not take update 'second': .*PREREQUISITE_MISSING") as told:
            run("xen_host_upgrade", hosts=hosts, method="pool_update", updates=[path])
    assert all(f"Host {host!r} does not take" in str(told.value) for host in HOSTS)
    assert "pool_update.apply" not in [call["method"] for call in site.sim.calls(mark)]


def test_an_update_that_needs_the_one_before_it(site: Lab, run: Run, tmp_path: Path) -> None:
    first = next(file for file in site.world.updates.files if file.name == REBOOTING)
    more = {"uuid": "1e9b2c1a-7f60-4c7e-9f0a-2b7c1d3e4f50", "requires": [first.uuid], "guidance": ["restartXAPI"]}
    paths = [_file(site, tmp_path), _file(site, tmp_path, "second", **more)]
    done = run("xen_host_upgrade", hosts=["lab0"], method="pool_update", updates=paths)
    assert row(done, "lab0")["operations"].count("pool_update.apply") == 2
    assert len(site.record("lab0")["updates"]) == 2


def test_what_is_no_update_is_told(site: Lab, run: Run, tmp_path: Path) -> None:
    plain = tmp_path / "plain.iso"
    plain.write_bytes(b"x" * 4096)
    with pytest.raises(InvalidChange, match=r"plain.iso is no update file: there is no update.xml"):
        run("xen_host_upgrade", hosts=["lab0"], method="pool_update", updates=[str(plain)])
    plain.write_bytes(b'<update uuid="1e9b2c1a-7f60-4c7e-9f0a-2b7c1d3e4f50">' * 100)
    disks = _disks(site)
    with pytest.raises(XenError, match="INVALID_UPDATE"):
        run("xen_host_upgrade", hosts=["lab0"], method="pool_update", updates=[str(plain)])
    assert _disks(site) == disks
    with pytest.raises(NotFound, match=r"No update and no disk is named 'XS76E123'"):
        run("xen_host_upgrade", hosts=["lab0"], method="pool_update", updates=["XS76E123"])
    with pytest.raises(InvalidChange, match=r"cannot be read: No such file"):
        run("xen_host_upgrade", hosts=["lab0"], method="pool_update", updates=["/nowhere/x.iso"])


# the installer -----------------------------------------------------------------------
def test_hosts_get_a_new_release(simulator: Start, session_to: t.Callable[[InProcess], Session], run: Run) -> None:
    site = lab(simulator, session_to, "installer")
    predicted, done = (run("xen_host_upgrade", check=check, hosts=list(HOSTS), **INSTALLER) for check in (True, False))
    assert row(done, "lab3")["operations"] == ["host.disable", "host.call_plugin", "host.reboot", "host.enable"]
    assert (done["operations"], done["diff"]) == (predicted["operations"], predicted["diff"])
    assert {site.version(host, "product_version") for host in HOSTS} == {"8.3.0"}
    assert row(done, "lab0")["why"].startswith("it runs 8.2.1")
    assert run("xen_host_upgrade", hosts=list(HOSTS), **INSTALLER)["changed"] is False


def test_a_medium_that_is_none_is_told_before_anything_is_done(
    simulator: Start, session_to: t.Callable[[InProcess], Session], run: Run
) -> None:
    site = lab(simulator, session_to, "installer")
    mark = site.sim.mark()
    for url, told in (("http://mirror.example.com/nothing", "INVALID_URL"), ("http://x", "INVALID_URL")):
        with pytest.raises(InvalidChange, match=f"Host 'lab0' cannot use install_url '{url}': {told}"):
            run("xen_host_upgrade", check=True, hosts=["lab0"], method="installer", install_url=url)
    with pytest.raises(InvalidChange, match="reboot: never cannot be"):
        run("xen_host_upgrade", hosts=["lab0"], reboot="never", **INSTALLER)
    assert site.sim.calls(mark) == []
