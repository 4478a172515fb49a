# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page on retention shows is run: backups are thinned out, encrypted, and copied by others' tools."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup import retention
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.tests.simulator.running import Simulator

from .plugins.backup.keys import needs_age
from .plugins.backup.prune_lab import Lab
from .test_guides import ENVIRONMENT, Terminal, blocks

PAGE = "guide_backup_retention"
LOST = """
- hosts: localhost
  gather_facts: false
  tasks:
    - domzero.xen.xen_vm: {name: web01, template: Other install media}
"""


def shown(folder: Path) -> Terminal:
    """The files of the page, with folders of the test's own."""
    for block in blocks(PAGE):
        if block.name:
            text = block.text
            for name in ("backup", "copy"):
                text = text.replace(f"repository: /{name}", f"repository: {folder}/{name}")
            (folder / block.name).write_text(text)
    (folder / "backup").mkdir()
    return Terminal(folder)


def test_what_the_page_says_the_rules_keep_on_a_sunday_in_november_is_so() -> None:
    last = dt.datetime(2026, 11, 15, 20, tzinfo=dt.UTC)
    nights = [retention.Point(f"{n:04}", last - dt.timedelta(n)) for n in range(700, -1, -1)]
    rules = retention.Rules(last=2, daily=7, weekly=5, monthly=12)
    stay = {choice.stamp for choice in retention.plan(nights, rules, last, retention.zone_of("Europe/Berlin")) if choice.keep}
    moments = [point.created for point in nights if point.stamp in stay]
    assert moments[-7:] == [last - dt.timedelta(n) for n in range(6, -1, -1)]
    sundays = {last - dt.timedelta(weeks=n) for n in range(1, 5)}
    rest = [moment for moment in moments[:-7] if moment not in sundays]
    assert len(moments) == 7 + 4 + 11
    assert [(moment + dt.timedelta(1)).day for moment in rest] == [1] * 11


@pytest.mark.slow
def test_backups_are_thinned_out_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    terminal = shown(tmp_path)
    lab = Lab(tmp_path / "backup")
    lab.backs_up(12)
    said = terminal.run("ansible-playbook prune.yml prune.yml")
    assert "web01 2020-01-12T12:00:00Z stays: the newest usable one, last, daily, weekly, monthly" in said
    assert "changed=1" in said
    left = [backup.stamp for backup in lab.subject.backups()]
    assert len(left) == 9  # seven days, the Sunday before, and the oldest, since there are not enough weeks and months
    lab.all_is_well(left)


@needs_age
@pytest.mark.slow
def test_encrypted_backups_are_made_and_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = shown(tmp_path)
    (tmp_path / "lost.yml").write_text(LOST)
    for line in next(block.text for block in blocks(PAGE) if block.language == "console").split("\n"):
        if line.startswith("$ "):
            terminal.run(line[2:])
    with Simulator("--hosts", "1", "--speed", "0") as simulator:
        host = simulator.ready["hosts"][0]
        reached = {"XEN_HOST": host["url"], "XEN_PASSWORD": simulator.ready["password"], "XEN_FINGERPRINT": host["fingerprint_sha256"]}
        for name, value in reached.items():
            monkeypatch.setitem(ENVIRONMENT, name, value)
        terminal.run("ansible-playbook lost.yml sealed.yml sealed.yml")
    (subject,) = Repository(tmp_path / "backup").subjects()
    (backup,) = subject.backups()
    assert backup.usable()
    assert {path.suffix for path in backup.path.iterdir()} <= {".age", ".json"}


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["restic", "rclone"])
def test_a_copy_by_a_tool_of_others_is_as_good(tmp_path: Path, tool: str) -> None:
    if not shutil.which(tool):
        pytest.skip(f"{tool} is missing (Debian: {tool})")
    terminal = shown(tmp_path)
    lab = Lab(tmp_path / "backup")
    made = lab.backs_up(3)
    store = tmp_path / "store"
    (tmp_path / "password").write_text("x")
    places = {"RESTIC_REPOSITORY": str(store), "RESTIC_PASSWORD_FILE": str(tmp_path / "password"), "XDG_CACHE_HOME": str(tmp_path)}
    environment = {**os.environ, **(places if tool == "restic" else {"REMOTE": str(store)})}

    def run(*command: str) -> None:
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)

    if tool == "restic":
        run("restic", "init")
    run("bash", "offsite.sh", str(tmp_path / "backup"))
    if tool == "restic":
        run("restic", "restore", "latest", "--target", str(tmp_path / "restored"))
        (tmp_path / "restored").joinpath(*(tmp_path / "backup").parts[1:]).rename(tmp_path / "copy")
    else:
        run("rclone", "copy", str(store), str(tmp_path / "copy"))
    shutil.rmtree(tmp_path / "backup")
    terminal.run("ansible-playbook copy.yml")
    copy = Lab(tmp_path / "copy")
    copy.contents = lab.contents
    copy.all_is_well([backup.stamp for backup in made])
