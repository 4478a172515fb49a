# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a recorded answer and a live one are the same (see conformance.py)."""

from __future__ import annotations

import re
import typing as t

REF = re.compile(r"OpaqueRef:[0-9a-f-]{36}")
UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
ID = re.compile(rf"{REF.pattern}|{UUID.pattern}")
NATURAL_KEYS = ("name_label", "name", "device", "type", "number", "VLAN", "userdevice", "is_a_template", "is_control_domain", "protocol")
OWNERS = ("host", "SR", "VM")
MOMENT = re.compile(r"\d{8}T\d\d:\d\d:\d\dZ?")
# by value these depend on the machine, the moment or the build: type only
VOLATILE = re.compile(
    r"(telemetry|time|date|timestamp|created|finished|last_|_size|utilisation|allocation|progress|version|build|memory|cpu|speed|mtu_|MAC$|"
    r"address|IP$|ip_|netmask|gateway|DNS|domid|location|fingerprint|uuid|bios|chipset|software|license|capabilities|guest_|data|generation|"
    r"token|id$|snapshot_info|metadata|other_config|sm_config|platform|last_boot|suppress|logging|features|required_api|carrier|pci_|vendor|"
    r"device_name)",
    re.I,
)
Skip = frozenset[str]


class Mapping(dict[str, str]):
    """Recorded reference, uuid or address -> the live one."""

    def rewrite(self, text: str) -> str:
        """A text with everything known replaced."""
        for recorded, live in self.items():
            if not ID.fullmatch(recorded):
                text = text.replace(recorded, live)
        return ID.sub(lambda found: self.get(found.group(), found.group()), text)

    def learn(self, recorded: t.Any, live: t.Any) -> None:
        """Walks both values in step and notes which identifier stands for which."""
        if isinstance(recorded, str) and isinstance(live, str):
            self._learn_text(recorded, live)
        elif isinstance(recorded, dict) and isinstance(live, dict):
            if _by_reference(recorded):
                self._learn_records(recorded, live)
            else:
                for key in recorded.keys() & live.keys():
                    self.learn(recorded[key], live[key])
        elif isinstance(recorded, list) and isinstance(live, list) and len(recorded) == len(live):
            self._learn_list(recorded, live)

    def _learn_text(self, recorded: str, live: str) -> None:
        mine, theirs = ID.findall(recorded), ID.findall(live)
        if len(mine) == len(theirs) and (len(mine) == 1 or ID.sub("", recorded) == ID.sub("", live)):
            for a, b in zip(mine, theirs):
                if "NULL" not in a:
                    self.setdefault(a, b)

    def _learn_records(self, recorded: dict[str, t.Any], live: dict[str, t.Any]) -> None:
        for ref, record in recorded.items():
            twin = self.get(ref) or self._natural_twin(record, live)
            if twin in live:
                self.setdefault(ref, twin)
                self.learn(record, live[twin])

    def _natural_twin(self, record: t.Any, live: dict[str, t.Any]) -> str | None:
        """The live object with the same natural keys and the same owners as far as known; a card is known by its address."""
        if not isinstance(record, dict):
            return None
        names = ("MAC", "VLAN") if record.get("physical") is True else NATURAL_KEYS
        key = {name: record[name] for name in names if name in record and not REF.search(str(record[name]))}
        key |= {name: self[record[name]] for name in OWNERS if record.get(name) in self}
        same = (ref for ref, r in live.items() if isinstance(r, dict) and all(r.get(name) == v for name, v in key.items()))
        return next(same, None)

    def _learn_list(self, recorded: list[t.Any], live: list[t.Any]) -> None:
        if len(recorded) == 1 or not _references(recorded):
            for a, b in zip(recorded, live):
                self.learn(a, b)

    def pair(self, recorded: t.Any, live: t.Any) -> None:
        """An answer that is nothing but references: those nobody knows yet stand for each other, in order."""
        if _references(recorded) and _references(live):
            unknown = [a for a in recorded if a not in self]
            left = [b for b in live if b not in self.values()]
            if len(unknown) == len(left):
                self.update(zip(unknown, left))


def _references(value: t.Any) -> bool:
    return isinstance(value, list) and all(isinstance(x, str) and REF.fullmatch(x) for x in value)


def _by_reference(value: dict[str, t.Any]) -> bool:
    return bool(value) and all(REF.fullmatch(key) for key in value)


def statuses(recorded: dict[str, t.Any], status: int) -> list[str]:
    """The HTTP status."""
    return [] if status == recorded["http_status"] else [f"HTTP {recorded['http_status']} expected, got {status}"]


def answers(recorded: t.Any, live: t.Any, mapping: Mapping, skip: Skip) -> list[str]:
    """Two decoded answers; what stands for what is learnt on the way."""
    if recorded is None:
        return []
    if not isinstance(recorded, dict) or "Status" not in recorded:
        return [] if _kind(recorded) == _kind(live) else [f"bare {_kind(recorded)} expected, got {_kind(live)}"]
    if not isinstance(live, dict) or recorded["Status"] != live.get("Status"):
        return [f"{recorded['Status']} {recorded.get('ErrorDescription', '')} expected, got {str(live)[:200]}"]
    if recorded["Status"] == "Failure":
        return _errors(recorded["ErrorDescription"], live["ErrorDescription"], mapping)
    mapping.learn(recorded["Value"], live["Value"])
    mapping.pair(recorded["Value"], live["Value"])
    return list(_Comparison(mapping, skip).differences(recorded["Value"], live["Value"], "", ""))


def _errors(recorded: list[str], live: list[str], mapping: Mapping) -> list[str]:
    if not live or recorded[0] != live[0]:
        return [f"error {recorded[0]} expected, got {live[:2]}"]
    if len(recorded) != len(live):
        return [f"{recorded[0]}: {len(recorded) - 1} parameters expected, got {len(live) - 1}: {live[1:]}"]
    out = []
    for number, (text, got) in enumerate(zip(recorded[1:], live[1:]), 1):
        expected = mapping.rewrite(str(text))
        alike = expected == str(got) or " " in expected or (ID.search(expected) and ID.search(str(got)))
        if not alike and recorded[0] != "INTERNAL_ERROR":
            out.append(f"{recorded[0]} parameter {number}: {expected!r:.80} expected, got {got!r:.80}")
    return out


def _kind(value: t.Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "ref" if value.startswith("OpaqueRef:") else "str"
    return type(value).__name__


class _Comparison:
    def __init__(self, mapping: Mapping, skip: Skip) -> None:
        self.mapping, self.skip = mapping, skip

    def differences(self, recorded: t.Any, live: t.Any, path: str, name: str) -> t.Iterator[str]:
        """``name`` is the field the value belongs to."""
        if name in self.skip:
            return
        if _kind(recorded) != _kind(live):
            yield f"{path or '.'}: {_kind(recorded)} expected, got {_kind(live)} {live!r:.60}"
        elif isinstance(recorded, dict):
            yield from self._records(recorded, live, path) if _by_reference(recorded) else self._struct(recorded, live, path, name)
        elif isinstance(recorded, list):
            yield from self._list(recorded, live, path, name)
        elif isinstance(recorded, str):
            yield from self._text(recorded, live, path, name)
        elif isinstance(recorded, bool) and recorded != live and not VOLATILE.search(name):
            yield f"{path}: {recorded} expected, got {live}"

    def _records(self, recorded: dict[str, t.Any], live: dict[str, t.Any], path: str) -> t.Iterator[str]:
        for ref, value in recorded.items():
            twin = self.mapping.get(ref)
            if twin not in live:
                label = value.get("name_label") or value.get("device") if isinstance(value, dict) else ""
                yield f"{path}[{label or ref}]: missing"
            else:
                yield from self.differences(value, live[twin], f"{path}[]", "")

    def _struct(self, recorded: dict[str, t.Any], live: dict[str, t.Any], path: str, name: str) -> t.Iterator[str]:
        if VOLATILE.search(name):
            return
        yield from (f"{path}.{key}: missing" for key in recorded.keys() - live.keys())
        yield from (f"{path}.{key}: not expected" for key in live.keys() - recorded.keys())
        for key in recorded.keys() & live.keys():
            yield from self.differences(recorded[key], live[key], f"{path}.{key}", key)

    def _list(self, recorded: list[t.Any], live: list[t.Any], path: str, name: str) -> t.Iterator[str]:
        if VOLATILE.search(name):
            return
        if recorded and all(isinstance(x, str) and not ID.search(x) for x in recorded):
            if sorted(recorded) != sorted(map(str, live)):
                yield f"{path}: {sorted(recorded)} expected, got {sorted(map(str, live))}"[:300]
        elif len(recorded) != len(live):
            yield f"{path}: {len(recorded)} elements expected, got {len(live)}"
        elif len(recorded) == 1 or not all(isinstance(x, str) for x in recorded):  # several references are a set, in any order
            for number, (a, b) in enumerate(zip(recorded, live)):
                yield from self.differences(a, b, f"{path}[{number}]", "" if isinstance(a, dict) else "id$")

    def _text(self, recorded: str, live: str, path: str, name: str) -> t.Iterator[str]:
        if MOMENT.fullmatch(recorded):
            if not MOMENT.fullmatch(live):
                yield f"{path}: a date like {recorded} expected, got {live!r:.60}"
            return
        if VOLATILE.search(name) or recorded == live:
            return
        expected = self.mapping.rewrite(recorded)
        if ID.search(recorded):
            unknown = any(i not in self.mapping for i in ID.findall(recorded) if "NULL" not in i)
            alike = unknown or expected == live or (bool(ID.search(live)) and " " in recorded)
        else:
            alike = " " in recorded
        if not alike:
            yield f"{path}: {expected!r:.80} expected, got {live!r:.80}"
