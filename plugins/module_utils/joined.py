# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records of any class as XenAPI gives them: chosen by their fields, joined along their references, without secrets."""

from __future__ import annotations

import difflib
import re
import typing as t

from .client import Session
from .errors import ApiError, InvalidChange, NotFound, XenError
from .model import REFERENCES
from .refs import NULL, Objects, Record

try:
    import jmespath
except ImportError:
    jmespath = None  # type: ignore[assignment]

MASK = "********"
SECRET_FIELDS = {("secret", "value"), ("Cluster", "cluster_token")}
_SECRET_KEY = re.compile(r"pass(word|wd|phrase)|secret|token|private_?key|credential", re.IGNORECASE)
_SECRET_PART = re.compile(r"(?i)((?:pass(?:word|wd|phrase)?|secret|token)=)[^\s,;&]+")
_LOGIN_IN_URL = re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def masked(cls: str, record: Record) -> dict[str, t.Any]:
    """The record with stars for what nobody is to read: secrets, and values of maps whose key or text tells a password."""
    return {
        field: MASK if (cls, field) in SECRET_FIELDS and value else _masked_map(value) if isinstance(value, dict) else value
        for field, value in record.items()
    }


def _masked_map(value: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {k: _masked_value(k, v) if isinstance(v, str) else v for k, v in value.items()}


def _masked_value(key: str, value: str) -> str:
    # a key such as chappassword_secret holds the uuid of a secret, which is none
    if value and _SECRET_KEY.search(key) and not _UUID.fullmatch(value):
        return MASK
    value = _SECRET_PART.sub(rf"\1{MASK}", value) if "=" in value else value
    return _LOGIN_IN_URL.sub(rf"\1{MASK}", value) if "://" in value else value


class Reference(str):
    """A reference that a query looks into as if the object stood in its place."""

    rows: Rows
    cls: str

    @classmethod
    def to(cls, rows: Rows, class_: str, ref: str) -> Reference | None:
        if ref in ("", NULL):
            return None
        made = cls(ref)
        made.rows, made.cls = rows, class_
        return made

    # the names JMESPath's interpreter uses on objects
    def get(self, field: str) -> t.Any:
        return self.rows.joined(self.cls, self).get(field)

    def values(self) -> t.Iterable[t.Any]:
        return self.rows.joined(self.cls, self).values()


class Rows:
    """Masked records by class and reference; a class is read when a query first looks into a reference to it."""

    def __init__(self, session: Session):
        self._objects = Objects(session)
        self._masked: dict[str, dict[str, dict[str, t.Any]]] = {}
        self._joined: dict[str, dict[str, t.Any]] = {}

    def of(self, cls: str) -> dict[str, dict[str, t.Any]]:
        if cls not in self._masked:
            rows = self._objects.all(cls)
            self._masked[cls] = {ref: {"ref": ref, **masked(cls, record)} for ref, record in rows.items()}
        return self._masked[cls]

    def joined(self, cls: str, ref: str) -> dict[str, t.Any]:
        """The record with something to look into for each of its references; empty if the object is gone."""
        if ref not in self._joined:
            record = self.of(cls).get(ref, {})
            classes = REFERENCES.get(cls, {})
            self._joined[str(ref)] = {f: self._join(classes[f], v) if f in classes else v for f, v in record.items()}
        return self._joined[ref]

    def _join(self, cls: str, value: t.Any) -> t.Any:
        if isinstance(value, list):
            return [Reference.to(self, cls, ref) for ref in value]
        if isinstance(value, dict):
            return {key: Reference.to(self, cls, ref) for key, ref in value.items()}
        return Reference.to(self, cls, value)

    def matches(self, cls: str, record: Record, conditions: Record) -> bool:
        """Whether every field has its value: equal, a member of a set, some keys of a map; a reference also by name or uuid."""
        return all(self._fits(REFERENCES.get(cls, {}).get(field, ""), record[field], want) for field, want in conditions.items())

    def _fits(self, cls: str, have: t.Any, want: t.Any) -> bool:
        if isinstance(want, list):
            return isinstance(have, list) and all(self._fits(cls, have, one) for one in want)
        if isinstance(have, list):
            return any(self._fits(cls, one, want) for one in have)
        if isinstance(have, dict):
            return isinstance(want, dict) and all(key in have and self._fits("", have[key], value) for key, value in want.items())
        if want is None:
            return have in ("", NULL)
        target = self.of(cls).get(have, {}) if cls and have != want else {}
        return _text(want) in {_text(have), *(target[k] for k in ("uuid", "name_label") if k in target)}


def _text(value: object) -> str:
    """One spelling for what YAML, JSON-RPC and XML-RPC spell differently."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def read(session: Session, cls: str, conditions: Record, fields: t.Sequence[str] | None, query: str | None) -> dict[str, t.Any]:
    """objects: the matching records, only those fields of them; result: what the query makes of the whole, joined records.

    One bulk read for the class and for each class that a condition or the query looks into. Raises NotFound for a class or
    field that is not there, InvalidChange for a query that cannot be read.
    """
    search = compiled(query) if query else None
    rows = Rows(session)
    try:
        records = rows.of(cls)
    except ApiError as e:
        if e.code != "MESSAGE_METHOD_UNKNOWN":
            raise
        raise _unknown_class(session, cls) from e
    _check_fields(cls, records, [*conditions, *(fields or ())])
    chosen = {ref: record for ref, record in records.items() if rows.matches(cls, record, conditions)}
    order = sorted(chosen, key=lambda ref: (str(chosen[ref].get("name_label", "")), str(chosen[ref].get("uuid", ref))))
    keep = {"ref", *fields} if fields is not None else None
    result: dict[str, t.Any] = {"objects": [{k: v for k, v in chosen[ref].items() if keep is None or k in keep} for ref in order]}
    if search:
        result["result"] = _plain(search([rows.joined(cls, ref) for ref in order]))
    return result


def compiled(query: str) -> t.Callable[[t.Any], t.Any]:
    """What answers a query. Raises InvalidChange for one that is not JMESPath, XenError where the package is missing."""
    if jmespath is None:
        raise XenError("The Python package jmespath, which a query needs, is missing where the task runs.", hint="pip install jmespath")
    try:
        return _told(query, jmespath.compile(query).search)
    except jmespath.exceptions.JMESPathError as e:
        raise InvalidChange(f"query is not JMESPath: {e}".replace("\n", " ")) from e


def _told(query: str, search: t.Callable[[t.Any], t.Any]) -> t.Callable[[t.Any], t.Any]:
    """A query may be well-formed and still ask for what cannot be, such as the length of a number."""

    def searched(data: t.Any) -> t.Any:
        try:
            return search(data)
        except jmespath.exceptions.JMESPathError as e:
            raise InvalidChange(f"query {query!r} cannot be answered: {e}") from e

    return searched


def _plain(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, str) else value


def _unknown_class(session: Session, cls: str) -> NotFound:
    try:
        names = sorted(m.removesuffix(".get_all_records") for m in session.methods() if m.endswith(".get_all_records"))
    except XenError:
        names = []
    names = [name for name in names if not name.startswith("Async.")]
    return NotFound(f"This host's release has no class {cls!r} whose objects can be listed.", hint=_near(cls, names))


def _check_fields(cls: str, records: t.Mapping[str, Record], fields: t.Iterable[str]) -> None:
    known = next(iter(records.values()), None)
    for field in fields:
        if known is not None and field not in known:
            raise NotFound(f"{cls} has no field {field!r} on this host's release.", hint=_near(field, sorted(known)))


def _near(text: str, names: t.Sequence[str]) -> str:
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(text.lower(), by_lower, n=4, cutoff=0.5) or list(by_lower)
    return f"There {'are' if len(near) > 1 else 'is'}: {', '.join(by_lower[n] for n in near)}." if near else ""
