"""Files are loaded once, and again when they may have changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from trivium.errors import NotFound
from trivium_dag.files import SETTLED, FlowFiles, stamp_of

FLOW = "trivium: 1\nname: {name}\nsteps: [{{id: a, uses: noop}}]\n"
CHANGED_AT = 1_000
STAMP = (1, 2, 3, CHANGED_AT, CHANGED_AT)
"""What a file looks like that is changed twice within one tick of the file system: each time the same."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flow.yaml"
    write(path, "one")
    return path


def write(path: Path, name: str) -> None:
    path.write_text(FLOW.format(name=name))


def test_a_file_that_has_settled_is_not_read_again(file: Path) -> None:
    files = FlowFiles(lambda: CHANGED_AT + SETTLED + 1, lambda _: STAMP)

    first = files.load(str(file))
    write(file, "two")  # unseen only because the stamp stands still

    assert files.load(str(file)) is first


def test_a_file_that_changed_just_before_it_was_read_is_read_again(file: Path) -> None:
    files = FlowFiles(lambda: CHANGED_AT + SETTLED, lambda _: STAMP)
    files.load(str(file))

    write(file, "two")

    assert files.load(str(file)).flow.name == "two"


def test_a_file_that_changed_while_it_was_read_is_read_again(file: Path) -> None:
    stamps = iter([STAMP, (1, 2, 3, CHANGED_AT, CHANGED_AT + 1)])
    files = FlowFiles(lambda: CHANGED_AT + SETTLED + 2, lambda _: next(stamps, (1, 2, 3, CHANGED_AT, CHANGED_AT + 1)))
    files.load(str(file))

    write(file, "two")

    assert files.load(str(file)).flow.name == "two"


def test_a_changed_file_looks_changed(file: Path) -> None:
    files = FlowFiles(lambda: 2**63)
    before = files.load(str(file)), stamp_of(str(file))

    write(file, "another")

    assert stamp_of(str(file)) != before[1]
    assert files.load(str(file)).flow.name == "another"


def test_a_file_that_went_is_not_there(file: Path) -> None:
    files = FlowFiles(lambda: 2**63)
    files.load(str(file))

    file.unlink()

    with pytest.raises(NotFound):
        files.load(str(file))
