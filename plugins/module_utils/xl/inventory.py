# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""domUs of Dom0s as variables of an inventory: what to ask a Dom0, and what to make of its answer."""

from __future__ import annotations

import ipaddress
import re
import secrets
import shlex
import typing as t

from ..errors import InvalidChange, XenError
from .cfg import Cfg
from .domain.settings import told
from .migrate.copies import AWAY, INCOMING
from .output import domains as listed
from .output import xenstore

Facts = dict[str, t.Any]

# One shell script for all of it. `say` begins a part with a word that no file can have in it by accident.
SCRIPT = """LC_ALL=C; export LC_ALL; PATH="$PATH:/usr/sbin:/sbin"
say() {{ printf '\\n%s %s\\n' {token} "$*"; }}
command -v xl > /dev/null || {{ echo 'There is no xl on it: is it a Xen Dom0?' >&2; exit 1; }}
say list
xl list || exit 1
say config
xl list -l
for file in {folder}/*.cfg; do [ ! -f "$file" ] || {{ say file "$file"; cat "$file"; }}; done
for link in {folder}/auto/*; do [ ! -e "$link" ] || say auto "$(readlink -f "$link")"; done
say store
xenstore-ls -f /local/domain 2> /dev/null
say end
"""
# Where agents in guests tell addresses: xe-guest-utilities and the Windows drivers.
ADDRESS = re.compile(r"/local/domain/(\d+)/attr/(?:eth|vif/)(\d+)/(?:ip|ipv[46]/\d+(?:/addr)?)")


def script(folder: str) -> tuple[str, str]:
    """What a shell on a Dom0 is to run, and the word with which the parts of the answer begin. Args: folder (of *.cfg)."""
    token = f"domzero-{secrets.token_hex(8)}"
    return SCRIPT.format(token=token, folder=shlex.quote(folder.rstrip("/"))), token


def read(answer: str, token: str, host: str) -> tuple[list[Facts], list[str]]:
    """The variables of each domU of one Dom0, and warnings. Raises XenError for an answer that is cut off."""
    parts = [part.partition("\n") for part in answer.split(f"\n{token} ")[1:]]
    found = {head: text for head, _newline, text in parts}
    if "end" not in found:
        raise XenError(f"{host}: its answer is cut off.", hint="Run it again.")
    running = [one for one in listed.domains(found["list"]) if one["domid"] and not one["name"].endswith((AWAY, INCOMING))]
    configs = {one["domid"]: one["config"] for one in listed.configurations(found["config"])}
    files, warnings = files_of(found, host)
    links = {head[len("auto ") :] for head in found if head.startswith("auto ")}
    addresses = addresses_of(found["store"])
    names = sorted({one["name"] for one in running} | set(files))
    by_name = {one["name"]: one for one in running}
    rows = []
    for name in names:
        one, (path, cfg) = by_name.get(name), files.get(name, ("", None))
        config = configs.get(one["domid"]) if one else None
        rows.append(facts_of(name, host, one, told(None, config) if config else told(cfg, None) if cfg else {}))
        rows[-1].update(xl_config_file=path, xl_autostart=bool(path) and path in links)
        rows[-1].update(xl_addresses=addresses.get(one["domid"], []) if one else [])
    return rows, warnings


def files_of(found: t.Mapping[str, str], host: str) -> tuple[dict[str, tuple[str, Cfg]], list[str]]:
    """Path and content of the files that describe a domain, by its name. What is none (no name) is passed over."""
    files: dict[str, tuple[str, Cfg]] = {}
    warnings = []
    for head, text in found.items():
        path = head[len("file ") :] if head.startswith("file ") else ""
        try:
            cfg = Cfg.parse(text, path) if path else Cfg.parse("")
        except InvalidChange as e:
            warnings.append(f"{host}: {e} It is left out.")
            continue
        if "name" in cfg:
            files.setdefault(str(cfg.get("name")), (path, cfg))
    return files, warnings


def facts_of(name: str, host: str, running: t.Mapping[str, t.Any] | None, known: t.Mapping[str, t.Any]) -> Facts:
    return {
        "xl_name": name, "xl_host": host, "xl_domid": running["domid"] if running else None,
        "xl_power_state": running["power_state"] if running else "halted", "xl_uuid": str(known.get("uuid", "")),
        "xl_type": known.get("type", "pv"), "xl_memory": running["memory"] if running else known.get("memory"),
        "xl_vcpus": running["vcpus"] if running else known.get("vcpus", 1), "xl_kernel": known.get("kernel", ""),
        "xl_disks": known.get("disk", []), "xl_vifs": known.get("vif", []),
    }  # fmt: skip


def addresses_of(text: str) -> dict[int, list[str]]:
    """What the guests tell of their addresses, by domid, those of the first NIC first."""
    found: dict[int, list[tuple[int, str]]] = {}
    for path, value in xenstore.flat(text).items():
        match = ADDRESS.fullmatch(path)
        if match and value:
            found.setdefault(int(match[1]), []).append((int(match[2]), value))
    return {domid: list(dict.fromkeys(value for _nic, value in sorted(pairs, key=lambda pair: pair[0]))) for domid, pairs in found.items()}


def address(facts: t.Mapping[str, t.Any], kinds: t.Sequence[str]) -> str:
    """The first address of these kinds: "ip" (of the vifs), "xenstore", "name". Empty where there is none."""
    vifs = [vif for vif in facts["xl_vifs"] if isinstance(vif, dict)]
    given = [word.split("/")[0] for vif in vifs for word in str(vif.get("ip", "")).split()]
    kept = {"ip": given, "xenstore": facts["xl_addresses"]}
    for kind in kinds:
        for one in [facts["xl_name"]] if kind == "name" else filter(reachable, kept[kind]):
            return str(one)
    return ""


def reachable(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_link_local
    except ValueError:
        return False


def settled(rows: t.Iterable[Facts]) -> list[Facts]:
    """One row for each domU: where its file lies on several Dom0s, it is that of the one on which it runs."""
    rows = list(rows)
    running = {facts["xl_name"] for facts in rows if facts["xl_domid"] is not None}
    return [facts for facts in rows if facts["xl_domid"] is not None or facts["xl_name"] not in running]


def unambiguous(names: t.Sequence[str], rows: t.Sequence[Facts]) -> tuple[list[str], list[str]]:
    """The names, with their Dom0 after those that several have, and which these were."""
    several = sorted({name for name in names if names.count(name) > 1})
    return [f"{name}-{facts['xl_host']}" if name in several else name for name, facts in zip(names, rows)], several
