# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""fstab(5) and what is mounted: read, edited, compared."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...errors import InvalidChange
from ..step import Step

FSTAB = "/etc/fstab"
NETWORK = ("nfs", "nfs4", "cifs")
# whose helper is in which package of Debian
HELPERS = {"nfs": "nfs-common", "nfs4": "nfs-common", "cifs": "cifs-utils"}


@dataclass(frozen=True)
class Mount:
    source: str
    path: str
    type: str
    options: str = "defaults"

    @property
    def line(self) -> str:
        return " ".join((encoded(self.source), encoded(self.path), self.type, self.options, "0", "0"))


def encoded(text: str) -> str:
    return re.sub(r"[ \t\n\\#]", lambda found: f"\\{ord(found[0]):03o}", text)


def decoded(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def entry(line: str) -> Mount | None:
    """None for a comment, an empty line, or one that is no entry."""
    words = line.split()
    if len(words) < 3 or words[0].startswith("#"):
        return None
    return Mount(decoded(words[0]), decoded(words[1]), words[2], words[3] if len(words) > 3 else "defaults")


def with_mount(text: str, mount: Mount) -> str:
    """fstab with this entry in place of the one for its path, all other lines as they are. Raises InvalidChange for two of them."""
    lines = text.splitlines()
    places = [place for place, line in enumerate(lines) if (found := entry(line)) and same(found.path, mount.path)]
    if len(places) > 1:
        raise InvalidChange(f"{FSTAB} has {len(places)} entries for {mount.path}.", hint="Leave one of them.")
    if places:
        if entry(lines[places[0]]) == mount:
            return text
        lines[places[0]] = mount.line
    else:
        lines.append(mount.line)
    return "\n".join(lines) + "\n"


def without(text: str, path: str) -> str:
    """fstab without the entries for a path."""
    kept = [line for line in text.splitlines(keepends=True) if not ((found := entry(line)) and same(found.path, path))]
    return "".join(kept)


def same(one: str, other: str) -> bool:
    return (one.rstrip("/") or "/") == (other.rstrip("/") or "/")


def mounted(mountinfo: str, path: str) -> Mount | None:
    """What is mounted there now, of the text of /proc/self/mountinfo: the last counts."""
    found = None
    for line in mountinfo.splitlines():
        left, _dash, right = line.partition(" - ")
        words, kind = left.split(), right.split()
        if len(words) >= 6 and len(kind) >= 2 and same(decoded(words[4]), path):
            found = Mount(decoded(kind[1]), decoded(words[4]), kind[0], words[5])
    return found


def checked(mount: Mount) -> Mount:
    """Raises InvalidChange for what cannot be mounted."""
    if not mount.path.startswith("/") or same(mount.path, "/"):
        raise InvalidChange(f"{mount.path!r} is no path to mount at.", hint="It begins with / and is not the root.")
    if mount.type in ("nfs", "nfs4") and not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:/\s]+):/\S*", mount.source):
        raise InvalidChange(f"{mount.source!r} is no NFS export.", hint="SERVER:/PATH, such as nas.example.com:/srv/guests.")
    if re.search(r"\s", mount.options) or not mount.options or ",," in mount.options:
        raise InvalidChange(f"{mount.options!r} are no options for a mount.", hint="They are separated by commas, without spaces.")
    return mount


def of_device(source: str) -> bool:
    return source.startswith("/dev/") or re.match(r"(UUID|LABEL|PARTUUID|PARTLABEL|ID)=", source) is not None


def usual(source: str) -> str:
    """The options where none are given: local-fs.target, and with it all of the host, waits for a device without nofail."""
    return "defaults,nofail" if of_device(source) else "defaults"


def holds_up(mount: Mount) -> bool:
    """Whether the host does not start without it, systemd.mount(5)."""
    return of_device(mount.source) and not {"nofail", "noauto", "_netdev"} & set(mount.options.split(","))


def same_source(one: str, other: str, kind: str) -> bool:
    """NFS tells the path of an export without the slash at its end."""
    return one == other or (kind in ("nfs", "nfs4") and one.rstrip("/") == other.rstrip("/"))


def plan(mount: Mount, state: str, now: Mount | None, text: str, folder: bool, real: str = "") -> tuple[str, list[Step]]:
    """The new fstab, and the commands after it. state: mounted, present, unmounted, absent. folder: whether the path is one. real: the
    device the source means. Raises InvalidChange where something else is mounted."""
    unmount = [Step(("umount", mount.path), f"unmount {mount.path}")] if now else []
    if state in ("unmounted", "absent"):
        new = without(text, mount.path) if state == "absent" else text
        return new, [*unmount, *(reload(mount) if new != text else [])]
    new = with_mount(text, mount)
    steps = reload(mount) if new != text else []
    if state == "present":
        return new, steps
    if now and not any(same_source(now.source, one, mount.type) for one in (mount.source, real) if one):
        raise InvalidChange(
            f"{now.source} is mounted at {mount.path}, and not {mount.source}.", hint="Unmount it first (state: unmounted)."
        )
    if not now:
        steps = [*([] if folder else [Step(("mkdir", "--parents", mount.path), f"make {mount.path}")]), *steps]
        return new, [*steps, Step(("mount", mount.path), f"mount {mount.path}")]
    if new != text:
        steps.append(Step(("mount", "--options", f"remount,{mount.options}", mount.path), f"mount {mount.path} with its options"))
    return new, steps


def reload(mount: Mount) -> list[Step]:
    """systemd makes a unit of each entry."""
    return [Step(("systemctl", "daemon-reload"), f"tell systemd of {mount.path}")]
