# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory of plain Xen hosts holds: an `ssh` that runs the script in a shell, whose `xl` says what a real one said."""

from __future__ import annotations

import json
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import fragment_loader, inventory_loader
from ansible.utils.plugin_docs import get_docstring

from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT

from .inventory_lab import groups_of, hosts_of

OUTPUTS = CHECKOUT / "tests/data/xl/outputs"
DOC, EXAMPLES, *_rest = get_docstring(
    str(CHECKOUT / "plugins/inventory/xl.py"), fragment_loader, collection_name="domzero.xen", plugin_type="inventory"
)
PV1 = """name = "pv1"
type = "pv"
memory = 128
uuid = "c53ce769-4f23-4e2a-8d43-c8f16e4b1b82"
disk = [ 'phy:/dev/vg0/pv1-disk,xvda,w' ]
vif = [ 'mac=00:16:3e:00:00:11,bridge=xenbr0,ip=10.9.9.9' ]
"""
WEB = """name = "web"   # halted
type = "pvh"
memory = 0x100
vcpus = 2
vif = [ 'mac=00:16:3e:00:00:21,bridge=xenbr0,ip=fe80::1 10.99.0.21/24', 'bridge=xenbr1' ]
"""


class Lab:
    """Dom0s, each a folder with its programs and its /etc/xen, and an inventory of them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.program(
            folder / "ssh",
            f'while [ "$1" = -o ]; do shift 2; done; host=${{1#*@}}; shift; echo "$host $*" >> {folder}/log\n'
            f'[ -d {folder}/$host ] || {{ echo "ssh: connect to host $host port 22: No route to host" >&2; exit 255; }}\n'
            f'export PATH={folder}/$host/bin:$PATH; cd {folder}/$host && exec "$@"',
        )

    def program(self, path: Path, script: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def dom0(self, name: str, said: str = "withdomu", **files: str) -> None:
        here = self.folder / name
        (here / "etc/auto").mkdir(parents=True)
        for file, text in files.items():
            (here / f"etc/{file}.cfg").write_text(text)
        answers = {one: OUTPUTS / said / f"xl-{one.replace(' -', '-')}.out" for one in ("list", "list -l")}
        cases = "; ".join(f"'{command}') cat {path};" for command, path in answers.items())
        self.program(here / "bin/xl", f'case "$*" in {cases}; *) exit 9; esac')
        store = f"grep '^/local/domain' {OUTPUTS / said / 'xenstore-ls-fp.out'}; cat {here}/store 2> /dev/null"
        self.program(here / "bin/xenstore-ls", store)

    def inventory(self, **options: t.Any) -> InventoryData:
        path = self.folder / "lab.xl.yml"
        given = {"hosts": ["root@xen1"], "ssh_command": str(self.folder / "ssh"), "config_dir": "etc", **options}
        path.write_text(json.dumps({"plugin": "domzero.xen.xl", **given}))
        data, plugin = InventoryData(), inventory_loader.get("domzero.xen.xl")
        assert plugin.verify_file(str(path))
        plugin.parse(data, DataLoader(), str(path))
        if plugin.get_option("cache"):
            plugin.update_cache_if_changed()
        data.reconcile_inventory()
        return data


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path)
    lab.dom0("xen1", pv1=PV1, web=WEB, xl="autoballoon = 1\n")
    return lab


def test_domus_that_run_and_those_that_only_have_a_file_are_hosts(lab: Lab) -> None:
    data = lab.inventory()
    assert hosts_of(data) == hosts_of(data, "xl_domains") == ["pv0", "pv1", "web"]
    assert hosts_of(data, "xl_power_state_running") == ["pv0", "pv1"] and hosts_of(data, "xl_power_state_halted") == ["web"]
    assert groups_of(data, "web") == {"xl_domains", "xl_host_xen1", "xl_power_state_halted", "xl_type_pvh"}
    assert (lab.folder / "log").read_text() == "xen1 sh -s\n"


def test_a_domu_has_its_variables(lab: Lab) -> None:
    (lab.folder / "xen1/etc/auto/pv1").symlink_to("../pv1.cfg")
    hosts = lab.inventory(config_dir=str(lab.folder / "xen1/etc")).hosts
    found = {name: value for name, value in hosts["pv1"].vars.items() if name.startswith("xl_")}
    assert found.pop("xl_vifs")[0]["bridge"] == "xenbr0" and found.pop("xl_disks")[0]["target"] == "/dev/vg0/pv1-disk"
    assert found == {
        "xl_name": "pv1", "xl_host": "xen1", "xl_domid": 4, "xl_power_state": "running", "xl_type": "pv", "xl_memory": 128, "xl_vcpus": 1,
        "xl_uuid": "c53ce769-4f23-4e2a-8d43-c8f16e4b1b82", "xl_kernel": "/vmlinuz", "xl_addresses": [], "xl_autostart": True,
        "xl_config_file": str(lab.folder / "xen1/etc/pv1.cfg"),
    }  # fmt: skip
    web = hosts["web"].vars
    assert (web["xl_domid"], web["xl_memory"], web["xl_vcpus"], web["xl_autostart"]) == (None, 256, 2, False)


def test_the_variables_that_are_documented_are_those_that_there_are(lab: Lab) -> None:
    line = next(line for line in DOC["description"] if line.startswith("Each domU has"))
    assert set(re.findall(r"C\((xl_\w+)\)", line)) == {name for name in lab.inventory().hosts["web"].vars if name.startswith("xl_")}


def test_addresses_come_from_the_vif_and_from_xenstore(lab: Lab) -> None:
    told = {"attr/vif/0/ipv6/0": "fe80::2", "attr/vif/1/ipv4/0": "10.2.0.4", "attr/vif/0/ipv4/0": "10.1.0.4", "attr/eth0/ip": "10.1.0.4"}
    (lab.folder / "xen1/store").write_text("".join(f'/local/domain/4/{path} = "{value}"\n' for path, value in told.items()))
    hosts = lab.inventory().hosts
    assert hosts["web"].vars["ansible_host"] == "10.99.0.21"
    assert hosts["pv1"].vars["ansible_host"] == "10.1.0.4" and hosts["pv1"].vars["xl_addresses"] == ["fe80::2", "10.1.0.4", "10.2.0.4"]
    assert "ansible_host" not in hosts["pv0"].vars
    hosts = lab.inventory(address_from=["name"]).hosts
    assert hosts["pv0"].vars["ansible_host"] == "pv0"


def test_a_domu_belongs_to_the_dom0_on_which_it_runs(lab: Lab) -> None:
    lab.dom0("xen2", "nodomu", pv1=PV1, mail=WEB.replace("web", "mail"))
    hosts = lab.inventory(hosts=["root@xen1", "root@xen2"]).hosts
    assert {name: host.vars["xl_host"] for name, host in hosts.items()} == {"pv0": "xen1", "pv1": "xen1", "web": "xen1", "mail": "xen2"}


@pytest.mark.parametrize("copy", ["--incoming", "--migratedaway"])
def test_what_a_migration_has_under_way_is_no_other_domu(lab: Lab, copy: str) -> None:
    xl = lab.folder / "xen1/bin/xl"
    xl.write_text(xl.read_text().rstrip() + f" | sed 's/pv0/pv0{copy}/'\n")
    assert f"pv0{copy} " in subprocess.run([xl, "list"], capture_output=True, text=True, check=True).stdout
    assert hosts_of(lab.inventory()) == ["pv1", "web"]


def test_two_of_a_name_get_their_dom0_after_it(lab: Lab) -> None:
    lab.dom0("xen2", "nodomu", web=WEB)
    assert hosts_of(lab.inventory(hosts=["root@xen1", "root@xen2"])) == ["pv0", "pv1", "web-xen1", "web-xen2"]


def test_names_filters_and_groups_are_the_users(lab: Lab) -> None:
    data = lab.inventory(
        inventory_hostname="{{ xl_name }}.example.com", power_states=["running"], group_prefix="dom_", group_by=["type"],
        filters=[{"exclude": "xl_name == 'pv0'"}], compose={"memory_gib": "xl_memory / 1024"}, groups={"small": "xl_memory < 200"},
        keyed_groups=[{"key": "xl_vifs | map(attribute='bridge') | list", "prefix": "bridge"}],
    )  # fmt: skip
    assert groups_of(data, "pv1.example.com") == {"bridge_xenbr0", "dom_domains", "dom_type_pv", "small"} and len(data.hosts) == 1
    assert data.hosts["pv1.example.com"].vars["memory_gib"] == 0.125


def test_a_file_that_xl_would_refuse_is_left_out_with_a_warning(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    (lab.folder / "xen1/etc/bad.cfg").write_text("name = \n")
    assert hosts_of(lab.inventory()) == ["pv0", "pv1", "web"]
    assert "etc/bad.cfg:1: a quoted text, a number or [ was expected" in " ".join(capsys.readouterr().err.split())


def test_what_a_guest_tells_is_no_template(lab: Lab) -> None:
    (lab.folder / "xen1/store").write_text("/local/domain/4/attr/eth0/ip = \"{{ lookup('pipe', 'touch hacked') }}\"\n")
    host = lab.inventory().hosts["pv1"]
    assert "ansible_host" not in host.vars and "lookup" in host.vars["xl_addresses"][0]


def test_a_dom0_that_cannot_be_reached_is_named_or_left_out(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AnsibleParserError, match="xen9 cannot be reached: ssh: connect to host xen9 port 22: No route to host"):
        lab.inventory(hosts=["root@xen9", "root@xen1"])
    assert len(lab.inventory(hosts=["root@xen9", "root@xen1"], skip_unreachable=True).hosts) == 3
    assert "Left out: xen9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'xl: must be root' >&2; exit 1", "xen1 cannot be read: xl: must be root xl needs root"),
        ("exec sleep 30", r"xen1 did not answer within 1 seconds"),
        ("kill -9 $PPID", "xen1 cannot be read: status"),
    ],
)
def test_a_dom0_that_fails_is_an_error(lab: Lab, script: str, said: str) -> None:
    lab.program(lab.folder / "xen1/bin/xl", script)
    with pytest.raises(AnsibleParserError, match=said):
        lab.inventory(timeout=1)


def test_a_host_without_xl_is_no_dom0(lab: Lab) -> None:
    (lab.folder / "xen1/bin/xl").unlink()
    with pytest.raises(AnsibleParserError, match=r"xen1 cannot be read: There is no xl on it: is it a Xen Dom0\?"):
        lab.inventory()


def test_become_uses_sudo(lab: Lab) -> None:
    lab.program(lab.folder / "xen1/bin/sudo", "[ $1 = -n ] && shift && exec $@")
    assert len(lab.inventory(become=True).hosts) == 3
    assert (lab.folder / "log").read_text() == "xen1 sudo -n sh -s\n"
    lab.program(lab.folder / "xen1/bin/sudo", "echo 'sudo: a password is required' >&2; exit 1")
    with pytest.raises(AnsibleParserError, match="a password is required Allow it without a password"):
        lab.inventory(become=True)


def test_this_machine_is_asked_without_ssh(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{lab.folder}/xen1/bin:/usr/bin:/bin")
    hosts = lab.inventory(hosts=["localhost"], ssh_command="/nowhere/ssh", config_dir=str(lab.folder / "xen1/etc")).hosts
    assert hosts["web"].vars["xl_host"] == "localhost"
    with pytest.raises(AnsibleParserError, match="/nowhere/ssh cannot be run: No such file or directory"):
        lab.inventory(ssh_command="/nowhere/ssh")


def test_an_answer_is_kept(lab: Lab) -> None:
    kept = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(lab.folder / "kept")}
    first = lab.inventory(**kept)
    assert hosts_of(first) == hosts_of(lab.inventory(**kept)) and (lab.folder / "log").read_text().count("\n") == 1


@pytest.mark.parametrize("text", EXAMPLES.split("\n---\n"), ids=lambda text: re.findall(r"\w+\.xl\.yml", text)[0])
def test_a_configuration_that_is_shown_works(lab: Lab, text: str) -> None:
    shown = yaml.safe_load(text)
    assert shown.pop("plugin") == "domzero.xen.xl"
    shown.pop("ssh_args", None)
    for target in shown.pop("hosts"):
        name = target.rpartition("@")[2]
        lab.dom0(name, "withdomu" if "1" in name else "nodomu", pv1=PV1)
        lab.program(lab.folder / f"{name}/bin/sudo", "shift; exec $@")
    data = lab.inventory(hosts=[f"root@xen{n}.example.com" for n in (1, 2) if (lab.folder / f"xen{n}.example.com").exists()], **shown)
    assert hosts_of(data, "xl_domains") == ["pv0", "pv1"]
