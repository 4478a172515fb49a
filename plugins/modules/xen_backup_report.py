#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_backup_report
short_description: Write down what backups there are and how the last run went, for people and for programs
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Writes a page of HTML with bars of sizes and ages, and the same as JSON, from what lies in a repository and what a run of
    M(domzero.xen.xen_backups) returned. The page needs no network and no script.
  - Needs no session. Nothing but the two files is written; only the user the task runs as may read them.
  - Files that differ from what there is in times only are written anew, and are no change.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  repository:
    description: Folder of the backups, on the machine where the task runs.
    type: path
    required: true
  pool:
    description: Name or uuid of the pool to tell of. All pools of the repository if not set.
    type: str
  backups:
    description: What RV(domzero.xen.xen_backups#module:backups) was in this run.
    type: list
    elements: dict
    default: []
  problems:
    description: What else went wrong, a sentence each.
    type: list
    elements: str
    default: []
  dest:
    description:
      - The page. The JSON lies beside it, with C(.json) in the place of C(.html). So the page cannot be named C(.json).
      - If not set, it is C(report_POOL.html) in O(repository), or C(report_all.html).
    type: path
seealso:
  - module: domzero.xen.xen_backups
  - module: domzero.xen.xen_backup_info
"""

EXAMPLES = r"""
- name: What there is
  domzero.xen.xen_backup_report:
    repository: "{{ backups }}"

- name: How last night's run went, for the web server
  domzero.xen.xen_backup_report:
    repository: "{{ backups }}"
    pool: Lab
    backups: "{{ run.backups }}"
    dest: "{{ pages }}/lab.html"
"""

RETURN = r"""
report:
  description: What is in the JSON.
  returned: success
  type: dict
  contains:
    ok:
      description: Whether no backup of the run failed, and nothing else went wrong.
      type: bool
    run:
      description: What was to be backed up, each with C(kind), C(name), C(changed), and C(msg) if it failed.
      type: list
      elements: dict
    problems:
      description: As in O(problems).
      type: list
      elements: str
    subjects:
      description:
        - What has backups, each with C(kind), C(name), C(uuid), C(count), C(bad), C(size) in bytes, C(newest) and C(age) in seconds of the
          newest that can be restored, and C(backups).
      type: list
      elements: dict
    size:
      description: Bytes of all.
      type: int
    free:
      description: Bytes that are free there.
      type: int
    made:
      description: When it was written.
      type: str
html:
  description: The page.
  returned: success
  type: str
  sample: /backup/report_Lab.html
json:
  description: The same for programs.
  returned: success
  type: str
  sample: /backup/report_Lab.json
"""

import contextlib
import json
import shutil
import time
import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.plugins.module_utils.backup.durable import landed
from ansible_collections.domzero.xen.plugins.module_utils.backup.names import safe
from ansible_collections.domzero.xen.plugins.module_utils.backup.page import page
from ansible_collections.domzero.xen.plugins.module_utils.backup.report import report, without_times
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.formats.files import refuse_bad_target
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main

Params = t.Mapping[str, t.Any]


@contextlib.contextmanager
def nobody(_params: Params) -> t.Iterator[t.Any]:
    """No session is needed."""
    yield None


def run(_session: t.Any, params: Params, check: bool) -> dict[str, t.Any]:
    root = Path(params["repository"])
    made = report(Repository(root), params["pool"] or "", params["backups"], params["problems"], time.time(), shutil.disk_usage(root).free)
    html = Path(params["dest"]) if params["dest"] else root / f"report_{safe(title(params['pool'], made['pools']))}.html"
    told = html.with_suffix(".json")
    if html == told:
        raise InvalidChange(f"{html} is for the JSON that lies beside the page.", hint="Give the page's name, such as one with .html.")
    refuse_bad_target(html)
    changed = not html.exists() or without_times(before(told)) != without_times(made)
    if not check:
        landed(told, json.dumps(made, indent=2, sort_keys=True).encode() + b"\n")
        landed(html, page(made).encode())
    return {"changed": changed, "report": made, "html": str(html), "json": str(told)}


def title(pool: str | None, found: t.Sequence[dict[str, str]]) -> str:
    """What the files are called: the pool's name, whichever way it was asked for."""
    if not pool:
        return "all"
    return found[0]["name"] if found else pool


def before(told: Path) -> dict[str, t.Any]:
    """What was written last; {} if that cannot be told."""
    try:
        found = json.loads(told.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


MODULE = Module(
    {
        "repository": {"type": "path", "required": True},
        "pool": {"type": "str"},
        "backups": {"type": "list", "elements": "dict", "default": []},
        "problems": {"type": "list", "elements": "str", "default": []},
        "dest": {"type": "path"},
    },
    run,
    session=nobody,
)

if __name__ == "__main__":
    main(MODULE)
