"""Where a store lies: the URL, the file, the folder beside it, and places that cannot carry a store."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

from trivium.errors import ConfigError, StoreUnreachable, StoreUnsupported

SCHEME: Final = "sqlite://"
SYNCHRONOUS: Final = ("full", "normal")
PARAMETERS: Final = ("synchronous",)

NETWORK_FILE_SYSTEMS: Final = frozenset(
    [
        "9p",
        "afp",
        "afs",
        "autofs_nfs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs3",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "prl_fs",
        "pvfs2",
        "smb2",
        "smb3",
        "smbfs",
        "vboxsf",
        "vmhgfs",
        "fuse.ceph",
        "fuse.davfs",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.goofys",
        "fuse.juicefs",
        "fuse.mount.ceph",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.seaweedfs",
        "fuse.smbnetfs",
        "fuse.sshfs",
        "fuse.vmhgfs-fuse",
    ]
)
"""Types on which locks or shared memory do not reach the other machines, so that two of them would write at once."""


@dataclass(frozen=True, slots=True)
class Location:
    """What a URL says."""

    url: str
    path: Path
    """Of the database, absolute."""
    synchronous: str = "full"

    @property
    def folder(self) -> Path:
        """The folder beside the file: locks, presence of workers, doorbells."""
        return self.path.with_name(f"{self.path.name}-trivium")


def parse_url(url: str) -> Location:
    """What `sqlite:///relative.db?synchronous=normal` or `sqlite:////absolute.db` says.

    :raises ConfigError: it is no such URL
    """
    if not url.startswith(SCHEME + "/"):
        raise ConfigError(
            f"{url!r} is no SQLite URL",
            hint="write sqlite:///file.db for a path from here, or sqlite:////folder/file.db for an absolute one",
        )
    text, _, query = url[len(SCHEME) + 1 :].partition("?")
    if text in ("", ":memory:"):
        hint = "for a store in memory write memory:" if text else "name a file: sqlite:///trivium.db"
        raise ConfigError(f"{url!r} names no file", hint=hint)
    if "\0" in text:
        raise ConfigError(f"{url!r} has a NUL in its path")
    # Not abspath alone: the locks belong to the file, whatever links lead to it, as SQLite's own side files do.
    return Location(url, Path(os.path.realpath(text)), **_parameters(url, query))


def _parameters(url: str, query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in PARAMETERS:
            raise ConfigError(f"{url!r} has the unknown parameter {name!r}", hint=_suggestion(name, PARAMETERS))
        if name in found:
            raise ConfigError(f"{url!r} has {name!r} twice")
        if value.lower() not in SYNCHRONOUS:
            raise ConfigError(f"{name} cannot be {value!r} in {url!r}", hint=_suggestion(value, SYNCHRONOUS))
        found[name] = value.lower()
    return found


def _suggestion(word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # only a mistake pays for its import

    close = get_close_matches(word.lower(), list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def check_place(location: Location) -> None:
    """Refuse a place where no store can be.

    :raises StoreUnreachable, StoreUnsupported:
    """
    parent = location.path.parent
    try:
        if not stat.S_ISDIR(os.stat(parent).st_mode):
            raise StoreUnreachable(f"cannot open {location.path}: {parent} is no folder", hint="name another place")
        if location.path.is_dir():
            raise StoreUnreachable(f"cannot open {location.path}: it is a folder", hint="name a file in it")
    except FileNotFoundError:
        raise StoreUnreachable(
            f"cannot open {location.path}: the folder {parent} does not exist", hint=f"mkdir -p {parent}"
        ) from None
    except OSError as error:
        raise StoreUnreachable(
            f"cannot open {location.path}: {error.strerror}", hint="check the permissions of the folders above it"
        ) from error
    if sys.platform == "linux":
        try:
            mounts = Path("/proc/self/mounts").read_text("utf-8", "surrogateescape")
        except OSError:
            return  # a system without /proc: nothing is known about the place
        kind = network_file_system(mounts, str(parent))
        if kind is not None:
            raise StoreUnsupported(
                f"{location.path} lies on a network file system ({kind}), where SQLite's locks do not hold",
                hint="put the file on a local disk",
            )


def network_file_system(mounts: str, path: str) -> str | None:
    """The type of the network file system that `path` (absolute, without links) lies on, by a table of mounts
    (/proc/self/mounts); None where it is a local one."""
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[1])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # the last of two mounts on one point covers the first
            best, kind = point, fields[2]
    return kind if kind in NETWORK_FILE_SYSTEMS else None
