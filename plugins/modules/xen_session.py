#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_session
short_description: Log in once for many tasks
version_added: 0.1.0
author: [Domzero (@domzero)]
description:
  - Opens a session on the coordinator and returns it.
  - Tasks that get it as O(session), best through C(module_defaults), don't log in themselves.
  - A login takes a host longer than most tasks. A loop logs in once anyway, this module is for many tasks one after another.
  - End the session in C(always). A host ends a session nobody uses after 24 hours.
  - Logs in and out in check mode too, since the tasks after it need the session to look at the pool.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  state:
    description:
      - V(present) opens a session of its own, whatever O(session) says.
      - V(absent) ends O(session). One that has ended already, or none, is fine.
    type: str
    choices: [present, absent]
    default: present
notes:
  - Whoever has the session can do what its user can. The result is hidden from the output, as C(no_log) does, and can be registered
    all the same. Where the task runs as an ordinary module (C(async), C(become), C(environment), delegated to another machine),
    set C(no_log) yourself.
"""

EXAMPLES = r"""
- name: Log in
  domzero.xen.xen_session:
    hostname: "{{ xen_host }}"
    password: "{{ xen_password }}"
    fingerprint: "{{ xen_fingerprint }}"
  register: xen

- name: Work in that session
  module_defaults:
    group/domzero.xen.xen:
      session: "{{ xen.session }}"
  block:
    - name: A network
      domzero.xen.xen_network:
        name: storage

    - name: Look at it
      domzero.xen.xen_info:
        class: network
        filter: {name_label: storage}
  always:
    - name: Log out
      domzero.xen.xen_session:
        state: absent
"""

RETURN = r"""
session:
  description: What other modules take as O(session).
  returned: when O(state=present)
  type: dict
  contains:
    url:
      description: Where the session was opened. The coordinator, even if a member was addressed.
      type: str
    ref:
      description: The session's reference.
      type: str
    validate_certs:
      description: As given.
      type: bool
    ca_file:
      description: As given.
      type: str
    fingerprint:
      description: As given.
      type: list
      elements: str
"""

import typing as t
from contextlib import contextmanager

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, log_in, main, session_for


@contextmanager
def opened_or_handed(params: t.Mapping[str, t.Any]) -> t.Iterator[t.Any]:
    """A new session that nobody ends here, or the one to be ended."""
    if params["state"] == "present":
        yield log_in(params)
    elif params["session"]:
        with session_for(params) as handed:
            yield handed
    else:
        yield None


def run(session: Session | None, params: t.Mapping[str, t.Any], _check: bool) -> dict[str, t.Any]:
    if session and params["state"] == "present":
        trust = {option: params[option] for option in ("validate_certs", "ca_file", "fingerprint")}
        return {"changed": False, "session": {"url": session.endpoint.url, "ref": session.handle, **trust}}
    if session:
        session.log_out()
    return {"changed": False}


MODULE = Module(
    {"state": {"type": "str", "choices": ["present", "absent"], "default": "present"}}, run, session=opened_or_handed, secret=True
)

if __name__ == "__main__":
    main(MODULE)
