# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often 100 tasks log in: in one session, and as the items of one loop."""

from __future__ import annotations

import typing as t

from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from .playbooks import Playbooks, Task

TASKS = 100
LOGIN = "session.login_with_password"


def measure() -> t.Iterator[dict[str, t.Any]]:
    task: Task = {"domzero.xen.xen_network": {"name": "storage"}}
    session: list[Task] = [
        {"domzero.xen.xen_session": {}, "register": "xen"},
        {
            "module_defaults": {"group/domzero.xen.xen": {"session": "{{ xen.session }}"}},
            "block": [task] * TASKS,
            "always": [{"domzero.xen.xen_session": {"state": "absent"}}],
        },
    ]
    with InProcess(site.build(site.of_hosts(1), speed=0)) as simulator:
        playbooks = Playbooks(simulator)
        yield {
            "with_session": logins(simulator, lambda: playbooks.run(*session)),
            "per_loop": logins(simulator, lambda: playbooks.run({**task, "loop": list(range(TASKS))})),
        }


def logins(simulator: InProcess, run: t.Callable[[], object]) -> int:
    """Counted by the pool: a fault that never comes counts the calls it waits for."""
    simulator.faults.slow(LOGIN, 0, nth=1 << 30)
    counter = simulator.faults.triggers[-1]
    run()
    return counter.seen
