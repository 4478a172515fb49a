# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of xl's commands, and how their words are read."""

from __future__ import annotations

import typing as t

from .errors import Failed, NotSimulated
from .state import Host, domain_named

Json = dict[str, t.Any]
Run = t.Callable[[Host, list[str]], int]


class Command(t.NamedTuple):
    run: Run
    changing: t.Callable[[list[str]], bool]


COMMANDS: dict[str, Command] = {}


def command(name: str, *, changing: bool | t.Callable[[list[str]], bool] = False) -> t.Callable[[Run], Run]:
    told = changing if callable(changing) else (lambda _words, always=bool(changing): always)

    def keep(run: Run) -> Run:
        COMMANDS[name] = Command(run, told)
        return run

    return keep


def changing(program: str, words: list[str]) -> bool:
    known = COMMANDS.get(words[0]) if program == "xl" and words else None
    return bool(known and known.changing(words[1:]))


def read(words: list[str], flags: str = "", valued: str = "") -> tuple[dict[str, str], list[str]]:
    """Options and the rest, as getopt_long with its reordering. `flags` and `valued`: names with a blank between, long ones too."""
    options: dict[str, str] = {}
    rest: list[str] = []
    words = list(words)
    while words:
        word = words.pop(0)
        if word == "--":
            rest += words
            break
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            if name in valued.split():
                options[name] = value if equals else words.pop(0)
            elif name in flags.split():
                options[name] = ""
            else:
                raise NotSimulated(f"option {word}")
        elif word.startswith("-") and len(word) > 1 and not word[1:].isdigit():
            for place, letter in enumerate(word[1:], 2):
                if letter in valued.split():
                    options[letter] = word[place:] or words.pop(0)
                    break
                if letter not in flags.split():
                    raise NotSimulated(f"option -{letter}")
                options[letter] = ""
        else:
            rest.append(word)
    return options, rest


def the_domain(state: Json, said: str, status: int = 1) -> Json:
    """Raises Failed as find_domain of tools/xl/xl_utils.c does."""
    domain = domain_named(state, said)
    if domain is None:
        raise Failed(status, f"{said} is an invalid domain identifier (rc=-6)")
    return domain


def name_of(domain: Json) -> str:
    return str(domain["config"]["c_info"]["name"])
