# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m ansible_collections.domzero.xen.tests.nested_xen: guests by hand, and for Molecule."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ansible_collections.domzero.xen.tests.nested_xen import host, image, recipe
from ansible_collections.domzero.xen.tests.nested_xen.machine import Machine


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nested_xen", description="A Debian guest under QEMU that can be made a Xen Dom0.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("missing", help="what this machine lacks; status 1 if that is anything")
    one = commands.add_parser("image", help="make the image, or find it")
    one.add_argument("--suite", choices=recipe.SUITES, default="bookworm")
    up = commands.add_parser("up", help="a new guest of bare Debian, which waits for SSH")
    up.add_argument("folder", type=Path)
    up.add_argument("--suite", choices=recipe.SUITES, default="bookworm")
    for name, words in {"down": "end it and remove it", "console": "the end of its serial console", "ssh": "run a command in it"}.items():
        commands.add_parser(name, help=words).add_argument("folder", type=Path)
    commands.choices["ssh"].add_argument("words", nargs=argparse.REMAINDER)
    for name, words in {"save": "keep its state under a name", "load": "go back to one"}.items():
        snapshot = commands.add_parser(name, help=words)
        snapshot.add_argument("folder", type=Path)
        snapshot.add_argument("tag")
    return parser.parse_args()


def main(given: argparse.Namespace) -> int:
    if given.command == "missing":
        print("\n".join(host.missing()))
        return int(bool(host.missing()))
    if given.command == "image":
        print(image.get(given.suite))
        return 0
    folder: Path = given.folder.absolute()
    if given.command == "up":
        machine = Machine.create(folder, image.get(given.suite))
        machine.start()
        machine.wait()
    elif given.command == "down":
        if (folder / "machine.json").exists():
            Machine.known(folder).remove()
    elif given.command == "console":
        print(Machine.known(folder).console())
    elif given.command == "save":
        Machine.known(folder).save(given.tag)
    elif given.command == "load":
        Machine.known(folder).load(given.tag)
    else:
        line = Machine.known(folder).ssh.command(*given.words)
        os.execvp(line[0], line)
    return 0


if __name__ == "__main__":
    sys.exit(main(arguments()))
