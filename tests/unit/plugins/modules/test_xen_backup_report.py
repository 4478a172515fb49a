# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a backup run: what it tells, and that a page shows it whatever things are called."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup import page
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange

MEDIA = "Other install media"
NASTY = "<script>alert('&\"')</script>"
VOID = ("meta", "br")


class Reader(HTMLParser):
    """What a browser would see. Fails where tags do not close."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture
def saved(simulator, run, tmp_path):
    """Two VMs, one of them with an odd name, saved twice."""
    simulator(1)
    run("xen_sr", name="Local storage", default=True)
    run("xen_vms", vms=[{"name": name, "template": MEDIA, "disks": [{"size": "4 MiB"}]} for name in ("web01", NASTY)])
    root = tmp_path / "backups"
    root.mkdir()
    for _time in range(2):
        done = run("xen_backups", repository=str(root), select={})
    return root, done["backups"]


def test_the_page_shows_everything_and_needs_nothing_but_itself(saved, run):
    root, rows = saved
    wrong = {"kind": "vm", "name": NASTY, "changed": False, "failed": True, "msg": f"VM {NASTY!r} is <b>busy</b>."}
    done = run("xen_backup_report", repository=str(root), backups=[*rows, wrong], problems=["The disk of <i> is odd."])
    told = json.loads(Path(done["json"]).read_text())
    assert told == done["report"]
    assert run("xen_backup_report", check=True, repository=str(root), pool=rows[0]["backup"]["pool_uuid"])["html"].endswith(
        "/report_xcp00.html"
    )
    assert (told["ok"], [subject["count"] for subject in told["subjects"]]) == (False, [2, 2])
    assert all(subject["age"] is not None and subject["size"] > 0 for subject in told["subjects"])
    seen = Reader(Path(done["html"]).read_text())
    assert "script" not in seen.tags
    assert seen.links == []
    text = "".join(seen.texts)
    for part in (NASTY, "web01", "1 of 3 failed.", "is <b>busy</b>", "The disk of <i> is odd.", "not checked"):
        assert part in text
    assert seen.tags.count("i") >= 4


def test_a_second_report_of_the_same_is_no_change_and_check_mode_writes_nothing(saved, run, tmp_path):
    root, rows = saved
    task = {"repository": str(root), "pool": rows[0]["backup"]["pool"], "backups": rows, "dest": str(tmp_path / "page.html")}
    assert run("xen_backup_report", check=True, **task)["changed"] is True
    assert not (tmp_path / "page.html").exists()
    assert run("xen_backup_report", **task)["changed"] is True
    assert run("xen_backup_report", **task)["changed"] is False
    (tmp_path / "page.json").write_text("cut o")
    assert run("xen_backup_report", **task)["changed"] is True
    newest = Path(rows[0]["backup"]["path"])
    (newest / "manifest.json").write_bytes(b"{}")
    done = run("xen_backup_report", **task)
    assert done["changed"] is True
    assert [(subject["count"], subject["bad"]) for subject in done["report"]["subjects"]] in ([(2, 1), (2, 0)], [(2, 0), (2, 1)])
    assert "damaged" in (tmp_path / "page.html").read_text()


def test_a_page_that_would_overwrite_its_json_is_refused(run, tmp_path):
    (tmp_path / "backups").mkdir()
    for check in (True, False):
        with pytest.raises(InvalidChange, match=r"x\.json is for the JSON that lies beside the page"):
            run("xen_backup_report", check=check, repository=str(tmp_path / "backups"), dest=str(tmp_path / "x.json"))
    assert not (tmp_path / "x.json").exists()


def test_an_empty_repository_has_a_page_too(run, tmp_path):
    done = run("xen_backup_report", hostname="nobody", repository=str(tmp_path))
    assert (done["report"]["ok"], done["report"]["subjects"]) == (True, [])
    assert "nothing yet" in Path(done["html"]).read_text()
    with pytest.raises(InvalidChange, match="is not there"):
        run("xen_backup_report", hostname="nobody", repository=str(tmp_path), dest=str(tmp_path / "no/page.html"))


@pytest.mark.parametrize(("seconds", "told"), [(0, "now"), (60, "1 minute"), (7200, "2 hours"), (86399, "23 hours"), (3 * 86400, "3 days")])
def test_ages_are_readable(seconds, told):
    assert page.readable_age(seconds) == told
