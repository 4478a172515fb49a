# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of domains mean to xl what they mean here, Debian's own examples among them; and domUs are an inventory."""

from __future__ import annotations

import json
import shlex
import typing as t
from pathlib import Path

import pytest
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import inventory_loader

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.xl import disk, vif
from ansible_collections.domzero.xen.plugins.module_utils.xl.cfg import Cfg
from ansible_collections.domzero.xen.plugins.module_utils.xl.output.domains import dry_run

from .dom0 import Dom0

pytestmark = pytest.mark.core
EXAMPLES = Path(__file__).resolve().parents[1] / "data/xl/examples"
FOLDER = "/root/text"
BRIDGE = "xenbr0"  # of a vif that names none: vif.default.bridge of this Dom0


@pytest.fixture(scope="module", autouse=True)
def folder(dom0: Dom0) -> t.Iterator[None]:
    dom0.sh(f"mkdir -p {FOLDER}")
    yield
    dom0.sh(f"rm -rf {FOLDER}")


def meaning(dom0: Dom0, text: str) -> dict[str, t.Any]:
    """What xl makes of a file. Raises CommandFailed."""
    run = f"xl create -n {FOLDER}/a.cfg 2> {FOLDER}/said || {{ cat {FOLDER}/said; exit 1; }}"
    said = dom0.sh(f"cat > {FOLDER}/a.cfg <<'THE-END'\n{text}\nTHE-END\n{run}")
    return dry_run(said)


def agrees(cfg: Cfg, told: dict[str, t.Any]) -> None:
    """xl and the parser see the same domain."""
    assert told["c_info"]["name"] == cfg.get("name") and told["c_info"]["type"] == cfg.get("type", "pv")
    assert told["b_info"]["target_memkb"] == int(str(cfg.get("memory"))) * 1024
    assert told["b_info"]["max_vcpus"] == cfg.get("maxvcpus", cfg.get("vcpus"))
    disks = [disk.filled(disk.parse(str(one))) for one in t.cast("list[str]", cfg.get("disk", []))]
    assert [(one["vdev"], one["format"], one.get("pdev_path", ""), bool(one.get("readwrite"))) for one in told.get("disks", [])] == [
        (one["vdev"], one["format"], one.get("target", ""), one["access"] == "rw") for one in disks
    ]
    vifs = [vif.parse(str(one)) for one in t.cast("list[str]", cfg.get("vif", []))]
    assert len(told.get("nics", [])) == len(vifs)
    for one, seen in zip(vifs, told.get("nics", [])):
        assert {"mac": one.get("mac"), "bridge": one.get("bridge", BRIDGE)} == {
            "mac": seen.get("mac") if "mac" in one else None,
            "bridge": seen.get("bridge"),
        }


def test_debians_examples_mean_the_same_to_xl(dom0: Dom0) -> None:
    found = dom0.sh("ls /etc/xen/xlexample.*").split()
    assert len(found) >= 3
    for path in found:
        text = dom0.sh(f"cat {path}")
        cfg = Cfg.parse(text, path)
        assert str(cfg) == text
        agrees(cfg, meaning(dom0, text))


@pytest.mark.parametrize("name", ["paravirtual", "emulated"])
def test_the_forms_of_the_manual_pages_mean_the_same_to_xl(dom0: Dom0, name: str) -> None:
    cfg = Cfg.parse((EXAMPLES / f"{name}.cfg").read_text())
    for key in ("vsnd", "vnuma", "cpus", "cpus_soft"):  # which xl checks against the machine
        cfg.remove(key)
    agrees(cfg, meaning(dom0, str(cfg)))


def test_what_is_written_means_the_same_to_xl(dom0: Dom0) -> None:
    cfg = Cfg.parse(
        "# mine\nname = \"a\"\ntype = 'pvh'\nkernel = \"/vmlinuz\"\nmemory = 96\nvcpus = 1\ndisk = [\n  '/dev/x,raw,xvda', # root\n]\n"
    )
    cfg.set("name", "text-b")
    cfg.set("memory", 128)
    cfg.set("cmdline", "quote=\"x\" back\\slash 'y' # no comment")
    cfg.set("disk", ["/dev/x,raw,xvda", disk.text({"target": "/dev/y, with a comma,", "vdev": "xvdb", "access": "ro"})])
    cfg.set("vif", [vif.text({"mac": "0:16:3E:0:0:1", "bridge": "xenbr0", "rate": "1MB/s@20ms"})])
    told = meaning(dom0, str(cfg))
    agrees(cfg, told)
    assert told["b_info"]["cmdline"] == "quote=\"x\" back\\slash 'y' # no comment"
    assert told["disks"][1]["pdev_path"] == "/dev/y, with a comma," and told["nics"][0]["rate_bytes_per_interval"] == 20000


def test_what_xl_refuses_is_refused(dom0: Dom0) -> None:
    texts = ["Name = 1", "a = -1", "a = [ 1 2 ]", "a = 'x", "a = 1\\na += [ 2 ]", "a = b"]
    files = "; ".join(f"printf 'name = \"text-c\"\\n%b\\n' {shlex.quote(text)} > {FOLDER}/c{n}.cfg" for n, text in enumerate(texts))
    said = dom0.sh(f"{files}; for file in {FOLDER}/c*.cfg; do xl create -n $file > /dev/null 2>&1; echo $?; done")
    assert said.split() == ["1"] * len(texts)
    for text in texts:
        with pytest.raises(InvalidChange, match=r"^/etc/xen/a\.cfg:\d: "):
            Cfg.parse(text.replace("\\n", "\n") + "\n", "/etc/xen/a.cfg")


def test_domus_are_an_inventory(dom0: Dom0, tmp_path: Path) -> None:
    dom0.sh(f'printf \'name = "text-d"\\ntype = "pvh"\\nmemory = 96\\nvif = [ "bridge=xenbr0,ip=10.99.0.77" ]\\n\' > {FOLDER}/text-d.cfg')
    args = [
        "-p",
        str(dom0.ssh.port),
        "-i",
        str(dom0.ssh.key),
        "-o",
        "BatchMode=yes",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
    ]
    path = tmp_path / "lab.xl.yml"
    path.write_text(
        json.dumps({"plugin": "domzero.xen.xl", "hosts": ["root@127.0.0.1"], "ssh_args": args, "config_dir": FOLDER, "timeout": 120})
    )
    data, plugin = InventoryData(), inventory_loader.get("domzero.xen.xl")
    plugin.parse(data, DataLoader(), str(path))
    found = data.hosts["text-d"].vars
    assert (found["ansible_host"], found["xl_power_state"], found["xl_memory"], found["xl_type"]) == ("10.99.0.77", "halted", 96, "pvh")
    assert "Domain-0" not in data.hosts
