# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make bench, make bench NAME=x: each measurement is one JSON object on a line of its own; what takes part is told on stderr."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
import typing as t
from pathlib import Path

from . import __name__ as package

HELPERS = ("__main__", "inventory_process", "peer", "plan_upgrade", "playbooks", "pools", "transfers", "upgrades")


def names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name not in HELPERS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("name", nargs="*", choices=[[], *names()], metavar="NAME", help=f"one of {', '.join(names())}; all if left out")
    for name in parser.parse_args().name or names():
        print(f"# {name} ...", file=sys.stderr, flush=True)
        measure: t.Callable[[], t.Iterable[dict[str, t.Any]]] = importlib.import_module(f"{package}.{name}").measure
        for result in measure():
            print(json.dumps({"bench": name, **result}), flush=True)


if __name__ == "__main__":
    main()
