# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test of a module stands on: a simulated pool over the wire, and a task that is run as Ansible runs it."""

from __future__ import annotations

import copy
import importlib
import os
import typing as t
from dataclasses import replace

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.domzero.xen.plugins.module_utils import module as seam
from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess
from ansible_collections.domzero.xen.tests.simulator.world import World

Result = dict[str, t.Any]
Start = t.Callable[..., InProcess]
Run = t.Callable[..., Result]


class BadOptions(ValueError):
    """Ansible refuses the options before the module sees them."""


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("XEN_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def simulators() -> t.Iterator[list[InProcess]]:
    """Those the test has started, in order; `run` goes to the last one."""
    started: list[InProcess] = []
    yield started
    for one in started:
        one.stop()


@pytest.fixture
def simulator(simulators: list[InProcess]) -> Start:
    """simulator(2): a pool of two hosts; simulator("homogeneous"): a site by name or file, joined=True for one pool of it.

    Its clock stands at no wait at all (speed=0). A ready-made World is served as it is.
    """

    def start(what: str | int | World = 2, *, joined: bool | None = None, release: str | None = None, speed: float = 0) -> InProcess:
        if isinstance(what, World):
            world = what
        else:
            plan = site.of_hosts(what, joined=joined is not False) if isinstance(what, int) else site.load(what)
            plan = plan if joined is None else replace(plan, joined=joined)
            world = site.build(site.with_release(plan, release) if release else plan, speed=speed)
        simulators.append(InProcess(world).start())
        return simulators[-1]

    return start


@pytest.fixture
def pool(simulators: list[InProcess], simulator: Start) -> t.Callable[[], InProcess]:
    """The simulator of this test; a pool of two hosts if it has started none."""
    return lambda: simulators[-1] if simulators else simulator()


def reach(sim: InProcess, host: int | str = 0) -> dict[str, t.Any]:
    """The connection options for a host of the simulator."""
    chosen = next(h for n, h in enumerate(sim.hosts) if host in (n, h.name))
    pins = [h.fingerprint_sha256 for h in sim.hosts]
    return {"hostname": chosen.url, "username": sim.username, "password": sim.password, "fingerprint": pins}


def validated(module: seam.Module, params: Result) -> Result:
    """The parameters as Ansible hands them to a module. Raises BadOptions."""
    result = ArgumentSpecValidator(module.argument_spec, **module.rules).validate(copy.deepcopy(params))
    if result.error_messages:
        raise BadOptions("; ".join(result.error_messages))
    return t.cast("Result", result.validated_parameters)


@pytest.fixture
def run(pool: t.Callable[[], InProcess]) -> Run:
    """run("xen_network", name="x", check=True): the result of the module. Raises XenError for a failed task, BadOptions."""

    def run(name: str, /, *, check: bool = False, on: int | str = 0, **params: t.Any) -> Result:
        return carry_out(name, {**({} if "session" in params else reach(pool(), on)), **params}, check=check)

    return run


def carry_out(name: str, params: Result, *, check: bool = False) -> Result:
    """A task. Raises XenError for a failed one, BadOptions."""
    module: seam.Module = importlib.import_module(f"ansible_collections.domzero.xen.plugins.modules.{name}").MODULE
    known = validated(module, params)
    with (module.session or seam.session_for)(known) as session:
        return module.run(session, known, check)


@pytest.fixture
def session_to() -> t.Iterator[t.Callable[[InProcess], Session]]:
    """Sessions of the test's own, to look at a pool with; they end with the test."""
    opened: list[Session] = []

    def log_in(sim: InProcess) -> Session:
        opened.append(seam.log_in(validated(seam.Module({}, lambda *_: {}), reach(sim))))
        return opened[-1]

    yield log_in
    for one in opened:
        one.log_out()


@pytest.fixture
def session(pool: t.Callable[[], InProcess], session_to: t.Callable[[InProcess], Session]) -> Session:
    """A session to the simulator of this test."""
    return session_to(pool())


def open_sessions(sim: InProcess) -> set[str]:
    with sim.world.lock:
        return {ref for pool in sim.world.pools for ref in pool.db.all("session")}


@pytest.fixture
def converges(pool: t.Callable[[], InProcess], run: Run) -> Run:
    """What every task must do: predict, do the same, then do nothing; and leave no session behind."""

    def converges(name: str, /, **params: t.Any) -> Result:
        sim = pool()
        sessions, mark = open_sessions(sim), sim.mark()
        predicted = run(name, check=True, **params)
        assert sim.calls(mark) == [], "check mode changed something"
        done = run(name, **params)
        assert without_new_uuids(predicted, done) == done, "check mode predicted something else"
        mark = sim.mark()
        again = run(name, **params)
        assert again["changed"] is False, f"the second run is not idempotent: {again['operations']}"
        assert sim.calls(mark) == [], "the second run called something that changes"
        assert open_sessions(sim) <= sessions, "a session was left open"
        return done

    return converges


SERVER_MADE = ("uuid", "mac")  # what only the server can know before it has made the object


def without_new_uuids(predicted: t.Any, done: t.Any) -> t.Any:
    """The prediction with what only the server can know: the uuids of objects that were not there yet, and their addresses."""
    if isinstance(predicted, dict) and isinstance(done, dict):
        known = {key: without_new_uuids(value, done.get(key)) for key, value in predicted.items()}
        return {**{key: done[key] for key in SERVER_MADE if key in done and predicted}, **known}
    if isinstance(predicted, list) and isinstance(done, list) and len(predicted) == len(done):
        return [without_new_uuids(one, other) for one, other in zip(predicted, done, strict=True)]
    return predicted
