# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs any xen_* module inside the Ansible process: a tenth of the CPU of a process of its own.

It bears the name of one module, because every action plugin needs a module's documentation; each of the others has one of its own
that names its module. Tasks that must not run here (async, become, environment, delegated to another machine, XEN_IN_PROCESS=false)
run as ordinary modules.

Everything is imported at the top: Ansible loads an action plugin once, before it forks a worker for each task.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import signal
import typing as t
from contextlib import contextmanager
from multiprocessing.util import Finalize

from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.mirror import Mirror
from ansible_collections.domzero.xen.plugins.module_utils.module import (
    CONNECTION,
    Module,
    failure,
    log_in,
    orderly_end,
    session_for,
    warn_about,
)
from ansible_collections.domzero.xen.plugins.module_utils.pace import Pace
from ansible_collections.domzero.xen.plugins.modules.xen_info import MODULE

HERE = ("localhost", "127.0.0.1", "::1")
# sessions that live through the items of one loop, ended when the worker process of the task ends
_kept: dict[str, Session] = {}


def plain(value: t.Any) -> t.Any:
    """Untagged copies: the wire knows str and int, not ansible-core's tagged ones."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    return value


@contextmanager
def _loop_session(params: dict[str, t.Any]) -> t.Iterator[Session]:
    key = json.dumps({option: params[option] for option in CONNECTION}, sort_keys=True)
    if key not in _kept:
        _kept[key] = log_in(params)
        _kept[key].mirror = Mirror(_kept[key])
    yield _kept[key]


@functools.cache
def _log_out_with_the_worker() -> None:
    """However it ends: Ansible tells a worker to end as soon as it has the result, and that is before the worker's own end."""
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}

    def log_out() -> None:
        for signum in before:
            signal.signal(signum, signal.SIG_IGN)
        while _kept:
            _kept.popitem()[1].log_out()

    def told(signum: int, _frame: object) -> None:
        log_out()
        signal.signal(signum, before[signal.Signals(signum)])
        os.kill(os.getpid(), signum)

    Finalize(None, log_out, exitpriority=10)
    for signum in before:
        signal.signal(signum, told)


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = True
    module: Module = MODULE

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        if not self._in_process():
            wrap_async = self._task.async_val and not self._connection.has_native_async
            return t.cast("dict[str, t.Any]", self._execute_module(task_vars=task_vars, wrap_async=wrap_async))
        validated, params = self.validate_argument_spec(argument_spec=self.module.argument_spec, **self.module.rules)
        return t.cast("dict[str, t.Any]", remove_values(self._result(self.module, plain(params)), validated._no_log_values))

    def _result(self, module: Module, params: dict[str, t.Any]) -> dict[str, t.Any]:
        # only a worker process ends with its task; anywhere else a kept session would outlive it
        in_loop = self._task.loop is not None and multiprocessing.parent_process() is not None and not params.get("session")
        if in_loop:
            _log_out_with_the_worker()
        log_in_once = module.session or (_loop_session if in_loop else session_for)
        try:
            with orderly_end(), log_in_once(params) as session:
                if session:  # some modules need none
                    session.watch = self._progress()
                result = module.run(session, params, self._task.check_mode)
        except XenError as e:
            return failure(e)
        warnings = [*warn_about(params), *result.pop("warnings", [])]
        shown = {"_ansible_no_log": True} if module.secret else {}
        return {**result, **shown, **({"warnings": warnings} if warnings else {})}

    def _progress(self) -> t.Callable[..., None]:
        """With -v, a line whenever a long call has come another tenth of its way, with the rate and how long it will still take."""
        told: dict[str, int] = {}
        pace = Pace()

        def watch(method: str, share: float, moved: int = 0) -> None:
            words, tenth = pace.told(method, share, moved), int(share * 10)
            if tenth > told.get(method, 0):
                self._display.v(f"{self._task.get_name()}: {method} {words}")
            told[method] = tenth

        return watch

    def _in_process(self) -> bool:
        task = self._task
        elsewhere = task.delegate_to is not None and task.delegate_to not in HERE
        wanted = boolean(os.environ.get("XEN_IN_PROCESS", "true"), strict=False)
        return wanted and not (task.async_val or self._play_context.become or any(task.environment or []) or elsewhere)
