# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option of xl_domain is written, and the real xl takes it as it was meant. Nothing is started: HVM does not run on this Xen."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.xl.domain.meaning import covers, flat
from ansible_collections.domzero.xen.plugins.module_utils.xl.domain.settings import OPTIONS, given

from .dom0 import Dom0
from .xl_domain_options import ARM, CONFIGS, LATER, UNTOLD


def told(name: str, value: t.Any) -> t.Any:
    """What the JSON has for an option whose value is told as it was given; None for others."""
    option = OPTIONS[name]
    if option.type == "mib":
        return given({name: value})[name] * 1024
    return value if option.type in ("str", "int", "bool", "strings", "ints") else None


@pytest.mark.parametrize("name", CONFIGS)
def test_xl_takes_every_option_as_it_was_meant(dom0: Dom0, name: str) -> None:
    config = CONFIGS[name]
    folder = f"/root/domain-o-{name}"
    task = {"domzero.xen.xl_domain": {"name": f"domain-o-{name}", "config_dir": folder, "backup": False, **config.options}}
    done = dom0.converges(task)
    dom0.converges({"domzero.xen.xl_domain": {**done["domain"], "config_dir": folder}}, changed=False)
    understood = json.loads(dom0.sh(f"xl create -n {folder}/domain-o-{name}.cfg 2>/dev/null; rm -r {folder}"))
    check(name, understood)


def check(name: str, understood: dict[str, t.Any]) -> None:
    config = CONFIGS[name]
    values = flat(understood)
    for option, value in config.options.items():
        path = OPTIONS[option].path
        if told(option, value) is not None and option not in {*LATER, *ARM, *UNTOLD} and path not in config.told:
            assert values.get(path) == told(option, value), option
    for path, value in config.told.items():
        group = path.rpartition("/")
        found: t.Any = understood
        for part in [*filter(None, group[0].split("/")), group[2]]:
            found = found.get(part) if isinstance(found, dict) else None
        assert covers(value, found), (path, found)
