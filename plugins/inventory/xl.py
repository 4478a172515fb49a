# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: xl
short_description: domUs of plain Xen hosts
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Makes an inventory of the domUs of one or several Xen hosts (Dom0s) that are run with C(xl), without XAPI.
  - A configuration file ends in C(xl.yml) or C(xl.yaml).
  - Each Dom0 is asked once over C(ssh), for the domains it runs (C(xl list -l)), for the files in O(config_dir) and for what the guests
    wrote into xenstore. Nothing is needed on it but a shell and C(xl).
  - All domUs are in the group C(xl_domains). The others are chosen with O(group_by).
  - A domU whose file lies on several Dom0s, as after a migration, is that of the Dom0 on which it runs.
  - Each domU has the variables C(xl_name), C(xl_host) (its Dom0), C(xl_domid) (null while it does not run), C(xl_uuid), C(xl_power_state)
    (V(running), V(paused), V(shutdown), V(suspended), V(crashed), V(dying), V(halted)), C(xl_type), C(xl_memory) (MiB), C(xl_vcpus),
    C(xl_kernel), C(xl_disks) and C(xl_vifs) (as the options O(domzero.xen.xl_domain#module:disk) and
    O(domzero.xen.xl_domain#module:vif)), C(xl_addresses) (what the guest itself tells), C(xl_config_file) and C(xl_autostart).
extends_documentation_fragment:
  - domzero.xen.inventory_filters
  - constructed
  - inventory_cache
options:
  plugin:
    description: Marks the file as a configuration of this plugin.
    type: str
    required: true
    choices: [domzero.xen.xl]
  hosts:
    description:
      - The Dom0s, as C(ssh) is to be told of them, such as V(root@xen1.example.com) or the name of an entry of C(~/.ssh/config).
      - V(localhost) is asked without C(ssh).
    type: list
    elements: str
    required: true
  ssh_command:
    description: The program that connects to them.
    type: str
    default: ssh
  ssh_args:
    description: What it is given before the name of the Dom0.
    type: list
    elements: str
    default: [-o, BatchMode=yes, -o, ConnectTimeout=10]
  become:
    description: Become root on the Dom0 with C(sudo), which must not ask for a password.
    type: bool
    default: false
  config_dir:
    description: Where the files of domUs lie on a Dom0.
    type: str
    default: /etc/xen
  timeout:
    description: Seconds a Dom0 has to answer.
    type: float
    default: 60.0
  skip_unreachable:
    description: Leave out, with a warning, a Dom0 that cannot be reached. Otherwise nothing is read at all.
    type: bool
    default: false
  power_states:
    description: Only domUs in one of these states. All if not set.
    type: list
    elements: str
    choices: [running, paused, shutdown, suspended, crashed, dying, halted]
  inventory_hostname:
    description:
      - What it is called in the inventory, as V(name) or a Jinja2 template over the variables such as C({{ xl_name }}.example.com).
      - If several have the same name, all of them get their Dom0 after it, and a warning names them.
    type: str
    default: name
  address_from:
    description:
      - Where C(ansible_host) comes from, in the order to be tried. If nothing is found it is not set.
      - V(ip) is the key C(ip) of a vif, V(xenstore) what an agent in the guest tells, V(name) the domU's name.
      - O(compose) can set C(ansible_host) otherwise.
    type: list
    elements: str
    choices: [ip, xenstore, name]
    default: [ip, xenstore]
  group_by:
    description:
      - What groups are made of, such as C(xl_host_xen1), C(xl_power_state_running), C(xl_type_pvh).
      - Characters that a group's name can't have become underscores.
    type: list
    elements: str
    choices: [host, power_state, type]
    default: [host, power_state, type]
  group_prefix:
    description: What the names of these groups begin with.
    type: str
    default: xl_
requirements:
  - python >= 3.11
  - ssh on the control node
"""

EXAMPLES = r"""
# web.xl.yml: the domUs of two Dom0s that run, at the address that their vif has, grouped by bridge; without what follows hosts: all of them
plugin: domzero.xen.xl
hosts: [root@xen1.example.com, admin@xen2.example.com]
become: true
ssh_args: [-o, BatchMode=yes, -i, ~/.ssh/inventory]
power_states: [running]
filters:
  - exclude: xl_name is match('test-')
keyed_groups:
  - key: xl_vifs | map(attribute='bridge', default='none') | list
    prefix: bridge
compose:
  ansible_user: "'root'"
"""

import os
import subprocess
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible.errors import AnsibleParserError
from ansible.inventory.group import to_safe_group_name
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable

from ansible_collections.domzero.xen.plugins.module_utils.errors import ConnectionFailed, XenError
from ansible_collections.domzero.xen.plugins.module_utils.xl import inventory as domus
from ansible_collections.domzero.xen.plugins.module_utils.xl.inventory import Facts
from ansible_collections.domzero.xen.plugins.plugin_utils.choosing import Choosing
from ansible_collections.domzero.xen.plugins.plugin_utils.trust import Marked

AT_ONCE = 8  # Dom0s that are asked at the same time
UNREACHABLE = 255  # how ssh ends when it gets no connection
Answer = tuple[list[Facts], list[str]]


class InventoryModule(BaseInventoryPlugin, Choosing, Cacheable):
    NAME = "domzero.xen.xl"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith(("xl.yml", "xl.yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        try:
            self._populate(self._rows(self._all(path, cache)))
        except XenError as e:
            raise AnsibleParserError(str(e)) from e

    # reading ------------------------------------------------------------------
    def _all(self, path: str, cache: bool) -> list[Facts]:
        """What the Dom0s say, out of the cache if that is wanted and it holds the answer to this question."""
        if not self.get_option("cache"):
            return self._ask()[0]
        key, hosts = self.get_cache_key(path), self.get_option("hosts")
        kept = self._cache.get(key) if cache else None
        if isinstance(kept, dict) and kept.get("hosts") == hosts:
            return t.cast("list[Facts]", kept["answer"])
        answer, complete = self._ask()
        if complete:  # a Dom0 that was skipped is asked again next time
            self._cache[key] = {"hosts": hosts, "answer": answer}
        return answer

    def _ask(self) -> tuple[list[Facts], bool]:
        """All domUs, and whether all Dom0s answered."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            answers = list(threads.map(self._read, self.get_option("hosts")))
        failed = [answer for answer in answers if isinstance(answer, XenError)]
        for error in failed:
            if not (self.get_option("skip_unreachable") and isinstance(error, ConnectionFailed)):
                raise error
            self.display.warning(f"Left out: {error}")
        read = [answer for answer in answers if not isinstance(answer, XenError)]
        for _rows, warnings in read:
            for warning in warnings:
                self.display.warning(warning)
        return domus.settled(facts for rows, _warnings in read for facts in rows), not failed

    def _read(self, target: str) -> Answer | XenError:
        host = target.rpartition("@")[2]
        script, token = domus.script(self.get_option("config_dir"))
        try:
            return domus.read(self._run(target, host, script), token, host)
        except XenError as e:
            return e

    def _run(self, target: str, host: str, script: str) -> str:
        """What a script says on a Dom0. Raises ConnectionFailed where there is no connection, XenError where it fails."""
        shell = ["sudo", "-n", "sh", "-s"] if self.get_option("become") else ["sh", "-s"]
        ssh = (
            [] if target == "localhost" else [self.get_option("ssh_command"), *map(os.path.expanduser, self.get_option("ssh_args")), target]
        )
        try:
            done = subprocess.run(
                [*ssh, *shell], input=script.encode(), capture_output=True, timeout=self.get_option("timeout"), check=False
            )
        except subprocess.TimeoutExpired:
            raise ConnectionFailed(f"{host} did not answer within {self.get_option('timeout'):g} seconds.") from None
        except OSError as e:
            raise XenError(f"{(ssh or shell)[0]} cannot be run: {e.strerror}.") from None
        said = " ".join(done.stderr.decode(errors="replace").split())
        if ssh and done.returncode == UNREACHABLE:
            raise ConnectionFailed(f"{host} cannot be reached: {said or 'ssh does not say why'}")
        if done.returncode:
            raise XenError(f"{host} cannot be read: {said or f'status {done.returncode}'}", hint=_hint(said))
        return done.stdout.decode(errors="replace")

    # what is let in ---------------------------------------------------------------
    def _rows(self, rows: list[Facts]) -> list[Facts]:
        if states := self.get_option("power_states"):
            rows = [facts for facts in rows if facts["xl_power_state"] in states]
        marked = Marked()
        return self.chosen([marked.all(facts) for facts in rows], "xl_name")

    # the inventory ------------------------------------------------------------------
    def _populate(self, rows: t.Sequence[Facts]) -> None:
        wanted = self.get_option("inventory_hostname")
        names = [facts["xl_name"] if wanted == "name" else self.called(facts, facts["xl_name"]) for facts in rows]
        names, ambiguous = domus.unambiguous(names, rows)
        if ambiguous:
            self.display.warning(f"Several domUs have the same name, so their Dom0 was added to it: {', '.join(ambiguous)}.")
        prefix = self.get_option("group_prefix")
        self.inventory.add_group(f"{prefix}domains")
        for name, facts in zip(names, rows):
            self.inventory.add_host(name, group=f"{prefix}domains")
            if address := domus.address(facts, self.get_option("address_from")):
                facts = {**facts, "ansible_host": Marked()[address]}
            for variable, value in facts.items():
                self.inventory.set_variable(name, variable, value)
            for by in self.get_option("group_by"):
                group = to_safe_group_name(f"{prefix}{by}_{facts[f'xl_{by}']}", force=True, silent=True)
                self.inventory.add_host(name, group=self.inventory.add_group(group))
            self.construct(name, facts)


def _hint(said: str) -> str:
    if "sudo" in said:
        return "Allow it without a password, or log in as root and leave become out."
    return "xl needs root: log in as root, or use become." if "ermission denied" in said or "must be root" in said else ""
