# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated host for a test.

``with xl_host(tmp_path) as host: host.module("xl_domain", name="web", ...); host.xl("list")``
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args

from .life import CRASH, obey
from .state import Host, domain_named

Result = dict[str, t.Any]
PROGRAMS = Path(__file__).parent / "bin"
MODULES = "ansible_collections.domzero.xen.plugins.modules"


class Refused(AssertionError):
    """A module failed. Attributes: result (what it returned)."""

    def __init__(self, result: Result):
        self.result = result
        super().__init__(result.get("msg", ""))


class XlHost:
    """One host of a site; hosts in the same folder reach each other by their names with ``ssh``."""

    def __init__(self, site: Path, name: str = "xenhost"):
        self.name, self.folder = name, site / name
        self._host = Host(self.folder)
        with self._host.locked():
            pass  # makes it

    @property
    def env(self) -> dict[str, str]:
        """What a program needs to meet this host's ``xl``."""
        path = os.environ["PATH"].removeprefix(f"{PROGRAMS}:")
        return {**os.environ, "PATH": f"{PROGRAMS}:{path}", "XL_SIM_STATE": str(self.folder)}

    def change(self) -> contextlib.AbstractContextManager[t.Any]:
        """``with host.change() as state``: the state as it is kept (state.py: fresh), written back in the end."""
        return self._host.locked()

    def beside(self, name: str) -> XlHost:
        """Another host in the same folder, made if it is not there."""
        return XlHost(self.folder.parent, name)

    def xl(self, *words: str, program: str = "xl") -> subprocess.CompletedProcess[str]:
        """Runs ``xl``, without a mark in the log."""
        log = self.folder / "log"
        before = log.read_text() if log.exists() else ""
        done = subprocess.run([program, *words], env=self.env, capture_output=True, text=True, check=False)
        log.write_text(before)
        return done

    def domain(self, name: str) -> t.Any:
        """The kept state of a domain, or None."""
        with self._host.locked() as state:
            return domain_named(state, name)

    def calls(self, *, changing: bool | None = None) -> list[str]:
        """The commands that were run, as typed."""
        log = self.folder / "log"
        entries = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [" ".join(entry["argv"]) for entry in entries if changing is None or entry["changing"] == changing]

    def forget_calls(self) -> None:
        (self.folder / "log").unlink(missing_ok=True)

    def fault(self, command: str, do: str, *, nth: int = 1, when: str = "before", **more: t.Any) -> None:
        """The n-th ``command`` from now (a command of xl, a program, or "changing": any changing command) meets it.

        do: hang, slow (seconds), fail (status, message), kill (the caller); when: before or after the command did its work; within
        (for create).
        """
        self.no_faults()
        (self.folder / "faults.json").write_text(json.dumps([{"command": command, "do": do, "nth": nth, "when": when, **more}]))

    def no_faults(self) -> None:
        (self.folder / "faults.json").unlink(missing_ok=True)
        with self._host.locked() as state:
            state["counts"] = {}

    def guest(self, name: str, behaviour: str) -> None:
        """obeys; deaf: does not acknowledge a request to shut down; stuck: acknowledges it and never goes."""
        with self._host.locked() as state:
            state["guests"][name] = behaviour

    def crashes(self, name: str) -> None:
        """Its kernel panics."""
        with self._host.locked() as state:
            domain = domain_named(state, name)
            if domain is None:
                raise KeyError(name)
            obey(state, domain, CRASH)

    def guest_sets_online(self, name: str) -> None:
        """What somebody in the guest does after vcpu-set: every vCPU that is available goes online."""
        with self._host.locked() as state:
            domain = domain_named(state, name)
            if domain is None:
                raise KeyError(name)
            for place in domain.get("wanted_vcpus", []):
                domain["vcpus"][place]["online"] = True

    @contextlib.contextmanager
    def at_hand(self) -> t.Iterator[None]:
        """In the block this process, and what it starts, meets this host's ``xl``."""
        before = {key: os.environ.get(key) for key in ("PATH", "XL_SIM_STATE")}
        os.environ.update({key: self.env[key] for key in before})
        try:
            yield
        finally:
            for key, value in before.items():
                if value is None:
                    del os.environ[key]
                else:
                    os.environ[key] = value

    def module(self, name: str, /, *, check: bool = False, **options: t.Any) -> Result:
        """A task with that module in this process. Raises Refused for one that failed."""
        arguments = {"_ansible_check_mode": check, "_ansible_diff": True, **options}
        out = io.StringIO()
        within = (self.at_hand(), on_a_managed_host(), patch_module_args(arguments), contextlib.redirect_stdout(out))
        with contextlib.ExitStack() as stack, contextlib.suppress(SystemExit):
            for one in within:
                stack.enter_context(one)
            importlib.import_module(f"{MODULES}.{name}").main()
        result = t.cast("Result", json.loads(out.getvalue()))
        return judged(result)

    def module_apart(self, name: str, /, *, check: bool = False, **options: t.Any) -> Result | None:
        """The same in a process of its own, as on a managed host, with its warnings; None where it was killed."""
        arguments = json.dumps({"_ansible_check_mode": check, "_ansible_diff": True, **options})
        script = (
            "import importlib, json, sys; from ansible.module_utils.testing import patch_module_args;"
            f"module = importlib.import_module('{MODULES}.{name}')\n"
            "with patch_module_args(json.load(sys.stdin)): module.main()"
        )
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, env=self.env, input=arguments, capture_output=True, text=True, check=False)
        if done.returncode < 0:
            return None
        return judged(t.cast("Result", json.loads(done.stdout)))

    def converges(self, name: str, /, **options: t.Any) -> Result:
        """What every task must do: predict, do the same, then do nothing."""
        self.forget_calls()
        predicted = self.module(name, check=True, **options)
        assert self.calls(changing=True) == [], "check mode changed something"
        done = self.module(name, **options)
        for key in ("changed", "commands", "diff"):
            assert predicted.get(key) == done.get(key), f"check mode predicted another {key}: {predicted.get(key)}, not {done.get(key)}"
        self.forget_calls()
        again = self.module(name, **options)
        assert again["changed"] is False, f"the second run is not idempotent: {again.get('commands')}"
        assert self.calls(changing=True) == [], "the second run ran something that changes"
        return done


def judged(result: Result) -> Result:
    """Raises Refused for a task that failed. Warnings are sentences, also where Ansible has more to say of them."""
    result.pop("invocation", None)
    if "warnings" in result:
        result["warnings"] = [one["event"]["msg"] if isinstance(one, dict) else one for one in result["warnings"]]
    if result.get("failed"):
        raise Refused(result)
    return result


@contextlib.contextmanager
def on_a_managed_host() -> t.Iterator[None]:
    """A module warns in its result there; where Ansible knows that it is its controller, it is shown at once, and only once."""
    told = getattr(warnings, "_global_warnings", None)
    internal: t.Any = sys.modules.get("ansible.module_utils._internal")
    if told is None or internal is None:
        yield
        return
    before = internal.is_controller
    told.clear()
    internal.is_controller = False
    try:
        yield
    finally:
        internal.is_controller = before


@contextlib.contextmanager
def xl_host(site: Path, name: str = "xenhost") -> t.Iterator[XlHost]:
    """A fresh host below this folder, whose ``xl`` is on the path of this process in the block."""
    host = XlHost(site, name)
    with host.at_hand():
        yield host
