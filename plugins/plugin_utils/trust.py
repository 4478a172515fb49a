# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which texts of a pool Ansible may take for what they look like. A guest can write "{{ lookup('pipe', ...) }}" into what it tells."""

from __future__ import annotations

import re
import typing as t

from ansible.utils.unsafe_proxy import wrap_var

try:
    from ansible.template import trust_as_template
except ImportError:  # before 2.19 everything is trusted that is not marked as unsafe
    trust_as_template = None

# neither a template nor an expression that calls, filters or looks into anything
_harmless = re.compile(r"[\w .,:;/@+=~#&*!?%-]*").fullmatch


def _mark(text: str) -> str:
    harmless = _harmless(text) is not None
    if trust_as_template is None:
        return t.cast("str", text if harmless else wrap_var(text))
    # since 2.19 nothing is trusted that is not marked, and a list of the inventory shows {"__ansible_unsafe": ...} for it
    return t.cast("str", trust_as_template(text) if harmless else text)


class Marked(dict[str, str]):
    """Texts as Ansible is to see them; most occur in thousands of VMs."""

    def __missing__(self, text: str) -> str:
        self[text] = marked = _mark(text)
        return marked

    def all(self, value: t.Any) -> t.Any:
        """A copy of anything that JSON can hold."""
        if isinstance(value, str):
            return self[value]
        if isinstance(value, dict):
            return {k: self[v] if isinstance(v, str) else self.all(v) for k, v in value.items()} if value else {}
        if isinstance(value, list):
            return [self.all(v) for v in value] if value else []
        return value
