# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t


def pick(rows: t.Iterable[t.Mapping[str, t.Any]], *keys: str, **defaults: t.Any) -> list[dict[str, t.Any]]:
    """Of each dictionary only these keys, as far as it has them and they are not null; defaults fill in the rest."""
    return [{**{k: v for k, v in defaults.items() if v is not None}, **{k: row[k] for k in keys if row.get(k) is not None}} for row in rows]


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"pick": pick}
