# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all backups have in common: the folder in the repository, the lock, the files that come, the manifest that makes them a backup."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t
import uuid as uuids

from ... import hosts, stream
from ...backup import sealing
from ...backup.manifest import Disk, Manifest, Stored, Who
from ...backup.names import iso
from ...backup.repository import Repository
from ...errors import OutcomeUnknown, XenError
from ...fields import Table
from ...plan import Operation, Plan
from ...refs import Objects, Record
from ...resource import Found, Resource
from . import age, reading_back
from .stale import Stale

if t.TYPE_CHECKING:
    from ...backup.draft import Draft
    from ...backup.subject import Backup as Kept
    from ...backup.subject import Subject

COMMIT = "repository/commit"  # in the list of operations: from now on it is a backup
ENCRYPTION: dict[str, dict[str, t.Any]] = {
    "tool": {"type": "str", "choices": ["age", "gpg"], "required": True},
    "recipients": {"type": "list", "elements": "str", "required": True},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "repository": {"type": "path", "required": True},
    "kind": {"type": "str", "choices": ["pool", "host", "vm"], "required": True},
    "name": {"type": "str"},
    "mode": {"type": "str", "choices": ["incremental", "full"], "default": "incremental"},
    "compression": {"type": "str", "choices": ["none", "gzip", "zstd"], "default": "none"},
    "consistency": {"type": "str", "choices": ["disk", "quiesce", "memory"], "default": "disk"},
    "live": {"type": "bool", "default": True},
    "ignore_disks": {"type": "list", "elements": "str", "default": []},
    "full_every": {"type": "int", "default": 0},
    "cbt": {"type": "str", "choices": ["auto", "never"], "default": "auto"},
    "check_space": {"type": "bool", "default": True},
    "encryption": {"type": "dict", "options": ENCRYPTION},
    "verify": {"type": "bool", "default": False},
    "keep": {"type": "bool", "default": False},
    "if_older_than": {"type": "str"},
    "wait_timeout": {"type": "int", "default": 86400},
}


class Backup(Resource):
    """One more backup of something. Backup(session, params) is of the class that params["kind"] names."""

    kind: t.ClassVar[str] = ""
    kinds: t.ClassVar[dict[str, type[Backup]]] = {}
    table = Table("VM", ())
    states = ()
    options = OPTIONS
    rules: t.ClassVar[dict[str, t.Any]] = {"required_if": [["kind", "vm", ["name", "uuid"], True]]}

    def __init_subclass__(cls) -> None:
        if cls.kind:
            Backup.kinds[cls.kind] = cls

    def __new__(cls, session: t.Any, params: Record) -> Backup:
        return super().__new__(cls.kinds[params["kind"]] if cls is Backup else cls)

    def __init__(self, session: t.Any, params: Record):
        super().__init__(session, params)
        self.repository = Repository(params["repository"])
        self.made: Kept | None = None  # once it counts
        self._stored: list[Stored] = []
        self._found: Found  # once it is planned
        self._subject: Subject | None = None
        self._draft: Draft | None = None
        self._open = contextlib.ExitStack()
        self._began = self._gave_up = False
        self._warnings: list[str] | None = None
        self.unserved = ""  # why no disk can be read by changed blocks, once that was tried

    @classmethod
    def key(cls) -> str:
        return "backup"

    # what a kind says ---------------------------------------------------------------------
    def who(self, found: Found) -> Who:
        """Whose backup it is."""
        return Who(found.record["uuid"], found.record["name_label"])

    def steps(self, plan: Plan, found: Found) -> None:
        """The operations of one more backup; COMMIT makes it one. plan.after gets what can be told before."""
        raise NotImplementedError

    def tidied(self, plan: Plan, found: Found) -> None:
        """Operations that remove from the pool what earlier backups left there. Also called where nothing else is to be done."""

    def abandon(self) -> None:
        """It failed: what it made on the pool goes, as far as possible now."""

    # looking ------------------------------------------------------------------------------
    @property
    def pool(self) -> Who:
        record = hosts.pool_of(self.objects)[1]
        return Who(record["uuid"], record["name_label"] or self.objects.get("host", record["master"])["name_label"])

    def subject(self, found: Found) -> Subject:
        """Its folder in the repository; the one that is locked, if it is."""
        return self._subject or self.repository.subject(self.kind, self.pool, self.who(found))

    @property
    def stale(self) -> Stale:
        """Tasks on the pool that killed backups of it left."""
        return Stale(self.repository.id, self.who(self._found).uuid)

    @property
    def is_alone(self) -> bool:
        """Whether no other task can work on its backups meanwhile."""
        return self._subject is not None

    def newest(self, found: Found) -> Kept | None:
        """The newest one that can be used."""
        return self.subject(found).newest()

    def observe(self, found: Found) -> dict[str, t.Any]:
        newest = self.newest(found)
        return newest.told() if newest else {}

    def plan(self, found: Found | None) -> Plan:
        if found is None:
            raise XenError("There is nothing to be backed up.")
        self.drop()  # an attempt whose connection broke
        self._found = found
        before = self.observe(found)
        plan = Plan(before, dict(before))
        if self._warnings is None:  # those of a plan made anew are not told
            self._warnings = plan.warnings
        self.stale.remove(plan, self.objects)
        if self.made or not age.is_due(before.get("created", ""), self.params.get("if_older_than")):
            self.tidied(plan, found)
            return plan
        plan.silent = True  # what was made is told by its manifest
        reading_back.refuse(self.params)
        sealing.refuse_bad(self.encryption)
        who = self.who(found)
        plan.after = {"kind": self.kind, "pool": self.pool.name, "name": who.name, "uuid": who.uuid, "keep": self.params["keep"]}
        self.steps(plan, found)
        return plan

    def result(self, found: Found | None, plan: Plan) -> dict[str, t.Any]:
        return self.made.told() if self.made else plan.after

    def warn(self, text: str) -> None:
        """Told with the result, also of what is learned while working."""
        if self._warnings is not None:
            self._warnings.append(text)

    # working ------------------------------------------------------------------------------
    @contextlib.contextmanager
    def alone(self) -> t.Iterator[None]:
        found = t.cast("Found", self.find())
        self._subject = self.subject(found)
        with self._subject.lock("backup"):
            self.objects.forget()  # whoever had the lock before may have changed something
            try:
                yield
            except BaseException:
                self.drop()
                if self._began and not self.made:
                    self.objects = Objects(self.session)
                    self.abandon()
                raise

    def call(self, operation: Operation, params: t.Sequence[t.Any]) -> t.Any:
        """Once the backup is complete, what is to be removed does not make it fail: the next one tries again."""
        if self._gave_up:
            return ""
        try:
            return super().call(operation, params)
        except OutcomeUnknown:
            raise  # what is there is looked at, and planned for
        except XenError as e:
            if not self.made:
                raise
            self._gave_up = True
            self.warn(f"The backup is complete, but the next one has to {operation.what}: {e.message}")
            return ""

    @property
    def draft(self) -> Draft:
        """The folder of this backup; made when first asked for. What earlier runs left in the repository goes before."""
        if self._draft is None:
            self.repository.establish()
            subject = self.subject(self._found)
            subject.tidy()
            self._draft = self._open.enter_context(subject.begin())
            self._began = True
        return self._draft

    def drop(self) -> None:
        """Nothing remains of a backup that is not complete."""
        self._draft, self._stored = None, []
        opened, self._open = self._open, contextlib.ExitStack()
        opened.close()

    def receive(
        self, path: str, query: stream.Query, name: str, *, what: str, through: t.Callable[[stream.Write], t.Any] | None = None,
        check: t.Callable[[t.Any], None] | None = None,
    ) -> Stored:  # fmt: skip
        """GET path into a file of the backup. through: makes what the bytes are passed through; it has write, length, finish.

        check: a last look at the file (under its temporary name) before it counts. Raises as stream.download.
        """

        def fill(file: t.Any) -> None:
            passed = through(file.write) if through else None
            write, expected = (passed.write, lambda: int(passed.length)) if passed else (file.write, lambda: 0)
            timeout = float(self.params["wait_timeout"])
            stream.receive(self.session, path, query, write, what=what, timeout=timeout, expected=expected, note=self.stale.note)
            if passed:
                passed.finish()

        return self.land(name, fill, check)

    def land(self, name: str, fill: t.Callable[[t.Any], None], check: t.Callable[[t.Any], None] | None = None) -> Stored:
        """A file of the backup that fill writes. check as of receive; what is encrypted cannot be looked at any more."""
        with sealing.landing(self.draft.path / sealing.named(name, self.encryption), self.encryption) as file:
            fill(file)
            if check and not self.encryption:
                try:
                    check(file)
                except OSError as e:
                    raise XenError(f"{file.target} cannot be read back: {e.strerror}.", hint="Check the disk it is on.") from e
            file.finish()
            stored = Stored(file.target.name, file.size, file.sha256)
        self._stored.append(stored)
        return stored

    def _where(self, disk: Disk) -> Disk:
        """With the name its file has when it is encrypted."""
        return dataclasses.replace(disk, file=sealing.named(disk.file, self.encryption)) if disk.file else disk

    @property
    def encryption(self) -> dict[str, t.Any]:
        """As the manifest has it; {} for none."""
        return dict(self.params.get("encryption") or {})

    def commit(
        self, *, form: str, created: float, release: dict[str, str], parent: str = "", disks: t.Sequence[Disk] = (),
        left_out: t.Sequence[dict[str, str]] = (), details: dict[str, t.Any] | None = None,
    ) -> Kept:  # fmt: skip
        """All files are there: from now on it is a backup. created: seconds since 1970."""
        draft = self.draft
        manifest = Manifest(
            kind=self.kind, id=str(uuids.uuid4()), number=draft.number, stamp=draft.stamp, created=iso(created), finished=iso(time.time()),
            pool=self.pool, subject=self.who(self._found), release=release, form=form, parent=parent, files=tuple(self._stored),
            disks=tuple(self._where(disk) for disk in disks), left_out=tuple(left_out), details=details or {}, encryption=self.encryption,
            keep=self.params["keep"],
        )  # fmt: skip
        self.made = draft.commit(manifest)
        return self.made
