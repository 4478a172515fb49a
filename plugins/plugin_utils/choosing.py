# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What inventory plugins have in common: conditions that let in or keep out, names, and what Ansible constructs of variables."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.inventory import Constructable

Facts = dict[str, t.Any]


class Choosing(Constructable):
    """Beside BaseInventoryPlugin: the options filters, inventory_hostname, strict, compose, groups and keyed_groups."""

    def chosen(self, rows: t.Sequence[Facts], name: str) -> list[Facts]:
        """Those that the option filters lets in. Args: name (the variable that names one). Raises AnsibleParserError."""
        filters = [self._filter(entry) for entry in self.get_option("filters")]
        return [facts for facts in rows if self._lets_in(filters, facts, facts[name])] if filters else list(rows)

    def _filter(self, entry: t.Any) -> tuple[bool, t.Any]:
        """Whether it includes, and its condition."""
        if isinstance(entry, dict) and len(entry) == 1 and next(iter(entry)) in ("include", "exclude"):
            ((word, condition),) = entry.items()
            return word == "include", condition
        raise AnsibleParserError(f"{entry!r} in filters is neither an include nor an exclude with a condition.")

    def _lets_in(self, filters: t.Sequence[tuple[bool, t.Any]], facts: Facts, name: str) -> bool:
        for includes, condition in filters:
            try:
                if is_true(self._compose(condition, facts) if isinstance(condition, str) else condition):
                    return includes
            except Exception as e:  # whatever an expression of the user's raises
                if self.get_option("strict"):
                    raise AnsibleParserError(f"The filter {condition!r} fails for {name!r}: {e}") from e
        return not filters[-1][0]

    def called(self, facts: Facts, name: str) -> str:
        """What the template inventory_hostname makes of one. Raises AnsibleParserError."""
        wanted = self.get_option("inventory_hostname")
        self.templar.available_variables = facts
        try:
            return str(self.templar.template(wanted)).strip()
        except AnsibleError as e:
            raise AnsibleParserError(f"inventory_hostname {wanted!r} fails for {name!r}: {e}") from e

    def construct(self, name: str, facts: Facts) -> None:
        strict = self.get_option("strict")
        if compose := self.get_option("compose"):
            self._set_composite_vars(compose, facts, name, strict=strict)
        if groups := self.get_option("groups"):
            self._add_host_to_composed_groups(groups, facts, name, strict=strict)
        if keyed := self.get_option("keyed_groups"):
            self._add_host_to_keyed_groups(keyed, facts, name, strict=strict)


def is_true(value: t.Any) -> bool:
    return bool(boolean(value, strict=False)) if isinstance(value, str) else bool(value)
