# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever changing call is cut, fails or is the last of its run: the hosts are upgraded in the end, and take guests."""

from __future__ import annotations

import os
import signal
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.tests.simulator import update_files, upgrade_lab
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from ..conftest import Run, Start, carry_out, reach
from .host_upgrade_lab import Lab, lab, row

pytestmark = pytest.mark.slow

Options = dict[str, t.Any]
KINDS = {"packages": 5, "repository": 5, "pool_update": 6, "installer": 4, "reboot": 4, "command": 4}  # changing calls of one host
POINTS = [pytest.param(kind, nth, id=f"{kind}-{nth}") for kind, calls in KINDS.items() for nth in range(1, calls + 1)]
Make = t.Callable[[str], tuple[Lab, Options]]


@pytest.fixture
def make(simulator: Start, session_to: t.Callable[[InProcess], Session], tmp_path: Path) -> Make:
    """The pool for a kind of upgrade, and the task for its coordinator."""

    def make(kind: str) -> tuple[Lab, Options]:
        site = lab(simulator, session_to, "packages" if kind == "command" else kind)
        options: Options = {"method": kind}
        if kind == "packages":
            options = {"method": "xcpng_packages"}
        elif kind == "repository":
            ref = site.session.call("Repository.introduce", "normal", "", upgrade_lab.REPOSITORY, "", True, "")
            site.session.call("pool.set_repositories", site.world.pools[0].pool_ref, [ref])
        elif kind == "pool_update":
            path = tmp_path / "update.iso"
            path.write_bytes(update_files.image(next(file for file in site.world.updates.files if file.name == "XS76E999")))
            options["updates"] = [str(path)]
        elif kind == "installer":
            options["install_url"] = upgrade_lab.INSTALLER
        else:
            site.journal()
            options["reboot"] = "always"
        return site, {"hosts": ["lab0"], **options}

    return make


def ended_well(site: Lab, kind: str, booted: float, run: Run, options: Options) -> None:
    record = site.record("lab0")
    assert record["enabled"]
    assert float(record["other_config"]["boot_time"]) > booted
    expected = {"packages": "4.17.5-15", "repository": "4.17.5-15", "pool_update": "4.7.6-6.9"}
    if kind in expected:
        assert site.version("lab0") == expected[kind]
    if kind == "installer":
        assert site.version("lab0", "product_version") == "8.3.0"
    disks = [vdi["name_label"] for vdi in site.db.all("VDI").values() if "domzero.xen:update" in vdi["other_config"]]
    assert disks == (["XS76E999"] if kind == "pool_update" else [])
    mark = site.sim.mark()
    assert run("xen_host_upgrade", **options)["changed"] is False
    assert site.sim.calls(mark) == []


def _booted(site: Lab) -> float:
    return float(site.record("lab0")["other_config"]["boot_time"])


@pytest.mark.parametrize("kind", KINDS)
def test_one_host_takes_that_many_changing_calls(make: Make, run: Run, kind: str) -> None:
    site, options = make(kind)
    mark = site.sim.mark()
    booted, done = _booted(site), run("xen_host_upgrade", **options)
    assert len(site.sim.calls(mark)) == KINDS[kind], done["operations"]
    ended_well(site, kind, booted, run, options)


@pytest.mark.parametrize(("kind", "nth"), POINTS)
@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
def test_a_task_goes_on_when_a_call_is_cut(make: Make, run: Run, cut: str, kind: str, nth: int) -> None:
    site, options = make(kind)
    booted = _booted(site)
    getattr(site.sim.faults, cut)(nth)
    done = run("xen_host_upgrade", **options)
    assert not done.get("failed"), done
    ended_well(site, kind, booted, run, options)


def _failure(run: Run, options: Options) -> str:
    """What is told, whether hosts had been begun or not."""
    try:
        done = run("xen_host_upgrade", **options)
    except XenError as e:
        return e.message
    return str(done["msg"]) if done["failed"] else ""


@pytest.mark.parametrize(("kind", "nth"), POINTS)
def test_when_a_call_fails_the_next_task_finishes_the_host(make: Make, run: Run, kind: str, nth: int) -> None:
    site, options = make(kind)
    booted = _booted(site)
    site.sim.faults.add("fail", None, nth=nth, error=["INTERNAL_ERROR", "out of luck"])
    assert "out of luck" in _failure(run, options)
    assert not run("xen_host_upgrade", **options).get("failed")
    ended_well(site, kind, booted, run, options)


@pytest.mark.parametrize(("kind", "nth"), POINTS)
def test_when_a_task_is_killed_the_next_one_finishes_the_host(make: Make, run: Run, kind: str, nth: int) -> None:
    site, options = make(kind)
    booted = _booted(site)
    _kill(site, options, nth)
    assert not run("xen_host_upgrade", **options).get("failed")
    ended_well(site, kind, booted, run, options)


def _kill(site: Lab, options: Options, nth: int) -> None:
    """The process that carries the task out dies while its nth changing call is under way; the call goes on."""
    faults, mark = site.sim.faults, len(site.sim.calls())
    strike, left = faults.strike, [nth]
    child = os.fork()
    if child == 0:
        try:
            os.closerange(3, 1 << 12)  # the hosts' own sockets, which would stay open
            time.sleep(0.05)  # until the other side looks at calls
            carry_out("xen_host_upgrade", {**reach(site.sim), **options})
        finally:
            os._exit(0)

    def struck(method: str, changing: bool) -> object:
        left[0] -= changing
        if left[0] == 0 and changing:
            os.kill(child, signal.SIGKILL)
            faults.strike = strike
        return strike(method, changing)

    faults.strike = struck
    os.waitpid(child, 0)
    end = time.monotonic() + 60
    while len(site.sim.calls()) < mark + nth:
        assert time.monotonic() < end, "the task was not killed"
        time.sleep(0.01)


def test_an_upload_that_is_cut_is_done_again_into_the_same_disk(make: Make, run: Run) -> None:
    site, options = make("pool_update")
    booted = _booted(site)
    site.sim.faults.cut_transfer("/import_raw_vdi", 1000)
    assert "Could not upload update 'XS76E999'" in _failure(run, options)
    run("xen_host_upgrade", **options)
    ended_well(site, "pool_update", booted, run, options)


def test_several_hosts_at_once_and_each_is_told(make: Make, run: Run) -> None:
    site, options = make("packages")
    site.sim.faults.fail("host.call_plugin:update", nth=2, error=["1", "Error: Cannot retrieve repository metadata", "", ""])
    done = run("xen_host_upgrade", **{**options, "hosts": ["lab0", "lab1", "lab2"]})
    (broken,) = [one for one in done["hosts"] if one.get("failed")]
    assert done["failed"]
    assert f"Host {broken['name']!r}: Could not update packages" in done["msg"]
    assert "Cannot retrieve repository metadata" in done["msg"]
    others = {"lab0", "lab1", "lab2"} - {broken["name"]}
    assert all(row(done, name)["rebooted"] and site.version(name) == "4.17.5-15" for name in others)
    assert not run("xen_host_upgrade", **{**options, "hosts": ["lab0", "lab1", "lab2"]}).get("failed")
    assert site.version(broken["name"]) == "4.17.5-15"


# several hosts: which call is the nth depends on who is faster
SEVERAL = ["lab0", "lab1", "lab2"]
MANY = range(1, 3 * KINDS["packages"] + 1)


def _several_ended_well(site: Lab, run: Run, options: Options) -> None:
    assert {site.version(name) for name in SEVERAL} == {"4.17.5-15"}
    assert all(site.record(name)["enabled"] for name in SEVERAL)
    assert run("xen_host_upgrade", **options)["changed"] is False


@pytest.mark.parametrize("nth", MANY)
@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
def test_a_task_of_several_hosts_goes_on_when_a_call_is_cut(make: Make, run: Run, cut: str, nth: int) -> None:
    site, options = make("packages")
    options["hosts"] = SEVERAL
    getattr(site.sim.faults, cut)(nth)
    done = run("xen_host_upgrade", **options)
    assert not done.get("failed"), done
    _several_ended_well(site, run, options)


@pytest.mark.parametrize("nth", MANY)
def test_when_a_task_of_several_hosts_is_killed_the_next_one_finishes_them(make: Make, run: Run, nth: int) -> None:
    site, options = make("packages")
    options["hosts"] = SEVERAL
    _kill(site, options, nth)
    assert not run("xen_host_upgrade", **options).get("failed")
    _several_ended_well(site, run, options)
