# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""xapi's own host.evacuate against our plan for one host, both carried out on the collection's simulator."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError
from ansible_collections.domzero.xen.plugins.module_utils.planner.evacuation import evacuation
from ansible_collections.domzero.xen.plugins.module_utils.planner.model import MIGRATE, NoPlan, Policy
from ansible_collections.domzero.xen.plugins.module_utils.refs import NULL
from ansible_collections.domzero.xen.plugins.module_utils.transport import Endpoint
from ansible_collections.domzero.xen.tests.simulator import instances
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from .formats import pool_of
from .instances import Instance


def emptied(given: Instance, host: str) -> dict[str, t.Any]:
    """xapi and ours: "" where the host is empty in the end, else why it cannot be."""
    return {"xapi": _played(given, host, _theirs), "ours": _played(given, host, _ours)}


def _played(given: Instance, host: str, empty: t.Callable[[Session, Instance, str], str]) -> str:
    """On a pool of its own."""
    with InProcess(instances.build(given)) as simulator, _session(simulator) as session:
        why = empty(session, given, host)
        ref = session.call("host.get_by_name_label", host)[0]
        left = [vm for vm in session.call("host.get_resident_VMs", ref) if not session.call("VM.get_is_control_domain", vm)]
    return why or (f"{len(left)} VMs are left" if left else "")


@contextlib.contextmanager
def _session(simulator: InProcess) -> t.Iterator[Session]:
    session = Session(Endpoint.parse(simulator.hosts[0].url, validate_certs=False))
    session.log_in(simulator.username, simulator.password)
    yield session
    session.log_out()


def _theirs(session: Session, given: Instance, host: str) -> str:
    del given
    ref = session.call("host.get_by_name_label", host)[0]
    session.call("host.disable", ref)
    prevented = session.call("host.get_vms_which_prevent_evacuation", ref)
    if prevented:
        return ", ".join(sorted({error[0] for error in prevented.values()}))
    try:
        session.call("host.evacuate", ref, NULL, 10, timeout=120)
    except ApiError as e:
        return e.code
    return ""


def _ours(session: Session, given: Instance, host: str) -> str:
    try:
        plan = evacuation(pool_of(given), host, Policy())
    except NoPlan as e:
        return str(e)
    refs = {record["name_label"]: ref for cls in ("host", "VM") for ref, record in session.call(f"{cls}.get_all_records").items()}
    for action in plan.actions:
        if action.op == MIGRATE:
            session.call("VM.pool_migrate", refs[action.vm], refs[action.host], {}, timeout=120)
    return ""
