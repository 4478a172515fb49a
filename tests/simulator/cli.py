# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: ``xapi-sim up`` and ``xapi-sim ctl``."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import typing as t
from pathlib import Path

from . import control
from .errors import Refusal


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="xapi-sim", description="Hosts of a XenServer / XCP-ng pool that exist only as data.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="run in the foreground until SIGTERM")
    _state(up)
    what = up.add_mutually_exclusive_group()
    what.add_argument("--site", help="YAML file, or the name of one that comes along")
    what.add_argument("--hosts", type=int, help="that many equal hosts (default: 1)")
    up.add_argument("--joined", action="store_true", help="the hosts are one pool already")
    up.add_argument("--port", type=int, default=8443, help="of every host (default: 8443; 0: a free one)")
    up.add_argument("--speed", type=float, help="60: a minute passes in one second; 0: nobody waits (default: 1)")
    up.add_argument("--release", help="product (xcp-ng-8.3) or release of the data model (stockholm, 24.19.1)")
    up.add_argument("--ready-file", type=Path, help="written as JSON when all hosts answer")
    ctl = verbs.add_parser("ctl", help="ask a running simulator for something")
    _state(ctl)
    _requests(ctl.add_subparsers(dest="command", required=True))
    return parser


def _state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="folder of the state")


def _requests(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    calls = verbs.add_parser("calls", help="the log of changing calls, one JSON object per line")
    calls.add_argument("--since", type=int, default=0, metavar="N", help="only those after this mark")
    verbs.add_parser("mark", help="a place in the log of calls")
    verbs.add_parser("hosts", help="where the hosts answer, as in the ready file")
    verbs.add_parser("reset", help="the site as it was at first")
    verbs.add_parser("check", help="the invariants; prints what is wrong and ends with status 1")
    verbs.add_parser("set-clock-speed", help="60: a minute passes in one second; 0: nobody waits").add_argument("factor", type=float)
    dump = verbs.add_parser("load-db", help="the pool of a database dump (/pool/xmldbdump)")
    dump.add_argument("file", type=lambda p: str(Path(p).resolve()))
    power = verbs.add_parser("power", help="pull a host's plug, or put it back")
    power.add_argument("host")
    power.add_argument("on", choices=("on", "off"))
    medium = verbs.add_parser("medium", help="boot a host from the installation medium")
    medium.add_argument("host")
    medium.add_argument("choice", choices=("install", "restore"), help="install anew, or restore what /host_restore has unpacked")
    write = verbs.add_parser("write", help="a guest writes bytes that follow from a seed to its disk")
    write.add_argument("vdi", metavar="VDI", help="its uuid")
    for number in ("offset", "size"):
        write.add_argument(number, type=int, metavar={"size": "BYTES"}.get(number, number.upper()))
    write.add_argument("seed", metavar="SEED")
    verbs.add_parser("digest", help="SHA-256 of all bytes of a disk").add_argument("vdi", metavar="VDI", help="its uuid")
    _faults(verbs.add_parser("fault", help="something is to go wrong").add_subparsers(dest="kind", required=True))


def _faults(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    fail = kinds.add_parser("fail", help="the n-th call of a method fails")
    slow = kinds.add_parser("slow", help="the n-th call of a method takes longer")
    before = kinds.add_parser("cut-before", help="the connection ends before the call takes effect")
    after = kinds.add_parser("cut-after", help="the connection ends after the call took effect")
    for parser in (fail, slow):
        parser.add_argument("method")
    for parser in (before, after):
        parser.add_argument("method", nargs="?", help="default: any changing call")
    for parser in (fail, slow, before, after):
        parser.add_argument("--nth", type=int, default=1, metavar="N", help="counted from now (default: 1)")
    fail.add_argument("error", nargs="+", metavar="CODE [PARAM ...]")
    slow.add_argument("seconds", type=float, help="on the virtual clock")
    cut = kinds.add_parser("cut-transfer", help="the connection of the next transfer on an HTTP path ends in the middle")
    cut.add_argument("method", metavar="PATH", help="/export, /import_raw_vdi, ...")
    cut.add_argument("size", type=int, metavar="BYTES", help="of the body, after which it ends")
    script = kinds.add_parser("fail-transfer", help="the host's part of the next transfer on an HTTP path fails")
    script.add_argument("method", metavar="PATH", help="/host_backup, /host_restore")
    script.add_argument("error", nargs="+", metavar="CODE [PARAM ...]")
    kinds.add_parser("stays-down", help="a host that does not come back from its next boot").add_argument("method", metavar="HOST")
    kinds.add_parser("unplugged", help="a host's next start leaves its storage unplugged").add_argument("method", metavar="HOST")
    late = kinds.add_parser("late", help="a host's next boot takes longer")
    late.add_argument("method", metavar="HOST")
    late.add_argument("seconds", type=float, help="more than usual, on the virtual clock")
    broken = kinds.add_parser("migration", help="the n-th live migration breaks in the middle; the guest goes on where it was")
    broken.add_argument("error", nargs="+", metavar="CODE [PARAM ...]")
    broken.add_argument("--vm", dest="method", metavar="UUID", help="only those of this VM are counted")
    broken.add_argument("--nth", type=int, default=1, metavar="N", help="counted from now (default: 1)")
    kinds.add_parser("list", help="what is still to go wrong")
    kinds.add_parser("clear", help="nothing any more")


def _up(arguments: argparse.Namespace) -> int:
    from . import site_reader  # here, since ctl is quick without them
    from .simulation import Options, Simulation
    from .store import InUse

    options = Options(
        arguments.site, arguments.hosts, arguments.joined, arguments.port, arguments.speed, arguments.release, arguments.ready_file
    )  # fmt: skip
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        simulation = Simulation(arguments.state.resolve(), options)
    except (InUse, site_reader.SiteError, LookupError, OSError) as e:
        print(f"xapi-sim: {e}", file=sys.stderr)
        return 2
    listener = control.Listener(simulation)
    for host in simulation.ready()["hosts"]:
        print(f"{host['name']}  {host['url']}  SHA-256 {host['fingerprint_sha256']}", flush=True)
    try:
        ended.wait()
    finally:
        listener.close()
        simulation.close()
    return 0


def _ctl(arguments: argparse.Namespace) -> int:
    values = {k: v for k, v in vars(arguments).items() if k not in ("verb", "state", "command") and v is not None}
    if arguments.command == "power":
        values["on"] = values["on"] == "on"
    try:
        lines = control.ask(arguments.state, arguments.command.replace("-", "_"), **values)
    except (control.NotRunning, Refusal) as e:
        print(f"xapi-sim: {e}", file=sys.stderr)
        return 2
    for line in lines:
        print(line)
    return 1 if arguments.command == "check" and lines else 0


def main(argv: t.Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 the check found something, 2 it could not be done."""
    arguments = _parser().parse_args(argv)
    return _up(arguments) if arguments.verb == "up" else _ctl(arguments)
