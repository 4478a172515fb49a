# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the inventory comes by its pools: several of them, their logins, the cache, and what goes wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.errors import AnsibleParserError
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.release import __version__

from .inventory_lab import add_vm, hosts_of, lab, parsed

NOBODY = "127.123.0.1:1"


@pytest.fixture
def sim(simulator):
    return simulator(lab())


@pytest.fixture
def other(simulator):
    """A pool of its own name and with a VM of its own."""
    world = lab()
    db = world.pools[0].db
    db.set("pool", db.find("pool")[0], name_label="far")
    add_vm(db, "distant")
    return simulator(world)


def connection(sim):
    return {"hostname": sim.hosts[0].url, "password": sim.password, "fingerprint": [h.fingerprint_sha256 for h in sim.hosts]}


# several pools ------------------------------------------------------------------------------------------------------------
def test_several_pools_are_one_inventory(sim, other, inventory):
    found = inventory(sim, other, objects="both", inventory_hostname="{{ xen_pool }}-{{ xen_name }}")
    assert len(hosts_of(found, "xen_pool_lab")) == 6
    assert "far-distant" in hosts_of(found, "xen_pool_far")


def test_what_a_pool_does_not_say_is_said_beside(sim, other, inventory):
    pins = [h.fingerprint_sha256 for one in (sim, other) for h in one.hosts]
    pools = [{"hostname": sim.hosts[0].url}, {"hostname": other.hosts[0].url, "password": other.password}]
    assert "distant" in inventory(pools=pools, password=sim.password, fingerprint=pins).hosts


def test_a_member_leads_to_its_coordinator(sim, inventory):
    assert "web" in inventory(**{**connection(sim), "hostname": sim.hosts[1].url}).hosts


def test_a_pool_that_cannot_be_reached_is_an_error(sim, inventory):
    with pytest.raises(AnsibleParserError, match=f"{NOBODY}: Cannot reach"):
        inventory(pools=[connection(sim), {"hostname": NOBODY, "password": "x"}])


def test_a_pool_that_cannot_be_reached_is_left_out_when_that_is_wanted(sim, inventory, capsys):
    found = inventory(pools=[connection(sim), {"hostname": NOBODY, "password": "x"}], skip_unreachable=True)
    assert hosts_of(found) == ["files", "mail", "old", "web"]
    assert f"Left out: {NOBODY}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"password": "hunter2"}, "User 'root' could not log in"), ({"fingerprint": ["ab" * 32]}, "is not a pinned one")],
)
def test_a_refused_login_or_certificate_is_an_error_nevertheless(sim, inventory, wrong, told):
    with pytest.raises(AnsibleParserError, match=told) as refused:
        inventory(**{**connection(sim), **wrong}, skip_unreachable=True)
    assert "hunter2" not in str(refused.value)


def test_every_session_is_ended_whatever_happens(sim, other, inventory):
    other.faults.fail("VM.get_all_records", error=["INTERNAL_ERROR", "no"])
    with pytest.raises(AnsibleParserError, match="INTERNAL_ERROR"):
        inventory(sim, other)
    assert not any(one.world.pools[0].db.all("session") for one in (sim, other))


# how it is told where they are ----------------------------------------------------------------------------------------------
def test_the_connection_can_come_from_the_environment(sim, inventory, monkeypatch):
    for name, value in (("HOST", sim.hosts[0].url), ("PASSWORD", sim.password), ("FINGERPRINT", sim.hosts[0].fingerprint_sha256)):
        monkeypatch.setenv(f"XEN_{name}", value)
    assert "web" in inventory().hosts


def test_the_environment_names_no_further_pool(sim, other, inventory, monkeypatch):
    monkeypatch.setenv("XEN_HOST", other.hosts[0].url)
    assert "distant" not in inventory(pools=[connection(sim)]).hosts


def test_the_connection_can_be_templates(sim, inventory, monkeypatch):
    monkeypatch.setenv("LAB_SECRET", sim.password)
    secret = "{{ lookup('ansible.builtin.env', 'LAB_SECRET') }}"
    assert "web" in inventory(**{**connection(sim), "password": secret}).hosts
    assert "web" in inventory(pools=[{**connection(sim), "password": secret}]).hosts


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "The inventory does not say how to reach the pool: hostname and password missing"),
        ({"hostname": "x"}, "password missing"),
        ({"pools": [{"hostname": "x", "password": "y"}, {"password": "z"}]}, "Entry 2 of pools does not say how .*: hostname missing"),
        ({"pools": [{"hostname": "x", "password": "y", "user": "z"}]}, "Entry 1 of pools: .*user"),
        ({"hostname": "x", "password": "y", "fingerprint": ["ab:cd"]}, "is not a SHA-256 fingerprint"),
        ({"hostname": "ftp://x", "password": "y"}, "is not an address"),
    ],
)
def test_a_connection_that_cannot_be_is_refused(inventory, options, told):
    with pytest.raises(AnsibleParserError, match=told):
        inventory(**options)


def test_a_certificate_that_is_not_checked_is_warned_of(sim, inventory, capsys):
    inventory(hostname=sim.hosts[0].url, password=sim.password, validate_certs=False)
    assert "validate_certs is false" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(("name", "taken"), [("lab.xen.yml", True), ("xen.yaml", True), ("lab.yml", False), ("xen.yml.bak", False)])
def test_files_are_known_by_their_ending(config, name, taken):
    from ansible.plugins.loader import inventory_loader

    assert inventory_loader.get("domzero.xen.xen").verify_file(str(config(name=name))) is taken


# the cache ------------------------------------------------------------------------------------------------------------------
@pytest.fixture
def cached(tmp_path):
    return {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}


def test_an_inventory_is_kept(sim, config, cached):
    path = config(sim, **cached)
    first = parsed(path)
    before = sim.received
    again = parsed(path)
    assert sim.received == before
    assert {name: host.vars for name, host in again.hosts.items()} == {name: host.vars for name, host in first.hosts.items()}


def test_what_is_kept_is_read_anew_on_request(sim, config, cached):
    path = config(sim, **cached)
    parsed(path)
    add_vm(sim.world.pools[0].db, "new")
    assert "new" not in parsed(path).hosts
    assert "new" in parsed(path, cache=False).hosts
    assert "new" in parsed(path).hosts


def test_filters_and_names_apply_to_what_is_kept(sim, config, cached):
    parsed(config(sim, **cached))
    before = sim.received
    assert hosts_of(parsed(config(sim, **cached, tags=["web"], inventory_hostname="{{ xen_name }}!"))) == ["web!"]
    assert sim.received == before


def test_another_question_is_not_answered_with_what_is_kept(sim, other, config, cached):
    parsed(config(sim, **cached, objects="hosts"))
    assert "web" in parsed(config(sim, **cached)).hosts
    assert "distant" in parsed(config(other, **cached)).hosts


def test_an_inventory_without_a_pool_that_was_down_is_not_kept(sim, config, cached):
    path = config(pools=[connection(sim), {"hostname": NOBODY, "password": "x"}], skip_unreachable=True, **cached)
    parsed(path)
    before = sim.received
    parsed(path)
    assert sim.received > before


def test_no_secret_is_kept(sim, config, cached, tmp_path):
    parsed(config(sim, **cached))
    kept = [file.read_text() for file in (tmp_path / "cache").iterdir()]
    assert kept and all(sim.password not in text and "OpaqueRef" not in text for text in kept)


# on the command line --------------------------------------------------------------------------------------------------------
def command(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("ansible-inventory")
    return subprocess.run(
        [program, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=120
    )


def test_ansible_inventory_lists_it_as_json(sim, config):
    done = command("-i", config(sim), "--list")
    listed = json.loads(done.stdout)
    assert done.stderr == ""
    assert listed["xen_tag_web"]["hosts"] == ["web"]
    assert listed["_meta"]["hostvars"]["web"]["ansible_host"] == "10.1.0.5"
    assert listed["_meta"]["hostvars"]["files"]["xen_os"]["name"] == "Microsoft Windows Server 2022"
    assert sim.password not in done.stdout


@pytest.mark.skipif(__version__.startswith("2.18."), reason="ansible-inventory of 2.18 cannot flush the cache")
def test_ansible_inventory_draws_it_and_flushes_the_cache(sim, config, cached):
    path = config(sim, **cached)
    assert "|  |--web" in command("-i", path, "--graph").stdout
    add_vm(sim.world.pools[0].db, "new")
    assert "new" not in command("-i", path, "--graph").stdout
    assert "new" in command("-i", path, "--graph", "--flush-cache").stdout
    assert "new" in command("-i", path, "--graph").stdout


@pytest.mark.parametrize("listed", [False, True])
def test_the_password_can_be_encrypted(sim, tmp_path, listed):
    (tmp_path / "key").write_text("key")
    locked = VaultLib([("default", VaultSecret(b"key"))]).encrypt(sim.password.encode()).decode().splitlines()
    host, indent = sim.hosts[0], "    " if listed else ""
    where = f"hostname: {host.url}\n{indent}fingerprint: [{host.fingerprint_sha256}]\n{indent}password: !vault |\n"
    secret = "".join(f"{indent}  {line}\n" for line in locked)
    path = tmp_path / "xen.yml"
    path.write_text(f"plugin: domzero.xen.xen\n{'pools:' if listed else ''}\n{'  - ' if listed else ''}{where}{secret}")
    assert "|--web" in command("-i", path, "--graph", "--vault-password-file", tmp_path / "key").stdout
