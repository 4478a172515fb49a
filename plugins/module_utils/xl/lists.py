# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A list of an xl.cfg with other items: those that stay keep their text, their place and the comments about them."""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing as t

from .grammar import Node, Value, written

REST_OF_LINE = re.compile(r"[ \t]*(?:#[^\n]*)?\n")


@dataclasses.dataclass
class Piece:
    """An item with what surrounds it.

    Attributes: body, lead (comments above it, indentation), trail (before its comma), post (the rest of its line), new (not there before).
    """

    body: str
    lead: str = ""
    trail: str = ""
    post: str = ""
    new: bool = False


def relisted(text: str, node: Node, value: t.Sequence[Value], key: str) -> str:
    """The list that stands at `node` of `text`, as it is written with these items."""
    if "\n" not in text[node.start : node.end]:
        pieces = [Piece(text[one.start : one.end]) for one in node.items]
        bodies = [piece.body for piece in kept(text, node, value, key, pieces) if piece.body]
        return f"[ {', '.join(bodies)} ]" if bodies else "[]"
    pieces, comma, close = taken_apart(text, node)
    own_line = not pieces or pieces[-1].post.endswith("\n")
    left = kept(text, node, value, key, pieces)
    if left and pieces and pieces[0].lead.startswith("\n") and not (left[0].new or left[0].lead.startswith("\n")):
        left[0] = dataclasses.replace(left[0], lead="\n" + left[0].lead)
    return put_together(left, comma, close, indentation(text, node), own_line)


def taken_apart(text: str, node: Node) -> tuple[list[Piece], bool, str]:
    """The items, whether a comma follows the last of them, and what stands before the closing bracket."""
    pieces: list[Piece] = []
    at, comma = node.start + 1, False
    ends = [*(item.start for item in node.items[1:]), node.end - 1]
    for item, end in zip(node.items, ends):
        between = text[item.end : end]
        mark = comma_in(between)
        comma = mark >= 0
        trail, after = (between[:mark], item.end + mark + 1) if comma else ("", item.end)
        rest = REST_OF_LINE.match(text, after, end)
        pieces.append(Piece(text[item.start : item.end], text[at : item.start], trail, rest[0] if rest else ""))
        at = rest.end() if rest else after
    return pieces, comma, text[at : node.end - 1]


def comma_in(between: str) -> int:
    """Where the comma is, outside of comments; -1 without one."""
    bare = re.sub(r"#[^\n]*", lambda match: " " * len(match[0]), between)
    return bare.find(",")


def kept(text: str, node: Node, value: t.Sequence[Value], key: str, pieces: list[Piece]) -> list[Piece]:
    """The pieces of the new list. A piece without a body is a comment that stays where its item went."""
    new = [Piece(written(item, key, "'"), new=True) for item in value]
    matcher = difflib.SequenceMatcher(None, [repr(item.value) for item in node.items], [repr(item) for item in value], autojunk=False)
    result: list[Piece] = []
    for what, i1, i2, j1, j2 in matcher.get_opcodes():
        if what == "equal":
            result += pieces[i1:i2]
            continue
        both = min(i2 - i1, j2 - j1)
        result += [dataclasses.replace(old, body=fresh.body) for old, fresh in zip(pieces[i1 : i1 + both], new[j1 : j1 + both])]
        result += new[j1 + both : j2]
        result += [Piece("", old.lead) for old in pieces[i1 + both : i2] if "#" in old.lead]
    return result


def put_together(pieces: list[Piece], comma: bool, close: str, indent: str, own_line: bool) -> str:
    out = "["
    last = max((i for i, piece in enumerate(pieces) if piece.body), default=-1)
    after_new = False
    for i, piece in enumerate(pieces):
        if (piece.new or (after_new and "\n" not in piece.lead)) and not out.endswith("\n"):
            out += "\n"
        if not piece.body:
            out += piece.lead.rstrip(" \t")
            continue
        out += (indent if piece.new else piece.lead) + piece.body + piece.trail
        out += ("," if i != last or comma else "") + piece.post
        after_new = piece.new
    if own_line and not out.endswith("\n"):
        out += "\n"
    return out + close + "]"


def indentation(text: str, node: Node) -> str:
    """That of the first item which begins a line."""
    for item in node.items:
        before = text[text.rfind("\n", 0, item.start) + 1 : item.start]
        if not before.strip():
            return before
    return "    "
