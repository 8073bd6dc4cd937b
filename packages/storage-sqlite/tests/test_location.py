"""URLs, and places where no store can be."""

from pathlib import Path

import pytest

from trivium.errors import ConfigError
from trivium_storage_sqlite.location import network_file_system, parse_url


def test_three_slashes_are_a_path_from_here() -> None:
    assert parse_url("sqlite:///data/runs.db").path == Path.cwd() / "data" / "runs.db"


def test_four_slashes_are_an_absolute_path() -> None:
    assert parse_url("sqlite:////data/runs.db").path == Path("/data/runs.db")


def test_a_link_leads_to_the_locks_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")

    location = parse_url(f"sqlite:///{tmp_path}/link.db")

    assert location.folder == tmp_path / "real.db-trivium"


@pytest.mark.parametrize(
    ("query", "synchronous"),
    [("", "full"), ("?", "full"), ("?synchronous=full", "full"), ("?synchronous=NORMAL", "normal")],
)
def test_synchronous_is_full_unless_it_is_said(query: str, synchronous: str) -> None:
    assert parse_url(f"sqlite:///x.db{query}").synchronous == synchronous


@pytest.mark.parametrize(
    ("url", "cure"),
    [
        ("sqlite:x.db", "sqlite:///file.db"),
        ("sqlite://x.db", "sqlite:///file.db"),
        ("sqlite:///", "name a file"),
        ("sqlite:///:memory:", "memory:"),
        ("sqlite:///x.db?synchronus=full", "did you mean 'synchronous'?"),
        ("sqlite:///x.db?cache=shared", "known: synchronous"),
        ("sqlite:///x.db?synchronous=ful", "did you mean 'full'?"),
        ("sqlite:///x.db?synchronous=off", "known: full, normal"),
        ("sqlite:///x.db?synchronous=full&synchronous=normal", "twice"),
        ("sqlite:///x\0.db", "NUL"),
    ],
)
def test_a_url_that_cannot_be_is_refused_with_its_cure(url: str, cure: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(url)

    assert cure in str(caught.value)


MOUNTS = """\
/dev/vda / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
tmpfs /home/ana/fast tmpfs rw 0 0
//box/share /mnt/my\\040share cifs rw 0 0
/dev/vdb /srv ext4 rw 0 0
user@host: /srv/remote fuse.sshfs rw 0 0
C:\\134 /mnt/c 9p rw 0 0
/dev/vdc /cover nfs rw 0 0
/dev/vdc /cover xfs rw 0 0
short line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", None),
        ("/var/lib", None),
        ("/home", "nfs4"),
        ("/home/ana", "nfs4"),
        ("/home/ana/fast/x", None),
        ("/homestead", None),
        ("/mnt/my share/data", "cifs"),
        ("/srv/local", None),
        ("/srv/remote/x", "fuse.sshfs"),
        ("/mnt/c/Users", "9p"),
        ("/cover/x", None),
    ],
)
def test_the_innermost_mount_says_whether_a_path_is_remote(path: str, kind: str | None) -> None:
    assert network_file_system(MOUNTS, path) == kind
