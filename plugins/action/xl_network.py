# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module, and confirms its change over a connection that is opened after it."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()
AGAIN = 2.0  # seconds between two attempts
MARGIN = 120.0  # seconds the host has to take a change back, and to be reached again
# a connection that is open while the network goes away is not to hang
ALIVE = "-o ServerAliveInterval=5 -o ServerAliveCountMax=3"


class ActionModule(ActionBase):
    """See plugins/modules/xl_network.py."""

    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        result.update(self._execute_module(task_vars=task_vars))
        change = result.pop("pending", None)
        if not change or result.get("failed"):
            return result
        told = self._confirmed(change, float(self._task.args.get("confirm_timeout", 60)), task_vars)
        if told["outcome"] != "confirmed":
            result.update(failed=True, msg=self._sentence(told, result))
        return result

    def _confirmed(self, change: str, timeout: float, task_vars: t.Any) -> dict[str, str]:
        """What became of the change, as the host tells it."""
        told = {"outcome": "unreachable", "reason": ""}
        self._patiently()
        # the job's commands take their time before its own count begins
        end = time.monotonic() + timeout + MARGIN
        while time.monotonic() < end:
            time.sleep(AGAIN)
            try:
                self._reset()
                answer = self._execute_module(module_args={"confirm": change}, task_vars=task_vars)
            except AnsibleError as e:
                display.vvv(f"xl_network: not reached yet: {e}")
                told["reason"] = str(e)
                continue
            if "told" in answer:
                told = answer["told"]
                end = max(end, time.monotonic() + MARGIN) if told["outcome"] == "pending" else end
                if told["outcome"] != "pending":
                    break
            else:
                told["reason"] = str(answer.get("msg", ""))
        return told

    def _patiently(self) -> None:
        with contextlib.suppress(AnsibleError, KeyError, AttributeError):
            given = self._connection.get_option("ssh_extra_args") or ""
            if ALIVE not in given:
                self._connection.set_option("ssh_extra_args", f"{given} {ALIVE}".strip())

    def _reset(self) -> None:
        """The next command opens a new connection."""
        with contextlib.suppress(AttributeError):
            self._connection.reset()
        with contextlib.suppress(AttributeError):
            self._connection.close()

    def _sentence(self, told: dict[str, str], result: dict[str, t.Any]) -> str:
        if told["outcome"] == "reverted":
            return (
                f"The network was put back as it was: {told['reason']}. "
                f"The log of the commands is {result.get('backup', '')}/log on the host."
            )
        return (
            f"The host was not reached again ({told['outcome']}: {told['reason']}). It puts its earlier network back by itself, "
            "also when it is started anew."
        )
