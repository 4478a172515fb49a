# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: xen
short_description: VMs and hosts of XenServer and XCP-ng pools
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Makes an inventory of the VMs of one or several pools, of their hosts, or of both.
  - A configuration file ends in C(xen.yml) or C(xen.yaml).
  - Each pool is asked once for all objects of a class, however many VMs it has. Templates, snapshots and control domains are left out.
  - All VMs are in the group C(xen_vms), all hosts in C(xen_hosts). The others are chosen with O(group_by).
  - Each VM has the variables C(xen_type) (V(vm)), C(xen_uuid), C(xen_name), C(xen_description), C(xen_pool), C(xen_power_state)
    (V(running), V(halted), V(suspended), V(paused)), C(xen_resident_on), C(xen_affinity), C(xen_appliance), C(xen_tags), C(xen_folder),
    C(xen_custom_fields), C(xen_vcpus), C(xen_memory) (bytes), C(xen_networks) (a list with C(device), C(network), C(mac), C(attached),
    C(addresses)), C(xen_disks) (a list with C(position), C(device), C(name), C(uuid), C(sr), C(size) in bytes), C(xen_os) (C(name),
    C(distro), C(version), C(kernel)) and C(xen_tools) (C(detected), C(up_to_date), C(version)).
  - Each host has C(xen_type) (V(host)), C(xen_uuid), C(xen_name), C(xen_description), C(xen_pool), C(xen_tags), C(xen_folder),
    C(xen_custom_fields), C(xen_hostname), C(xen_address), C(xen_coordinator), C(xen_enabled), C(xen_product), C(xen_version) and
    C(xen_cpus).
  - What the guest tells of itself needs the tools (agent) in it. C(xen_os) is empty and there are no addresses without them,
    and while the VM is halted.
extends_documentation_fragment:
  - domzero.xen.inventory_filters
  - constructed
  - inventory_cache
options:
  plugin:
    description: Marks the file as a configuration of this plugin.
    type: str
    required: true
    choices: [domzero.xen.xen]
  hostname:
    description:
      - Address of the pool's coordinator, as C(host), C(host:port) or a URL. A member passes the plugin on to its coordinator.
      - This and the other options of the connection may be templates, such as C({{ lookup('env', 'LAB_PASSWORD') }}), or encrypted with
        vault.
    type: str
    env: [{name: XEN_HOST}]
  username:
    description: The user to log in as. One who may only read (role C(read-only)) is enough.
    type: str
    default: root
    env: [{name: XEN_USER}]
  password:
    description: The user's password.
    type: str
    env: [{name: XEN_PASSWORD}]
  validate_certs:
    description: Whether the host's certificate is checked, by O(fingerprint) if given, else by O(ca_file) or the system's certificates.
    type: bool
    default: true
    env: [{name: XEN_VALIDATE_CERTS}]
  ca_file:
    description: File of the certificates (PEM) that may sign the host's.
    type: path
    env: [{name: XEN_CA_FILE}]
  fingerprint:
    description:
      - SHA-256 fingerprints of the certificates to accept, one for each host that may be met.
      - With any given they replace the check by a CA.
    type: list
    elements: str
    env: [{name: XEN_FINGERPRINT}]
  timeout:
    description: Seconds to wait for a connection and for each answer.
    type: float
    default: 60.0
  pools:
    description:
      - Several pools, instead of O(hostname). They are read at the same time.
      - What a pool does not say is taken from the option of that name beside this one.
    type: list
    elements: dict
    suboptions:
      hostname:
        description: As O(hostname).
        type: str
        required: true
      username:
        description: As O(username).
        type: str
      password:
        description: As O(password).
        type: str
      validate_certs:
        description: As O(validate_certs).
        type: bool
      ca_file:
        description: As O(ca_file).
        type: path
      fingerprint:
        description: As O(fingerprint).
        type: list
        elements: str
      timeout:
        description: As O(timeout).
        type: float
  skip_unreachable:
    description:
      - Leave out, with a warning, a pool that cannot be reached or is still starting. Otherwise nothing is read at all.
      - A refused login or certificate is an error nevertheless.
    type: bool
    default: false
  objects:
    description: What becomes a host of the inventory.
    type: str
    choices: [vms, hosts, both]
    default: vms
  power_states:
    description: Only VMs in one of these states. All if not set.
    type: list
    elements: str
    choices: [running, halted, suspended, paused]
  tags:
    description: Only VMs and hosts that have one of these tags. All if not set.
    type: list
    elements: str
  inventory_hostname:
    description:
      - What it is called in the inventory, as V(name), V(uuid) or a Jinja2 template over the variables such as
        C({{ xen_pool }}-{{ xen_name }}).
      - If several have the same name, all of them get their uuid after it, and a warning names them.
    type: str
    default: name
  address_from:
    description:
      - Where C(ansible_host) of a VM comes from, in the order to be tried. If nothing is found it is not set.
      - V(ipv4) and V(ipv6) are the first address of that kind which is not link-local, V(name) the VM's name.
      - C(ansible_host) of a host is its management address.
      - O(compose) can set C(ansible_host) otherwise.
    type: list
    elements: str
    choices: [ipv4, ipv6, name]
    default: [ipv4, ipv6]
  address_networks:
    description:
      - Only addresses in these networks (by name), those of the first network first.
      - V(*) stands for all networks that are not named. All networks, in the order of the VM's devices, if not set.
    type: list
    elements: str
  group_by:
    description:
      - What groups are made of, such as C(xen_pool_lab), C(xen_host_xcp01), C(xen_power_state_running), C(xen_tag_web),
        C(xen_folder_production_web), C(xen_os_debian), C(xen_network_dmz), C(xen_appliance_shop).
      - Characters that a group's name can't have become underscores.
      - The group of a folder lies in the group of the folder above it.
      - V(host) is the host a VM runs on. V(os) is the distribution as the guest's tools tell it.
    type: list
    elements: str
    choices: [pool, host, power_state, tag, folder, os, network, appliance]
    default: [pool, host, power_state, tag, folder, os, network, appliance]
  group_prefix:
    description: What the names of these groups begin with.
    type: str
    default: xen_
requirements:
  - python >= 3.11
  - XenAPI (Python package)
"""

EXAMPLES = r"""
# lab.xen.yml: all VMs of a pool; where it is and how to log in comes from XEN_HOST, XEN_USER and XEN_PASSWORD
plugin: domzero.xen.xen

---
# running.xen.yml: running VMs at their address in one network, grouped by tag and by role, a custom field of XenCenter
plugin: domzero.xen.xen
hostname: xcp00.example.com
username: inventory
password: "{{ lookup('ansible.builtin.env', 'LAB_PASSWORD') }}"
fingerprint: ["12:1C:67:DA:60:D2:2B:9E:D4:60:E8:4C:DD:EE:94:8C:14:81:07:6F:5F:93:28:E8:7F:B6:17:AB:3E:57:56:6E"]
power_states: [running]
address_networks: [Management]
group_by: [tag]
keyed_groups:
  - key: xen_custom_fields.role
    prefix: role
compose:
  ansible_user: "'Administrator' if xen_os.distro | default('') == 'windows' else 'root'"

---
# all.xen.yml: two sites and their hosts; a site that is down does not stop the work at the other
plugin: domzero.xen.xen
objects: both
password: "{{ vault_xen_password }}"
ca_file: /etc/ssl/example-ca.pem
skip_unreachable: true
inventory_hostname: "{{ xen_pool }}-{{ xen_name }}"
pools:
  - hostname: xcp00.berlin.example.com
  - hostname: xcp00.tokyo.example.com
    username: reader
filters:
  - exclude: "'decommissioned' in xen_tags"
  - include: xen_folder is match('/production')
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: /var/cache/ansible-inventory
"""

import gc
import itertools
import typing as t
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from ansible.errors import AnsibleParserError
from ansible.inventory.group import to_safe_group_name
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable

from ansible_collections.domzero.xen.plugins.module_utils import inventory as pools
from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, ConnectionFailed, Untrusted, XenError
from ansible_collections.domzero.xen.plugins.module_utils.inventory import Facts
from ansible_collections.domzero.xen.plugins.module_utils.module import CONNECTION, log_in, warn_about
from ansible_collections.domzero.xen.plugins.module_utils.tasks import NOT_YET
from ansible_collections.domzero.xen.plugins.plugin_utils.choosing import Choosing
from ansible_collections.domzero.xen.plugins.plugin_utils.trust import Marked

OPTIONS = {name: spec for name, spec in CONNECTION.items() if name != "session"}
AT_ONCE = 8  # pools that are read at the same time
Connection = dict[str, t.Any]
Read = dict[str, list[Facts]]


class InventoryModule(BaseInventoryPlugin, Choosing, Cacheable):
    NAME = "domzero.xen.xen"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith(("xen.yml", "xen.yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        try:
            with _uncollected():
                self._populate(self._rows(self._all(path, cache)))
        except XenError as e:
            raise AnsibleParserError(str(e)) from e

    # reading ------------------------------------------------------------------
    def _all(self, path: str, cache: bool) -> list[Read]:
        """What the pools say, out of the cache if that is wanted and it holds the answer to this question."""
        connections = self._connections()
        if not self.get_option("cache"):
            return self._ask(connections)[0]
        key = self.get_cache_key(path)
        question = {"pools": [c["hostname"] for c in connections], "vms": self._with("vms")}
        kept = self._cache.get(key) if cache else None
        if isinstance(kept, dict) and kept.get("question") == question:
            return t.cast("list[Read]", kept["answer"])
        answer, complete = self._ask(connections)
        if complete:  # a pool that was skipped is asked again next time
            self._cache[key] = {"question": question, "answer": answer}
        return answer

    def _ask(self, connections: t.Sequence[Connection]) -> tuple[list[Read], bool]:
        """The answers in order, and whether all pools answered."""
        for connection in connections:
            for warning in warn_about(connection):
                self.display.warning(f"{connection['hostname']}: {warning}")
        if len(connections) == 1:
            answers = [self._read(connections[0])]
        else:
            with ThreadPoolExecutor(AT_ONCE) as threads:
                answers = list(threads.map(self._read, connections))
        failed = [answer for answer in answers if isinstance(answer, XenError)]
        for error in failed:
            if not (self.get_option("skip_unreachable") and _is_unreachable(error)):
                raise error
            self.display.warning(f"Left out: {error}")
        return [answer for answer in answers if not isinstance(answer, XenError)], not failed

    def _read(self, connection: Connection) -> Read | XenError:
        session: Session | None = None
        try:
            session = log_in(connection)
            return pools.read(session, vms=self._with("vms"))
        except XenError as e:
            e.message = f"{connection['hostname']}: {e.message}"
            return e
        finally:
            if session:
                session.log_out()

    def _with(self, what: str) -> bool:
        return self.get_option("objects") in (what, "both")

    # how to reach the pools -----------------------------------------------------
    def _connections(self) -> list[Connection]:
        self.templar.available_variables = self._vars or {}
        common = {name: self.get_option(name) for name in OPTIONS}
        given = self.get_option("pools")
        if not given:
            return [self._connection(common, "The inventory")]
        common.pop("hostname")
        return [self._connection({**common, **pool}, f"Entry {n} of pools") for n, pool in enumerate(given, 1)]

    def _connection(self, options: Connection, where: str) -> Connection:
        result = ArgumentSpecValidator(OPTIONS).validate({name: self._plain(value) for name, value in options.items()})
        if result.error_messages:
            raise AnsibleParserError(f"{where}: {' '.join(result.error_messages)}")
        if missing := [option for option in ("hostname", "password") if not result.validated_parameters.get(option)]:
            raise AnsibleParserError(f"{where} does not say how to reach the pool: {' and '.join(missing)} missing.")
        return t.cast("Connection", result.validated_parameters)

    def _plain(self, value: t.Any) -> t.Any:
        """The value of a template, decrypted, as the plain text that goes on the wire."""
        if isinstance(value, (list, tuple)):
            return [self._plain(v) for v in value]
        if value is None or isinstance(value, (bool, int, float)):
            return value
        return str(self.templar.template(value))

    # what is let in ---------------------------------------------------------------
    def _rows(self, answers: t.Sequence[Read]) -> list[Facts]:
        kinds = [kind for kind in ("hosts", "vms") if self._with(kind)]
        rows = [facts for kind in kinds for answer in answers for facts in answer[kind]]
        if states := self.get_option("power_states"):
            rows = [facts for facts in rows if facts.get("xen_power_state", states[0]) in states]
        if tags := set(self.get_option("tags") or ()):
            rows = [facts for facts in rows if not tags.isdisjoint(facts["xen_tags"])]
        marked = Marked()
        return self.chosen([marked.all(facts) for facts in rows], "xen_name")

    # the inventory ------------------------------------------------------------------
    def _populate(self, rows: t.Sequence[Facts]) -> None:
        names, ambiguous = pools.unambiguous([self._name(facts) for facts in rows], rows)
        if ambiguous:
            shown = ", ".join([*ambiguous[:12], *(["..."] if len(ambiguous) > 12 else [])])
            self.display.warning(f"Several VMs or hosts have the same name, so their uuids were added to it: {shown}.")
        self._warn_of_networks(rows)
        for kind in ("vms", "hosts"):
            if self._with(kind):
                self.inventory.add_group(f"{self.get_option('group_prefix')}{kind}")
        kinds, networks = self.get_option("address_from"), self.get_option("address_networks") or ()
        by, known = self.get_option("group_by"), dict[tuple[str, str], t.Any]()
        for name, facts in zip(names, rows):
            name = self.inventory.add_host(name)
            host = self.inventory.hosts[name]
            if address := pools.address(facts, kinds, networks):
                facts = {**facts, "ansible_host": address}
            host.vars.update(facts)  # at once: set_variable would check these names for each of thousands
            for key in [("", f"{facts['xen_type']}s"), *pools.groups(facts, by)]:
                (known.get(key) or self._group(key, known)).add_host(host)
            self.construct(name, facts)

    def _name(self, facts: Facts) -> str:
        wanted = self.get_option("inventory_hostname")
        if wanted in ("name", "uuid"):
            return t.cast("str", facts[f"xen_{wanted}"])
        return self.called(facts, facts["xen_name"])

    def _group(self, key: tuple[str, str], known: dict[tuple[str, str], t.Any]) -> t.Any:
        """The group, made if it is not there yet; a folder's in that of the folder above it."""
        kind, text = key
        prefix = f"{self.get_option('group_prefix')}{kind}{'_' if kind else ''}"
        names = [to_safe_group_name(prefix + part, force=True, silent=True) for part in pools.ancestors(kind, text)]
        for name in names:
            self.inventory.add_group(name)
        for child, parent in itertools.pairwise(names):
            self.inventory.add_child(parent, child)
        known[key] = self.inventory.groups[names[0]]
        return known[key]

    def _warn_of_networks(self, rows: t.Sequence[Facts]) -> None:
        wanted = [name for name in self.get_option("address_networks") or () if name != pools.ANY_OTHER]
        if not wanted:
            return
        used = {vif["network"] for facts in rows for vif in facts.get("xen_networks", ())}
        if unused := [name for name in wanted if name not in used]:
            self.display.warning(f"No VM is on a network of address_networks: {', '.join(unused)}.")


@contextmanager
def _uncollected() -> t.Iterator[None]:
    """Without the garbage collector, which would walk hundreds of thousands of records again and again: a fifth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _is_unreachable(error: XenError) -> bool:
    if isinstance(error, ApiError):
        return error.code in NOT_YET and error.code != "SESSION_AUTHENTICATION_FAILED"
    return isinstance(error, ConnectionFailed) and not isinstance(error, Untrusted)
