# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user gets who says something wrong of VMs: one sentence that names the thing and what to do, and nothing is changed."""

from __future__ import annotations

import resource
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.domzero.xen.plugins.module_utils import module as seam
from ansible_collections.domzero.xen.plugins.module_utils.errors import Timeout, XenError
from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from .bad_input_lab import BadLab
from .conftest import BadOptions, carry_out, reach, validated
from .test_bad_input import user

Options = dict[str, t.Any]
FILES = sorted(Path(__file__).parent.joinpath("bad_input").glob("*.yml"))
CASES: dict[str, Options] = {name: case for file in FILES for name, case in yaml.safe_load(file.read_text()).items()}
REFUSED = {name: case for name, case in CASES.items() if not case.get("ansible")}
MENDED = {name: case for name, case in CASES.items() if "mended" in case}
MIB = 1 << 20


class Pool:
    """The lab, its simulator, and a folder with files."""

    def __init__(self, folder: Path):
        self.sim = InProcess(site.build(site.load("examples"), speed=0)).start()
        self.folder = folder
        self.session = seam.log_in(validated(seam.Module({}, lambda *_: {}), reach(self.sim)))
        self.lab = BadLab(self.sim, self.session)
        self.lab.build(self.run, folder)

    def run(self, module: str, /, *, check: bool = False, **options: t.Any) -> Options:
        return carry_out(module, {**reach(self.sim), **options}, check=check)

    def task(self, case: Options) -> tuple[str, Options]:
        ((module, options),) = ((key, value) for key, value in case.items() if key.startswith("xen_"))
        return module, {key: self.placed(value) for key, value in options.items()}

    def placed(self, value: t.Any) -> t.Any:
        return value.replace("FOLDER", str(self.folder)) if isinstance(value, str) else value

    def refused(self, module: str, options: Options) -> XenError:
        """How the task fails: alike in check mode, and without a changing call."""
        mark = self.sim.mark()
        with pytest.raises(XenError) as predicted:
            self.run(module, check=True, **options)
        with pytest.raises(XenError) as done:
            self.run(module, **options)
        assert (str(predicted.value), predicted.value.code) == (str(done.value), done.value.code), "check mode says something else"
        assert self.sim.calls(mark) == []
        assert done.value.done == []
        return done.value


def made(factory: pytest.TempPathFactory) -> t.Iterator[Pool]:
    pool = Pool(factory.mktemp("files"))
    yield pool
    pool.session.log_out()
    pool.sim.stop()


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Pool]:
    """One for all: a task that is refused changes nothing."""
    yield from made(tmp_path_factory)


@pytest.fixture(scope="module")
def mending(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Pool]:
    """Another, where tasks come to their end."""
    yield from made(tmp_path_factory)


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_in_a_sentence_that_names_it(pool: Pool, name: str) -> None:
    files = sorted(pool.folder.iterdir())
    error = pool.refused(*pool.task(REFUSED[name]))
    assert [part for part in REFUSED[name]["says"] if part not in str(error)] == [], str(error)
    assert error.code == REFUSED[name].get("code", "")
    assert "OpaqueRef" not in str(error)
    assert sorted(pool.folder.iterdir()) == files


@pytest.mark.parametrize("name", [name for name in CASES if name not in REFUSED])
def test_options_that_cannot_be_are_refused_by_name(pool: Pool, name: str) -> None:
    module, options = pool.task(CASES[name])
    with pytest.raises(BadOptions) as refused:
        pool.run(module, **options)
    assert [part for part in CASES[name]["says"] if part not in str(refused.value)] == [], str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", MENDED)
def test_the_task_mended_does_it(mending: Pool, name: str) -> None:
    """Each on a pool as the ones before have left it: it is refused still, and then it is done."""
    module, options = mending.task(MENDED[name])
    made_new = options.get("name") == "new"
    options = {**options, **({"name": name} if made_new else {})}
    mending.refused(module, options)
    mended = {**options, **{key: mending.placed(value) for key, value in MENDED[name]["mended"].items()}}
    assert mending.run(module, **mended)["changed"]
    if mended.get("state") != "reverted":
        assert mending.run(module, **mended)["changed"] is False


@pytest.mark.parametrize(
    ("options", "seen"),
    [({"wait_for": "address"}, "its tools have not been heard of, there is no address"), ({"wait_for": "tools"}, "have not been heard of")],
)
def test_a_guest_that_never_reports_is_waited_for_and_what_was_seen_is_told(pool: Pool, options: Options, seen: str) -> None:
    mark = pool.sim.mark()
    with pytest.raises(Timeout, match="Waited 1 seconds for VM 'mute1'") as failed:
        pool.run("xen_vm", name="mute1", wait_timeout=1, **options)
    assert seen in str(failed.value)
    assert pool.sim.calls(mark) == []


@pytest.mark.parametrize(
    ("role", "module", "options", "call"),
    [
        ("read-only", "xen_vm", {"name": "web1", "tags": ["x"]}, "VM.set_tags"),
        ("vm-operator", "xen_vm", {"name": "new", "template": "gold"}, "VM.clone"),
        ("vm-operator", "xen_snapshot", {"name": "new", "vm": "web1"}, "VM.snapshot"),
        ("read-only", "xen_vdi", {"name": "new", "size": "1 GiB"}, "VDI.create"),
        ("vm-operator", "xen_appliance", {"name": "new"}, "VM_appliance.create"),
    ],
)
def test_a_role_too_low_is_told_before_the_first_call(pool: Pool, role: str, module: str, options: Options, call: str) -> None:
    error = pool.refused(module, {**options, "username": user(pool.sim, f"jo {role}", role)})
    assert error.code == "RBAC_PERMISSION_DENIED"
    assert f"does not allow {call}. Log in as a user with a higher role" in str(error)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["web/1", "web\t1\n", "\N{SNOWMAN} d\u00e9j\u00e0 \N{GRINNING FACE}", "<&]]>", "w" * 5000, "42"])
def test_a_name_may_be_any_text_that_xenapi_keeps(mending: Pool, name: str) -> None:
    task = {"name": name, "template": "gold", "description": name, "tags": [name]}
    assert mending.run("xen_vm", **task)["vm"]["name"] == name
    assert mending.run("xen_vm", **task)["changed"] is False
    assert mending.run("xen_snapshot", vm=name, name=name)["changed"]
    assert mending.run("xen_snapshot", vm=name, name=name)["changed"] is False
    assert mending.run("xen_vm", name=name, state="absent", snapshots="delete")["changed"]


@pytest.mark.parametrize("form", ["raw", "vhd"])
def test_a_connection_that_breaks_while_a_disk_is_exported_leaves_nothing(pool: Pool, tmp_path: Path, form: str) -> None:
    pool.sim.faults.cut_transfer("/export_raw_vdi", MIB)
    task = {"name": "root", "dest": str(tmp_path / "root"), "format": form}
    with pytest.raises(XenError, match="Could not export disk 'root'"):
        pool.run("xen_vdi_export", **task)
    assert list(tmp_path.iterdir()) == []
    assert pool.run("xen_vdi_export", **task)["changed"]
    assert pool.run("xen_vdi_export", **task)["changed"] is False


@pytest.mark.parametrize("module", ["xen_vdi_export", "xen_vm_export"])
def test_a_disk_that_is_full_where_the_task_runs_is_told_and_nothing_is_left(pool: Pool, tmp_path: Path, module: str) -> None:
    name = {"xen_vdi_export": "root", "xen_vm_export": "web1"}[module]
    pool.sim.world.save()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB + 5, limit[1]))
    try:
        with pytest.raises(XenError, match=r"could not be written after .* Make room"):
            pool.run(module, name=name, dest=str(tmp_path / "it"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", ["cut.xva", "bent.xva"])
@pytest.mark.parametrize("verify", ["during", "never"])
def test_a_bad_export_that_is_sent_leaves_nothing_in_the_pool(mending: Pool, file: str, verify: str) -> None:
    before = mending.lab.vdis()
    with pytest.raises(XenError, match="Could not import VM 'spoilt'"):
        mending.run("xen_vm_import", src=str(mending.folder / file), name="spoilt", verify=verify)
    assert mending.lab.vdis() == before
    assert not [vm for vm in mending.lab.db.all("VM").values() if "spoilt" in vm["name_label"]]
