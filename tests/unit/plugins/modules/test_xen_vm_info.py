# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of VMs is what their module takes."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ..conftest import Run

DEBIAN = "Debian Bookworm 12"


def test_what_info_tells_can_be_handed_back(converges: Run, run: Run) -> None:
    converges("xen_vm", name="web01", template=DEBIAN, custom_fields={"owner": "ops"}, auto_poweron=True, other_config={"a": "b"})
    for told in run("xen_vm_info")["vms"]:
        assert run("xen_vm", **told)["changed"] is False
