# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other people's programs do with VMs, call by call, with nothing but the standard library and curl.

The command line ``xe`` (XML-RPC), web interfaces that follow events and back disks up as chains of differences (JSON-RPC),
scripts that export and import with curl.
"""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import time
import typing as t
import xmlrpc.client
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

GIB, MIB, NULL = 1 << 30, 1 << 20, "OpaqueRef:NULL"
TEMPLATE = "Debian Bookworm 12"
NFS = {"server": "127.40.0.10", "serverpath": "/export/vms"}


@pytest.fixture
def simulator() -> t.Iterator[InProcess]:
    with InProcess(site.build(site.load("examples"), speed=0)) as running:
        yield running


class Web:
    """A JSON-RPC client that waits for tasks with events."""

    def __init__(self, simulator: InProcess) -> None:
        self.host, self.number = simulator.hosts[0], 0
        self.session = self.ask("session.login_with_password", "root", simulator.password, "", "a web interface")

    def ask(self, method: str, *params: t.Any) -> t.Any:
        self.number += 1
        body = {"jsonrpc": "2.0", "method": method, "params": params, "id": self.number}
        status, answer = self.http("POST", "/jsonrpc", json.dumps(body).encode(), {"Content-Type": "application/json"})
        assert status == 200
        decoded = json.loads(answer)
        assert "error" not in decoded, decoded
        return decoded["result"]

    def __call__(self, method: str, *params: t.Any) -> t.Any:
        return self.ask(method, self.session, *params)

    def done(self, method: str, *params: t.Any) -> str:
        """The result of an asynchronous call, unwrapped."""
        task, token = self(f"Async.{method}", *params), ""
        end = time.monotonic() + 60
        while (record := self("task.get_record", task))["status"] == "pending":
            assert time.monotonic() < end
            token = self("event.from", [f"task/{task}"], token, 5.0)["token"]
        self("task.destroy", task)
        assert record["status"] == "success", record["error_info"]
        return str(record["result"]).removeprefix("<value>").removesuffix("</value>")

    def http(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(self.host.address, self.host.port, context=context, timeout=30)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def transfer(self, method: str, path: str, body: bytes | None = None, **query: str) -> bytes:
        """A file up or down, in a task of our own."""
        task = self("task.create", "transfer", "")
        given = {"session_id": self.session, "task_id": task, **query}
        status, answer = self.http(method, f"{path}/?" + "&".join(f"{key}={value}" for key, value in given.items()), body)
        record = self("task.get_record", task)
        assert (status, record["status"]) == (200, "success"), record["error_info"]
        return answer

    def disk(self, vm: str, sr: str, place: str, size: int = 8 * MIB) -> tuple[str, str]:
        """A new disk and its drive."""
        fields = {"name_description": "", "type": "user", "sharable": False, "read_only": False, "other_config": {}}
        vdi = self("VDI.create", {**fields, "name_label": f"disk {place}", "SR": sr, "virtual_size": size})
        plain = {"other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}, "empty": False, "mode": "RW", "type": "Disk"}
        return vdi, self("VBD.create", {**plain, "VM": vm, "VDI": vdi, "userdevice": place, "bootable": place == "0"})


def of_snapshot(web: Web, snapshot: str, name: str) -> str:
    vdis = [web("VBD.get_VDI", vbd) for vbd in web("VM.get_VBDs", snapshot) if web("VBD.get_type", vbd) == "Disk"]
    return next(str(vdi) for vdi in vdis if web("VDI.get_name_label", vdi) == name)


def test_a_web_interface_makes_a_vm_by_hand_and_follows_it(simulator: InProcess) -> None:
    web = Web(simulator)
    token = web("event.from", ["*"], "", 0.1)["token"]
    pool = web("pool.get_all")[0]
    web("pool.add_to_other_config", pool, "barrier", "1")  # how it makes sure that it has seen everything
    assert {(e["class"], e["operation"]) for e in web("event.from", ["*"], token, 30.0)["events"]} == {("pool", "mod")}
    sr, (template,) = web("pool.get_default_SR", pool), web("VM.get_by_name_label", TEMPLATE)
    vm = web.done("VM.clone", template, "made by hand")
    web("VM.remove_from_other_config", vm, "disks")
    web("VM.set_memory_limits", vm, 2 * GIB, 2 * GIB, 2 * GIB, 2 * GIB)
    web("VM.set_HVM_boot_params", vm, {"order": "cdn", "firmware": "uefi"})
    web.disk(vm, sr, web("VM.get_allowed_VBD_devices", vm)[0])
    network = next(ref for ref, record in web("network.get_all_records").items() if record["PIFs"])
    card = {"MAC": "", "MTU": 1500, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}}
    web("VIF.create", {**card, "VM": vm, "network": network, "device": web("VM.get_allowed_VIF_devices", vm)[0]})
    web.done("VM.provision", vm)
    web.done("VM.start", vm, False, False)
    addresses = web("VM_guest_metrics.get_networks", web("VM.get_guest_metrics", vm))
    assert addresses["0/ip"] == addresses["0/ipv4/0"]
    _vdi, drive = web.disk(vm, sr, "autodetect")
    web.done("VBD.plug", drive)
    assert web("VBD.get_device", drive) == "xvdb"
    seen = web("event.from", ["vm", "vbd"], token, 5.0)
    assert {e["ref"] for e in seen["events"] if e["class"] == "vm" and e["operation"] == "add"} == {vm}


def test_a_backup_is_a_chain_of_differences(simulator: InProcess) -> None:
    web = Web(simulator)
    sr = web("SR.create", web("host.get_all")[0], NFS, 0, "filer", "", "nfs", "user", True, {})
    (template,) = web("VM.get_by_name_label", TEMPLATE)
    vm = web.done("VM.clone", template, "kept")
    web("VM.remove_from_other_config", vm, "disks")
    web.done("VM.provision", vm)
    disk, _drive = web.disk(vm, sr, "0")
    web.done("VM.start", vm, False, False)
    transfers, last, total = [], "", 0
    for number in range(3):
        simulator.disks.fill(web("VDI.get_uuid", disk), number * 2 * MIB, MIB, seed=number)
        snapshot = web.done("VM.snapshot", vm, f"backup {number}", [])
        there = of_snapshot(web, snapshot, "disk 0")
        transfers.append(web.transfer("GET", "/export_raw_vdi", vdi=there, format="vhd", **({"base": last} if last else {})))
        assert web("VDI.get_nbd_info", there) == []
        last, total = there, total + len(transfers[-1])
    assert total < 4 * 2 * MIB + MIB  # each block once
    restored = web("VDI.create", {
        "name_label": "restored", "name_description": "", "SR": sr, "virtual_size": 8 * MIB, "type": "user", "sharable": False,
        "read_only": False, "other_config": {},
    })  # fmt: skip
    for body in transfers:
        web.transfer("PUT", "/import_raw_vdi", body, vdi=restored, format="vhd")
    assert simulator.disks.digest(web("VDI.get_uuid", restored)) == simulator.disks.digest(web("VDI.get_uuid", last))


def curl(*arguments: str) -> str:
    return subprocess.run(["curl", "-sk", "-w", "%{http_code}", *arguments], capture_output=True, text=True, check=True).stdout


def test_scripts_export_and_import_with_curl(simulator: InProcess, tmp_path: Path) -> None:
    web, login = Web(simulator), f"root:{simulator.password}"
    sr, (template,) = web("pool.get_default_SR", web("pool.get_all")[0]), web("VM.get_by_name_label", TEMPLATE)
    vm = web.done("VM.clone", template, "traveller")
    web("VM.remove_from_other_config", vm, "disks")
    web.done("VM.provision", vm)
    web.disk(vm, sr, "0")
    uuid, url, file = web("VM.get_uuid", vm), simulator.hosts[0].url, str(tmp_path / "vm.xva")
    assert curl("-u", login, "-o", file, f"{url}/export?uuid={uuid}&use_compression=zstd") == "200"
    assert curl("-u", login, "-T", file, f"{url}/import?sr_id={web('SR.get_uuid', sr)}").endswith("200")
    assert len(web("VM.get_by_name_label", "traveller")) == 2
    # a length nobody knows is refused for VMs; no password, no file
    chunked = curl("-u", login, "-H", "Transfer-Encoding: chunked", "-T", file, f"{url}/import?sr_id={sr}")
    assert chunked.endswith("403")
    assert curl("-o", file, f"{url}/export?uuid={uuid}") == "401"
    # templates and snapshots leave as VMs do
    snapshot = web.done("VM.snapshot", vm, "of it")
    for source in (template, snapshot):
        assert curl("-u", login, "-o", file, f"{url}/export?ref={source}") == "200"
        assert Path(file).read_bytes()[:7] == b"ova.xml"


def test_the_command_line_installs_from_a_template_with_its_disks(simulator: InProcess) -> None:
    """xe vm-install writes the SR into the template's description of disks before it provisions."""
    host = simulator.hosts[0]
    server: t.Any = xmlrpc.client.ServerProxy(host.url, context=ssl._create_unverified_context(), allow_none=True)

    def ask(method: str, *params: t.Any) -> t.Any:
        answer = getattr(server, method)(*params)
        assert answer["Status"] == "Success", answer
        return answer["Value"]

    session = ask("session.login_with_password", "root", simulator.password, "1.0", "xe")
    sr = ask("pool.get_default_SR", session, ask("pool.get_all", session)[0])
    vm = ask("VM.clone", session, ask("VM.get_by_name_label", session, TEMPLATE)[0], "installed")
    disks = ElementTree.fromstring(ask("VM.get_other_config", session, vm)["disks"])
    for disk in disks:
        disk.set("sr", ask("SR.get_uuid", session, sr))
    ask("VM.remove_from_other_config", session, vm, "disks")
    ask("VM.add_to_other_config", session, vm, "disks", ElementTree.tostring(disks, encoding="unicode"))
    ask("VM.set_suspend_SR", session, vm, sr)
    ask("VM.provision", session, vm)
    record = ask("VM.get_record", session, vm)
    assert (record["is_a_template"], "disks" in record["other_config"]) == (False, False)
    drives = [ask("VBD.get_record", session, vbd) for vbd in record["VBDs"]]
    assert [drive["userdevice"] for drive in drives] == [disk.get("device") for disk in disks]
    sizes = {ask("VDI.get_virtual_size", session, drive["VDI"]) for drive in drives}
    assert sizes == {disk.get("size") for disk in disks}
    assert all("owner" in drive["other_config"] for drive in drives)
    ask("VM.start", session, vm, False, False)
    assert ask("VM.get_power_state", session, vm) == "Running"
