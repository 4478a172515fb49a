# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lives in other_config: folder and custom fields as XenCenter writes them, start with the host, keys of one's own."""

from __future__ import annotations

import typing as t

from ...errors import InvalidChange
from ...fields import text_map
from ...plan import Plan
from ...refs import Record
from .part import Part, Subject

FOLDER, CUSTOM, AUTO = "folder", "XenCenter.CustomFields.", "auto_poweron"
# keys that xapi, or another option, looks after
NOT_OURS = ("mac_seed", "import_task", "base_template_name", "disks", "postinstall", "default_template", "xensource_internal", "instant")


class Labels(Part):
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "folder": {"type": "str"},
        "custom_fields": {"type": "dict"},
        "auto_poweron": {"type": "bool"},
        "other_config": {"type": "dict"},
    }

    def _hidden(self, key: str) -> bool:
        return key in (*NOT_OURS, FOLDER, AUTO) or key.startswith(CUSTOM) or key in self.vm.claimed

    def observe(self, subject: Subject) -> dict[str, t.Any]:
        other: Record = subject.record["other_config"]
        return {
            "folder": other.get(FOLDER, ""),
            "custom_fields": {key[len(CUSTOM) :]: value for key, value in other.items() if key.startswith(CUSTOM)},
            "auto_poweron": other.get(AUTO) == "true",
            "other_config": {key: value for key, value in other.items() if not self._hidden(key)},
        }

    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        out = dict(have)
        for option in ("folder", "auto_poweron"):
            out[option] = have[option] if self.params.get(option) is None else self.params[option]
        self._refuse(have, out)
        for option in ("custom_fields", "other_config"):
            merged = {**have[option], **text_map(self.params.get(option) or {})}
            out[option] = {key: value for key, value in merged.items() if value is not None}
        return {option: out[option] for option in self.options}

    def _refuse(self, have: t.Mapping[str, t.Any], want: t.Mapping[str, t.Any]) -> None:
        taken = [key for key in self.params.get("other_config") or {} if self._hidden(str(key))]
        if taken:
            raise InvalidChange(
                f"other_config of VM {self.label!r} cannot hold {taken[0]!r}.", hint="XenAPI looks after it, or an option of its own does."
            )
        folder = want["folder"]
        if folder and folder != have["folder"] and not folder.startswith("/"):
            raise InvalidChange(f"folder of VM {self.label!r} cannot be {folder!r}.", hint=f"It begins with a slash: /{folder}.")

    def change(self, plan: Plan, subject: Subject) -> None:
        """Key by key, so that nobody else's is lost."""
        have, want = _keys(plan.before), _keys(plan.after)
        for key in sorted({*have, *want}):
            if have.get(key) == want.get(key):
                continue
            self.vm.set_key(plan, subject, "other_config", key, want.get(key), there=key in have)


def _keys(options: t.Mapping[str, t.Any]) -> dict[str, str]:
    """As they stand in other_config."""
    out = dict(options["other_config"])
    out.update({f"{CUSTOM}{name}": value for name, value in options["custom_fields"].items()})
    if options["folder"]:
        out[FOLDER] = options["folder"]
    if options["auto_poweron"]:
        out[AUTO] = "true"
    return out
