# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""YAML, where PyYAML is there: ansible-core brings it along."""

from __future__ import annotations

import typing as t

from ..errors import InvalidChange, XenError

try:
    import yaml
except ImportError:
    yaml = None  # type: ignore[assignment]


def load(text: str, what: str) -> t.Any:
    """Raises InvalidChange, which tells where it is wrong but not what stands there: it may be a secret."""
    _need()
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise InvalidChange(f"{what} is not YAML{where}.", hint="Check indentation, colons and quotes there.") from None
    except (yaml.YAMLError, ValueError):
        raise InvalidChange(f"{what} is not YAML.") from None


def dump(value: t.Any) -> str:
    """In the order given, short lists and maps on one line."""
    _need()
    return yaml.safe_dump(value, sort_keys=False, width=140, default_flow_style=None, allow_unicode=True)


def _need() -> None:
    if yaml is None:
        raise XenError("The Python package PyYAML is missing where the task runs.", hint="Install it: pip install PyYAML")
