# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every story starts with: `dom0`, a Dom0 in the state of a snapshot. README.md tells how to write one."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible.plugins.loader import init_plugin_loader

init_plugin_loader()  # before anything of the collection is imported, as tests/unit/conftest.py does

from ansible_collections.domzero.xen.tests.nested_xen import attempts, host, machine  # noqa: E402
from ansible_collections.domzero.xen.tests.nested_xen.dom0 import Dom0  # noqa: E402
from ansible_collections.domzero.xen.tests.nested_xen.stage import XEN, Running, Stage  # noqa: E402

STAGE = pytest.StashKey[Stage | Running]()
HERE = Path(__file__).parent
# where time is short: after the core of all files, what most people do is tried, and what takes little
FIRST = (
    "dom0",
    "xl_domain",
    "xl_cfg",
    "xl_volume",
    "dom0_network",
    "dom0_storage",
    "dom0_boot",
    "domu",
    "xl_info",
    "xl_domain_options",
    "xl_migrate",
)
KNOW_NOBODY = "Host 10.98.0.*\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n"


def pytest_configure(config: pytest.Config) -> None:
    def say(text: str) -> None:
        reporter = config.pluginmanager.getplugin("terminalreporter")
        for line in text.splitlines():
            reporter.write_line(f"nested-xen: {line}")
        reporter.flush()

    if where := os.environ.get("NESTED_XEN_SSH"):
        config.stash[STAGE] = Running(where, Path(os.environ["NESTED_XEN_KEY"]), machine.sockets())
    else:
        config.stash[STAGE] = Stage(say, os.environ.get("NESTED_XEN_SUITE", "bookworm"))


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[STAGE].clear()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The core comes first. Without what a guest needs every story is skipped, and says why."""
    files = [f"test_{name}.py" for name in FIRST]

    def place(item: pytest.Item) -> tuple[bool, int]:
        return not item.get_closest_marker("core"), files.index(item.path.name) if item.path.name in files else len(files)

    items.sort(key=place)
    lacks = host.missing() if isinstance(config.stash[STAGE], Stage) else []
    if lacks:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=f"NO XEN WAS TESTED. This machine lacks {', '.join(lacks)}"))


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Files of stories that fail are run once more, from their snapshot."""
    stage = session.config.stash[STAGE]
    if session.testsfailed or session.config.option.collectonly or any(HERE not in item.path.parents for item in session.items):
        return None
    attempts.run(session, getattr(stage, "say", print), again=isinstance(stage, Stage))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> t.Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and (said := item.config.stash[STAGE].console()):
        report.sections.append(("serial console of the guest", said))
    return report


@pytest.fixture(scope="module")
def dom0(request: pytest.FixtureRequest) -> Dom0:
    """The guest, in the state the file starts from: its SNAPSHOT, or that of a Dom0."""
    return request.config.stash[STAGE].set(getattr(request.module, "SNAPSHOT", XEN))


@pytest.fixture(scope="module")
def other(request: pytest.FixtureRequest, dom0: Dom0) -> t.Iterator[Dom0]:
    """A second Dom0, for migration. They see each other as 10.98.0.1 (dom0) and 10.98.0.2, and may enter each other by ssh."""
    stage = request.config.stash[STAGE]
    if isinstance(stage, Running):
        pytest.skip("a second guest needs QEMU")
    twin = stage.twin()
    try:
        second = Dom0(twin.ssh, twin.serial, "other")
        dom0.sh("ip link set ens4 up && ip address replace 10.98.0.1/24 dev ens4")
        second.sh("hostname xenother && ip link set ens4 address 52:54:00:12:34:58 up && ip address replace 10.98.0.2/24 dev ens4")
        dom0.until("ping -c 1 -W 1 10.98.0.2", timeout=60)
        for one in (dom0, second):
            one.put(KNOW_NOBODY, "/root/.ssh/config")
        yield second
    finally:
        twin.remove()
