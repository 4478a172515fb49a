# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What both ends of a migration say of themselves: one shell script, run here and, in one connection, there."""

from __future__ import annotations

import dataclasses
import shlex
import typing as t

from ...errors import ConnectionFailed, XenError
from ..output.host import info
from ..tool import Done, Tool, telling, typed

MARK = "@@domzero@@"
# Only POSIX shell, Debian's essential packages and xl: the other Dom0 need have no Python.
SCRIPT = r"""
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin LC_ALL=C
export PATH LC_ALL
say() { printf '\n%s %s\n' "$mark" "$*"; }
say boot; cat /proc/sys/kernel/random/boot_id
say user; id -u
say xl; command -v xl
say info; xl info 2>&1
say info-status $?
say list; xl list 2>&1
say list-status $?
say long; xl list -l 2>/dev/null
say conf; cat /etc/xen/xl.conf 2>/dev/null
say config; [ -e "$config" ] && { say config-there; cat "$config"; }
say auto; [ -L "$auto" ] || [ -e "$auto" ] && { say auto-there; readlink "$auto"; }
"""
DISK = r"""
disk() {
    say disk "$1"
    [ -e "$1" ] || return 0
    stat -L -c 'kind=%F
size=%s
inode=%i' -- "$1"
    if [ -b "$1" ]; then
        printf 'size=%s\n' "$(blockdev --getsize64 "$1")"
        lsblk --nodeps --noheadings --pairs -o WWN,SERIAL,PARTUUID -- "$1" 2>/dev/null | sed 's/" /"\n/g'
        lvs --noheadings -o vg_uuid,lv_uuid -- "$1" 2>/dev/null | sed 's/^ */LV="/; s/ *$/"/'
    else
        findmnt --first-only --noheadings --pairs -o FSTYPE,UUID,SOURCE -T "$1" 2>/dev/null | sed 's/" /"\n/g'
    fi
}
bridge() { [ -d "/sys/class/net/$1" ] && say bridge "$1"; return 0; }
"""


@dataclasses.dataclass(frozen=True)
class Disk:
    """A disk as one end knows it; `there` is False where it has none of that path. `marks` tell storage apart, where it has any."""

    there: bool
    size: int = 0
    marks: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class End:
    """One host. table, long: `xl list` and `xl list -l` as printed; conf: its xl.conf; config: the text of the domain's file, or None."""

    boot: str
    user: str
    xl: bool
    info: dict[str, t.Any]
    table: str
    long: str
    conf: str
    config: str | None
    autostart: bool
    disks: dict[str, Disk]
    bridges: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is looked at besides the host: the config file of the domain and its link for autostart, disks and bridges."""

    config: str
    auto: str
    disks: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Ssh:
    """How the other host is reached. `words`: the command with its options, without the address."""

    words: tuple[str, ...]
    address: str

    def argv(self, command: str) -> tuple[str, ...]:
        return (*self.words, self.address, command)

    def rune(self) -> str:
        """The value of `xl migrate -s`, which goes through a shell."""
        return " ".join(shlex.quote(word) for word in self.words)


def script(asked: Asked) -> str:
    lines = [f"mark={MARK}", f"config={shlex.quote(asked.config)}", f"auto={shlex.quote(asked.auto)}", SCRIPT, *devices(asked)]
    return "\n".join([*lines, "say end", ""])


def devices(asked: Asked) -> list[str]:
    lines = [DISK]
    lines += [f"disk {shlex.quote(path)}" for path in asked.disks]
    lines += [f"bridge {shlex.quote(name)}" for name in asked.bridges]
    return lines


def with_disks(tool: Tool, end: End, asked: Asked) -> End:
    """This host as it was seen, and these disks of it. Raises XenError."""
    if not asked.disks:
        return end
    lines = [f"mark={MARK}", 'say() { printf \'\\n%s %s\\n\' "$mark" "$*"; }', *devices(asked), "say end", ""]
    disks, _bridges, _parts = split(tool.command(("sh", "-s"), stdin="\n".join(lines)))
    return dataclasses.replace(end, disks=disks)


def look_here(tool: Tool, asked: Asked) -> End:
    """Raises XenError."""
    return read(tool.command(("sh", "-s"), stdin=script(asked)))


def look_there(tool: Tool, ssh: Ssh, asked: Asked) -> End:
    """Raises ConnectionFailed where the other host cannot be reached."""
    argv = ssh.argv("sh -s")
    done = tool.command(argv, stdin=script(asked), check=False)
    if done.status or f"{MARK} end" not in done.out:
        hint = (
            f"Try `{typed(ssh.argv('true'))}` as root on this host: it has to work without a password or a question, "
            "with root's key of this host in authorized_keys there and that host's key in known_hosts here."
        )
        raise ConnectionFailed(
            f"{ssh.address} cannot be reached with {ssh.words[0]}: {telling(Done(done.status, '', done.err))}", hint=hint
        )
    return read(done)


def read(done: Done) -> End:
    """Raises XenError where the script did not run to its end."""
    disks, bridges, parts = split(done)
    return End(
        boot=parts["boot"].strip(), user=parts["user"].strip(), xl=bool(parts["xl"].strip()), info=info(parts["info"]),
        table=parts["list"] if "list-status 0" in parts else "", long=parts["long"].strip(), conf=parts["conf"],
        config=parts.get("config-there"), autostart="auto-there" in parts, disks=disks, bridges=bridges,
    )  # fmt: skip


def split(done: Done) -> tuple[dict[str, Disk], frozenset[str], dict[str, str]]:
    """Disks, bridges and what else there is, by its title. Raises XenError."""
    if f"{MARK} end" not in done.out:
        raise XenError(f"This host could not be looked at: {telling(done)}")
    parts: dict[str, str] = {}
    disks: dict[str, Disk] = {}
    bridges: set[str] = set()
    for part in done.out.split(f"\n{MARK} ")[1:]:
        title, _newline, body = part.partition("\n")
        if title.startswith("disk "):
            disks[title[len("disk ") :]] = disk_of(body)
        elif title.startswith("bridge "):
            bridges.add(title[len("bridge ") :])
        else:
            parts[title] = body
    return disks, frozenset(bridges), parts


def disk_of(body: str) -> Disk:
    told: dict[str, str] = {}
    for line in body.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals:
            told[key] = value.strip('"').strip()
    if "kind" not in told:
        return Disk(False)
    if told["kind"].startswith("block"):
        known = {key: told[key] for key in ("WWN", "LV", "PARTUUID", "SERIAL") if told.get(key)}
    else:  # on NFS, which has no UUID, the number is the server's
        known = {"file system": told.get("UUID") or told.get("FSTYPE", ""), "inode": told["inode"]}
    return Disk(True, int(told["size"] or 0), tuple(known.items()))


def same(here: Disk, there: Disk) -> bool | None:
    """Whether both are one storage; None where nothing tells."""
    mine, theirs = dict(here.marks), dict(there.marks)
    common = [key for key in mine if key in theirs]
    return all(mine[key] == theirs[key] for key in common) if common else None
