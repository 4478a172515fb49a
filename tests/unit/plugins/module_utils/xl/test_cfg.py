# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""xl.cfg files: read as xl reads them, and changed so that nothing else in them moves."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound
from ansible_collections.domzero.xen.plugins.module_utils.xl.cfg import Cfg
from ansible_collections.domzero.xen.plugins.module_utils.xl.grammar import number_of

DATA = Path(__file__).resolve().parents[4] / "data" / "xl"
VERDICTS: list[dict[str, t.Any]] = json.loads((DATA / "verdicts.json").read_text())["cfg"]
# What xl takes without saying that it loses something, and is refused here.
STRICTER = {'a="\\x41"\n'}

KEYS = st.from_regex(r"[a-z][_0-9a-z]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.sampled_from("\n\t\\'\"#"), max_size=12)
ATOMS = st.integers(0, 2**40) | TEXTS
VALUES = ATOMS | st.lists(st.recursive(ATOMS, lambda below: st.lists(below, max_size=3), max_leaves=6), max_size=4)
COMMENTS = st.from_regex(r"#[ -~]{0,10}", fullmatch=True)


def as_xl_has_it(value: t.Any) -> t.Any:
    """xl keeps a number as the word it is."""
    if isinstance(value, list):
        return [as_xl_has_it(one) for one in value]
    return str(number_of(value) if isinstance(value, str) and value[:1].isdigit() else value)


@pytest.mark.parametrize("verdict", VERDICTS, ids=lambda verdict: repr(verdict["text"]))
def test_a_file_is_read_or_refused_as_xl_does(verdict: dict[str, t.Any]) -> None:
    if verdict["values"] is None:
        with pytest.raises(InvalidChange, match=r"^/etc/xen/a\.cfg:\d+: "):
            Cfg.parse(verdict["text"], "/etc/xen/a.cfg")
        return
    cfg = Cfg.parse(verdict["text"])
    assert as_xl_has_it([cfg.get(key) for key in verdict["values"]]) == as_xl_has_it(list(verdict["values"].values()))
    assert str(cfg) == verdict["text"]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a = 1\nname = x\n", 2, "a quoted text, a number or \\[ was expected, not x"),
        ("a = [ 1\n\n", 3, ", or \\] in the list was expected, not the end of the file"),
        ("a = 1\n\nb 2\n", 3, "= or \\+= after b was expected, not 2"),
        ("a = 1 b = 2\n", 1, "the end of the line after the value of a was expected, not b"),
        ("a = 'x\n", 1, "the string 'x is not closed on its line"),
        ("Name = 1\n", 1, "'Name' is neither a key"),
        ("a = -1\n", 1, "'-' has no meaning here"),
        ("a = 1\n# the end", 2, "a comment without a newline"),
        ("a = '\\q'\n", 1, "\\\\q in '\\\\q' is no escape that xl knows"),
        ("a = 1\na += [ 2 ]\n", 2, "\\+= cannot join a list and a single value of a"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(text: str, line: int, said: str) -> None:
    with pytest.raises(InvalidChange, match=f"^/etc/xen/a.cfg:{line}: .*{said}"):
        Cfg.parse(text, "/etc/xen/a.cfg")


@pytest.mark.parametrize("name", ["paravirtual", "emulated"])
def test_the_forms_of_the_manual_pages_are_read(name: str) -> None:
    cfg = Cfg.read(str(DATA / "examples" / f"{name}.cfg"))
    assert cfg.get("type") == {"paravirtual": "pv", "emulated": "hvm"}[name]
    if name == "paravirtual":
        assert cfg.get("memory") == 512 and cfg.get("extra") == 'console=hvc0 quote="x y"'
        assert len(t.cast("list[str]", cfg.get("disk"))) == 4
        assert t.cast("list[t.Any]", cfg.get("vsnd"))[1][1] == "PCM, name=Second, buffer-size=1024"
    assert "nosuch" not in cfg and cfg.get("nosuch", 7) == 7


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"There is no file .*/none\.cfg"):
        Cfg.read(str(tmp_path / "none.cfg"))


@settings(deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_what_is_set_is_read_again(values: dict[str, t.Any]) -> None:
    cfg = Cfg.parse("")
    for key, value in values.items():
        cfg.set(key, value)
    again = Cfg.parse(str(cfg))
    assert again == cfg and dict(again.items()) == values and str(again) == str(cfg)


@st.composite
def files(draw: st.DrawFn) -> str:
    """A file as people write them: comments, several lines, `;`, `+=`, keys given twice."""

    def value(depth: int = 0) -> str:
        if draw(st.booleans()) or depth > 1:
            return draw(st.sampled_from(['"x"', "'it\\'s'", "12", "0x1f", "017", '"a#b,c"', "''"]))
        gap = draw(st.sampled_from(["", " ", "\n    ", " # note\n  ", "\n  # note\n  "]))
        items = [value(depth + 1) for _number in range(draw(st.integers(0, 3)))]
        return (
            "["
            + gap
            + f"{draw(st.sampled_from(['', ' ']))},{gap}".join(items)
            + draw(st.sampled_from(["", ",", "\n", ", # last\n"] if items else [""]))
            + "]"
        )

    kinds: dict[str, bool] = {}
    text = ""
    for _number in range(draw(st.integers(0, 6))):
        key = draw(st.sampled_from(["a", "b", "disk", "vif_x"]))
        said = value()
        op = draw(st.sampled_from([" = ", "="] + ([" += "] if kinds.get(key, said[0] == "[") == (said[0] == "[") else [])))
        kinds[key] = said[0] == "["
        text += draw(st.sampled_from(["", "\n", "  ", "# above\n"])) + key + op + said
        text += draw(st.sampled_from(["\n", "\n\n", " # beside\n", "; # beside\n", "; "]))
    return text


def lines_of(text: str, keys: t.Iterable[str]) -> list[str]:
    """The lines of a file on which none of these keys has anything."""
    mine = [one for one in Cfg.parse(text)._statements if one.key in keys]
    spans = [(text.rfind("\n", 0, one.start) + 1, one.end) for one in mine]
    told, at = [], 0
    for line in text.splitlines(keepends=True):
        if not any(start < at + len(line) and at < end for start, end in spans):
            told.append(line)
        at += len(line)
    return told


@settings(deadline=None)
@given(files(), st.sampled_from(["a", "b", "disk", "new"]), VALUES)
def test_setting_a_key_touches_its_own_lines_only(text: str, key: str, value: t.Any) -> None:
    cfg = Cfg.parse(text)
    before = {other: was for other, was in cfg.items() if other != key}
    cfg.set(key, value)
    after = Cfg.parse(str(cfg))
    assert as_xl_has_it(after.get(key)) == as_xl_has_it(value)
    assert {other: now for other, now in after.items() if other != key} == before
    assert is_part_of(lines_of(text, [key]), str(cfg))
    written = str(cfg)
    cfg.set(key, value)
    assert str(cfg) == written


@settings(deadline=None)
@given(files(), st.sampled_from(["a", "b", "disk", "new"]))
def test_removing_a_key_touches_its_own_lines_only(text: str, key: str) -> None:
    cfg = Cfg.parse(text)
    before = {other: value for other, value in cfg.items() if other != key}
    cfg.remove(key)
    assert dict(cfg.items()) == before and Cfg.parse(str(cfg)) == cfg
    assert is_part_of(lines_of(text, [key]), str(cfg))


def is_part_of(lines: list[str], text: str) -> bool:
    """Whether they are all there, in their order."""
    left = iter(text.splitlines(keepends=True))
    return all(any(line in there for there in left) for line in lines)


@settings(deadline=None)
@given(files(), st.integers(0, 3), ATOMS, st.booleans())
def test_comments_of_a_list_survive_a_new_item(text: str, at: int, item: t.Any, replace: bool) -> None:
    cfg = Cfg.parse(text)
    value = cfg.get("disk")
    mine = [one for one in cfg._statements if one.key == "disk"]
    if not isinstance(value, list) or len(mine) != 1 or isinstance((value[at:] or [0])[0], list):
        return
    changed = [*value[:at], item, *value[at + replace :]]
    cfg.set("disk", t.cast("t.Any", changed))
    assert as_xl_has_it(cfg.get("disk")) == as_xl_has_it(changed)
    assert re.findall(r"# \w+", str(cfg)) == re.findall(r"# \w+", text)


def test_a_list_keeps_its_layout() -> None:
    cfg = Cfg.parse('# mine\ndisk = [\n    "a",   # root\n    # data\n    "b",\n]   # end\nvif = [ \'x\' ]\n')
    cfg.set("disk", ["a", "b", "c"])
    cfg.set("vif", ["x", "y"])
    assert str(cfg) == "# mine\ndisk = [\n    \"a\",   # root\n    # data\n    \"b\",\n    'c',\n]   # end\nvif = [ 'x', 'y' ]\n"
    cfg.set("disk", ["b", "c"])
    assert str(cfg) == "# mine\ndisk = [\n    # data\n    \"b\",\n    'c',\n]   # end\nvif = [ 'x', 'y' ]\n"


def test_a_value_that_xl_sees_already_changes_nothing() -> None:
    text = 'memory = "512"\nvcpus = 0x2 # two\n'
    cfg = Cfg.parse(text)
    cfg.set("memory", 512)
    cfg.set("vcpus", 2)
    assert str(cfg) == text
    cfg.set("memory", 1024)
    assert str(cfg) == "memory = 1024\nvcpus = 0x2 # two\n"


def test_additions_become_one_value() -> None:
    cfg = Cfg.parse("disk = [ 'old' ]\ndisk = [ 'a' ] # system\nvcpus = 1\ndisk += [ 'b' ]\n")
    cfg.set("disk", ["a", "b", "c"])
    assert str(cfg) == "disk = [ 'old' ]\ndisk = [ 'a', 'b', 'c' ] # system\nvcpus = 1\n"


@pytest.mark.parametrize("value", [1.5, None, {"a": 1}, "\0", ["\x01"]])
def test_what_xl_cfg_cannot_express_is_refused(value: t.Any) -> None:
    cfg = Cfg.parse("a = 1\n")
    with pytest.raises(InvalidChange, match=r"^a "):
        cfg.set("a", value)
    assert str(cfg) == "a = 1\n"


def test_a_key_that_xl_would_not_read_is_refused() -> None:
    with pytest.raises(InvalidChange, match="'Memory' cannot be a key"):
        Cfg.parse("").set("Memory", 1)


def test_bytes_that_are_no_text_survive(tmp_path: Path) -> None:
    path = tmp_path / "a.cfg"
    path.write_bytes(b'name = "a"\nextra = "\xff\xfe"\n')
    cfg = Cfg.read(str(path))
    cfg.set("name", "b")
    assert str(cfg).encode("utf-8", "surrogateescape") == b'name = "b"\nextra = "\xff\xfe"\n'


def test_a_number_below_zero_is_a_text_to_xl() -> None:
    cfg = Cfg.parse("")
    cfg.set("rtc_timeoffset", -3600)
    cfg.set("rtc_timeoffset", -3600)
    assert str(cfg) == 'rtc_timeoffset = "-3600"\n'
