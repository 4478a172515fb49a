# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates: what they say about their VMs, made, protected, deleted. Images and interruptions are in files of their own."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import Ambiguous, InvalidChange, NotFound

Run = Start = t.Callable[..., t.Any]
DEBIAN, OTHER = "Debian Bookworm 12", "Other install media"


def vm(sim: t.Any, name: str) -> dict[str, t.Any]:
    db = sim.world.pools[0].db
    return t.cast("dict[str, t.Any]", db.get("VM", db.one("VM", name_label=name)))


def sr(sim: t.Any) -> str:
    """The first SR that takes disks."""
    db = sim.world.pools[0].db
    return next(r["name_label"] for r in db.all("SR").values() if r["content_type"] == "user" and r["PBDs"])


# copies ------------------------------------------------------------------------------
def test_a_stock_template_is_copied(simulator: Start, converges: Run) -> None:
    sim = simulator(1)
    done = converges("xen_template", name="Web", source=DEBIAN, description="For web servers", tags=["web"])
    assert done["operations"] == ["VM.clone", "VM.set_name_description", "VM.set_tags", "VM.set_name_label"]
    assert done["template"]["provision_disks"] == [{"device": "0", "size": 10 << 30, "sr": "", "bootable": True, "type": "system"}]
    assert vm(sim, "Web")["is_a_template"]
    assert not vm(sim, "Web")["is_default_template"]


def test_the_copy_of_a_copy_is_a_template(simulator: Start, converges: Run) -> None:
    simulator(1)
    converges("xen_template", name="Web", source=DEBIAN)
    assert converges("xen_template", name="Web 2", source="Web")["changed"] is True


def test_without_a_source_there_is_nothing_to_make(run: Run) -> None:
    with pytest.raises(InvalidChange, match="does not say what to make it from"):
        run("xen_template", name="Web")


def test_an_unknown_source_is_told(run: Run) -> None:
    with pytest.raises(NotFound, match="No template is named 'Debian 99'"):
        run("xen_template", name="Web", source="Debian 99")


# limits ------------------------------------------------------------------------------
def test_limits_are_changed_and_the_rest_of_the_recommendations_stays(simulator: Start, converges: Run) -> None:
    sim = simulator(1)
    converges("xen_template", name="Web", source=DEBIAN)
    done = converges("xen_template", name="Web", limits={"memory_max": "64 GiB", "vcpus_max": 16, "uefi": False, "vcpus_min": 2})
    assert done["operations"] == ["VM.set_recommendations"]
    assert done["template"]["limits"]["memory_max"] == 64 << 30
    text = vm(sim, "Web")["recommendations"]
    for part in ('field="memory-static-max" max="68719476736"', 'field="supports-uefi" value="no"', 'field="vcpus-min" min="2"'):
        assert part in text
    assert 'field="allow-vgpu" value="1"' in text


@pytest.mark.parametrize("limits", [{"vcpus_min": 65}, {"memory_min": "100 TiB"}, {"vcpus_max": 4, "vcpus_min": 5}])
def test_limits_that_leave_nothing_are_refused(run: Run, limits: dict[str, t.Any]) -> None:
    with pytest.raises(InvalidChange, match="cannot have limits where"):
        run("xen_template", name="Web", source=DEBIAN, limits=limits)


def test_recommendations_that_are_no_xml_are_not_written_over(simulator: Start, run: Run) -> None:
    sim = simulator(1)
    run("xen_template", name="Web", source=DEBIAN)
    db = sim.world.pools[0].db
    db.set("VM", db.one("VM", name_label="Web"), recommendations="<oops")
    with pytest.raises(InvalidChange, match="are not XML"):
        run("xen_template", name="Web", limits={"vcpus_max": 2})


# wishes ------------------------------------------------------------------------------
def test_the_disks_of_its_vms_are_written_down(simulator: Start, converges: Run) -> None:
    sim = simulator(1)
    disks = [{"size": "20 GiB", "sr": sr(sim)}, {"size": "100 GiB", "type": "user"}]
    done = converges("xen_template", name="Web", source=DEBIAN, provision_disks=disks)
    assert [d["size"] for d in done["template"]["provision_disks"]] == [20 << 30, 100 << 30]
    text = vm(sim, "Web")["other_config"]["disks"]
    uuid = sim.world.pools[0].db.get("SR", sim.world.pools[0].db.one("SR", name_label=sr(sim)))["uuid"]
    assert f'<disk device="0" size="21474836480" sr="{uuid}" bootable="true" type="system" />' in text
    assert '<disk device="1" size="107374182400" sr="" bootable="false" type="user" />' in text
    assert converges("xen_template", name="Web", provision_disks=[])["template"]["provision_disks"] == []
    assert "disks" not in vm(sim, "Web")["other_config"]


@pytest.mark.parametrize(
    ("disk", "told"),
    [
        ({"size": "0"}, "has 0 bytes"),
        ({"size": "much"}, "is not a size"),
        ({"size": "1 GiB", "device": "sda"}, "cannot have device 'sda'"),
        ({"size": "1 GiB", "sr": "nowhere"}, "No SR is named 'nowhere'"),
        ({"size": "1 GiB", "sr": "XCP-ng Tools"}, "holds ISO images"),
    ],
)
def test_impossible_disks_are_refused(run: Run, disk: dict[str, t.Any], told: str) -> None:
    with pytest.raises((InvalidChange, NotFound), match=told):
        run("xen_template", name="Web", source=DEBIAN, provision_disks=[disk])


def test_two_disks_do_not_share_a_place(run: Run) -> None:
    with pytest.raises(InvalidChange, match="have device 1"):
        run("xen_template", name="Web", source=DEBIAN, provision_disks=[{"size": "1 GiB", "device": "1"}, {"size": "1 GiB"}])


def test_where_its_vms_are_installed_from(simulator: Start, converges: Run) -> None:
    sim = simulator(1)
    url = "http://deb.debian.org/debian"
    converges("xen_template", name="Web", source=DEBIAN, install_repository=url)
    assert vm(sim, "Web")["other_config"]["install-repository"] == url
    converges("xen_template", name="Web", install_repository="", install_methods=["cdrom"])
    assert "install-repository" not in vm(sim, "Web")["other_config"]
    assert vm(sim, "Web")["other_config"]["install-methods"] == "cdrom"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"install_repository": "somewhere"}, "which is none"),
        ({"install_repository": "nfs:filer:/debian", "install_methods": ["http"]}, "cannot be installed from"),
        ({"install_methods": ["by hand"]}, "cannot be installed by"),
    ],
)
def test_an_impossible_repository_is_refused(run: Run, options: dict[str, t.Any], told: str) -> None:
    with pytest.raises(InvalidChange, match=told):
        run("xen_template", name="Web", source=DEBIAN, **options)


# protection --------------------------------------------------------------------------
def test_a_stock_template_is_not_edited_unless_that_is_meant(run: Run, converges: Run) -> None:
    with pytest.raises(InvalidChange, match="relied on elsewhere"):
        run("xen_template", name=DEBIAN, description="Mine")
    assert converges("xen_template", name=DEBIAN, description="Mine", allow_default=True)["changed"] is True


def test_a_stock_template_is_never_deleted(run: Run) -> None:
    with pytest.raises(InvalidChange, match="is a stock template, and those are not deleted"):
        run("xen_template", name=DEBIAN, state="absent", allow_default=True)


def test_a_stock_template_of_an_old_release_is_known_by_its_mark(simulator: Start, run: Run) -> None:
    sim = simulator(1)
    db = sim.world.pools[0].db
    db.set("VM", db.one("VM", name_label=DEBIAN), is_default_template=False)
    with pytest.raises(InvalidChange, match="is a stock template"):
        run("xen_template", name=DEBIAN, state="absent")


def test_what_somebody_has_blocked_is_not_deleted(simulator: Start, run: Run) -> None:
    sim = simulator(1)
    run("xen_template", name="Web", source=DEBIAN)
    db = sim.world.pools[0].db
    db.set("VM", db.one("VM", name_label="Web"), blocked_operations={"destroy": "by Anna"})
    with pytest.raises(InvalidChange, match="somebody has blocked that: by Anna"):
        run("xen_template", name="Web", state="absent")


def test_a_template_is_deleted(converges: Run) -> None:
    converges("xen_template", name="Web", source=DEBIAN)
    assert converges("xen_template", name="Web", state="absent")["operations"] == ["VM.destroy"]


# names -------------------------------------------------------------------------------
def test_a_template_is_renamed_by_its_uuid(converges: Run) -> None:
    uuid = converges("xen_template", name="Web", source=DEBIAN)["template"]["uuid"]
    assert converges("xen_template", uuid=uuid, name="Web server")["operations"] == ["VM.set_name_label"]


def test_the_name_of_a_vm_is_not_taken(simulator: Start, run: Run) -> None:
    sim = simulator(1)
    run("xen_template", name="Web", source=DEBIAN)
    sim.world.pools[0].db.create("VM", name_label="web1", power_state="Halted")
    with pytest.raises(InvalidChange, match="A VM is named 'web1' already"):
        run("xen_template", name="web1", source=DEBIAN)
    with pytest.raises(InvalidChange, match="A VM is named 'web1' already"):
        run("xen_template", uuid=run("xen_template", name="Web")["template"]["uuid"], name="web1")


def test_two_templates_of_a_name_are_told_apart_by_uuid(simulator: Start, run: Run) -> None:
    sim = simulator(1)
    uuid = run("xen_template", name="Web", source=DEBIAN)["template"]["uuid"]
    db = sim.world.pools[0].db
    second = run("xen_template", name="Web 2", source=DEBIAN)["template"]["uuid"]
    db.set("VM", db.one("VM", name_label="Web 2"), name_label="Web")
    with pytest.raises(Ambiguous, match=uuid):
        run("xen_template", name="Web", description="x")
    assert run("xen_template", uuid=second, description="x")["changed"] is True
