# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback of Ansible: the result of every task as one line of JSON in the file $NESTED_XEN_RESULTS."""

from __future__ import annotations

import json
import os
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: nested_xen_results
    type: notification
    short_description: Writes results as lines of JSON
    description: One line for each task and host, for tests that look at results.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "nested_xen_results"
    CALLBACK_NEEDS_ENABLED = True

    def _keep(self, outcome: t.Any, state: str) -> None:
        task = outcome.task
        line = {**outcome.result, "_task": task.get_name(), "_action": task.action, "_outcome": state}
        with open(os.environ["NESTED_XEN_RESULTS"], "a", encoding="utf-8") as file:
            file.write(json.dumps(line, default=str) + "\n")

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._keep(result, "ok")

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._keep(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        self._keep(result, "skipped")

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._keep(result, "unreachable")
