# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where Ansible meets the rest: options in, result or failure out."""

from __future__ import annotations

import os
import signal
import threading
import typing as t
from contextlib import contextmanager
from dataclasses import dataclass, field

from ansible.module_utils.basic import AnsibleModule, env_fallback
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .client import Session
from .errors import InvalidChange, XenError
from .plan import Plan
from .refs import Record
from .resource import Found, Resource, converge
from .side import Interrupted
from .transport import Endpoint

Result = dict[str, t.Any]


def _connection(type_: str, env: str, **more: t.Any) -> dict[str, t.Any]:
    return {"type": type_, "fallback": (env_fallback, [env]), **more}


SESSION_OPTIONS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "required": True},
    "ref": {"type": "str", "required": True, "no_log": True},
    "validate_certs": {"type": "bool", "default": True},
    "ca_file": {"type": "path"},
    "fingerprint": {"type": "list", "elements": "str"},
}
CONNECTION: dict[str, dict[str, t.Any]] = {
    "hostname": _connection("str", "XEN_HOST"),
    "username": _connection("str", "XEN_USER", default="root"),
    "password": _connection("str", "XEN_PASSWORD", no_log=True),
    "validate_certs": _connection("bool", "XEN_VALIDATE_CERTS", default=True),
    "ca_file": _connection("path", "XEN_CA_FILE"),
    "fingerprint": _connection("list", "XEN_FINGERPRINT", elements="str"),
    "timeout": {"type": "float", "default": 60.0},
    "session": {"type": "dict", "options": SESSION_OPTIONS},
}


@dataclass(frozen=True)
class Module:
    """A module as data: its options, the rules between them, and what it does with a session.

    run(session, params, check) returns the result; check: nothing may be changed. session: how it comes by its session,
    where that is not the way of every task. secret: nobody is to read the result of a success, but a variable may hold it.
    """

    arguments: dict[str, dict[str, t.Any]]
    run: t.Callable[[Session, Record, bool], Result]
    rules: dict[str, t.Any] = field(default_factory=dict)
    session: t.Callable[[Record], t.ContextManager[Session]] | None = None
    secret: bool = False

    @property
    def argument_spec(self) -> dict[str, dict[str, t.Any]]:
        return {**CONNECTION, **self.arguments}


def manage(resource: type[Resource]) -> Module:
    """The module that brings one object into the wanted state."""

    def run(session: Session, params: Record, check: bool) -> Result:
        return converge(resource(session, params), check_mode=check)

    return Module(resource.arguments(), run, resource.rules)


def rehearse(resource: type[Resource], session: Session, options: Record) -> Result:
    """What a task with these options would do. Raises XenError, InvalidChange for options that Ansible would refuse."""
    return perform(resource, session, options, check=True)


def perform(resource: type[Resource], session: Session, options: Record, *, check: bool = False) -> Result:
    """What a task with these options does. Raises as rehearse."""
    module = manage(resource)
    checked = ArgumentSpecValidator(module.argument_spec, **module.rules).validate(dict(options))
    if checked.error_messages:
        raise InvalidChange(" ".join(checked.error_messages))
    return module.run(session, checked.validated_parameters, check)


def inform(resource: type[Resource]) -> Module:
    """The module that lists the objects of a class in the words of the managing module's options."""

    def run(session: Session, params: Record, _check: bool) -> Result:
        asked = resource(session, params)
        rows = chosen(asked)
        facts = {found.record["uuid"]: told for found in rows if (told := asked.facts(found))}
        return {"changed": False, resource.plural: listing(asked, rows), **({"facts": facts} if facts else {})}

    return Module(resource.filters, run)


def chosen(resource: Resource) -> list[Found]:
    """Every object that has the name or uuid asked for, or all; in order."""
    wanted = [(key, resource.params[option]) for key, option in (("uuid", "uuid"), ("name_label", "name")) if resource.params.get(option)]
    rows = [Found(ref, r) for ref, r in resource.candidates().items() if all(r.get(key) == value for key, value in wanted)]
    return sorted(rows, key=resource.order)


def listing(resource: Resource, rows: t.Iterable[Found] | None = None) -> list[dict[str, t.Any]]:
    """Objects in the words of the managing module's options."""
    found = chosen(resource) if rows is None else rows
    return [resource.result(row, Plan({}, resource.observe(row))) for row in found]


def endpoint(params: Record) -> Endpoint:
    """Raises InvalidChange for an address or CA file that cannot be used."""
    return Endpoint.parse(
        params["hostname"],
        validate_certs=params["validate_certs"],
        ca_file=params["ca_file"],
        fingerprints=tuple(params["fingerprint"] or ()),
        timeout=params["timeout"],
    )


def log_in(params: Record) -> Session:
    missing = [option for option in ("hostname", "password") if not params.get(option)]
    if missing:
        raise XenError(
            f"The task does not say how to reach the pool: {' and '.join(missing)} missing.",
            hint="Set hostname, username and password (or XEN_HOST, XEN_USER, XEN_PASSWORD), or hand over a session of xen_session.",
        )
    session = Session(endpoint(params))
    session.log_in(params["username"], params["password"])
    return session


@contextmanager
def session_for(params: Record) -> t.Iterator[Session]:
    """A session for one task: the one handed over, which its owner ends, or one of our own, which ends here."""
    handed = params.get("session")
    if handed:
        trust = {
            "validate_certs": handed["validate_certs"],
            "ca_file": handed["ca_file"],
            "fingerprints": tuple(handed["fingerprint"] or ()),
        }
        login = (params["username"], params["password"]) if params.get("password") else None
        session = Session.resume(Endpoint.parse(handed["url"], timeout=params["timeout"], **trust), handed["ref"], login)
        try:
            yield session
        finally:
            if session.handle != handed["ref"]:
                session.log_out()
        return
    session = log_in(params)
    try:
        yield session
    finally:
        session.log_out()


@contextmanager
def orderly_end() -> t.Iterator[None]:
    """Told to end (SIGINT, SIGTERM), a task first cancels what it waits for and logs out, and then ends as it would have."""

    def interrupt(signum: int, _frame: object) -> t.NoReturn:
        for again in before:  # who ends a run may say so several times
            signal.signal(again, signal.SIG_IGN)
        raise Interrupted(signum)

    if threading.current_thread() is not threading.main_thread():
        yield  # nobody else may handle signals
        return
    before = {signum: signal.signal(signum, interrupt) for signum in (signal.SIGINT, signal.SIGTERM)}
    told = 0
    try:
        yield
    except Interrupted as e:
        told = e.args[0]
        raise
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        if told:
            os.kill(os.getpid(), told)


def failure(error: XenError) -> Result:
    told = {"msg": str(error), "error_code": error.code, "error_params": error.params, "operations_done": error.done}
    return {**error.facts, "failed": True, **told}


def warn_about(params: Record) -> list[str]:
    """What lets others listen; said once, by the task that logs in."""
    if params.get("session"):
        return []
    listening = "anybody on the way to the host can read the password"
    if str(params.get("hostname")).startswith("http://"):
        return [f"hostname is not encrypted: {listening}. Leave http:// out."]
    return [] if params["validate_certs"] else [f"validate_certs is false: {listening}. Pin its certificate with fingerprint."]


def main(module_: Module) -> None:
    """The ordinary way: one process of its own."""
    module = AnsibleModule(argument_spec=module_.argument_spec, supports_check_mode=True, **module_.rules)
    try:
        with orderly_end(), (module_.session or session_for)(module.params) as session:
            result = module_.run(session, module.params, module.check_mode)
    except XenError as e:
        module.fail_json(**{k: v for k, v in failure(e).items() if k != "failed"})
    for warning in [*warn_about(module.params), *result.pop("warnings", [])]:
        module.warn(warning)
    module.exit_json(**result)
