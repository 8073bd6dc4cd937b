"""Files made to hurt are problems like any other, told with little work, and never the end of the process."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trivium.errors import DefinitionError, UsageError
from trivium.testing import calls_counted
from trivium_dag import load_flow
from trivium_dag.loading import load_bytes

MEGABYTE = 1 << 20


def repeated(text: str) -> bytes:
    return (text * (MEGABYTE // len(text))).encode()


def bomb(levels: int = 12, width: int = 9) -> bytes:
    lines = ["l0: &l0 [x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines).encode()


STEP_WITH = b"trivium: 1\nsteps: [{id: a, uses: b, with: {x: '"

STOPPED = {
    "a megabyte of [": lambda: repeated("["),
    "a megabyte of {": lambda: repeated("{"),
    "a megabyte of [ in a step": lambda: b"trivium: 1\nsteps: " + repeated("["),
    "nested one a line": lambda: repeated("[\n"),
    "a megabyte of {a: ": lambda: repeated("{a: "),
    "a megabyte of - ": lambda: repeated("- "),
    "a megabyte of ? ": lambda: repeated("? "),
    "a megabyte of a: ": lambda: repeated("a: "),
    "a megabyte of &a ": lambda: repeated("&a "),
    "a megabyte of *a ": lambda: repeated("*a "),
    "a megabyte of !": lambda: repeated("!"),
    "a megabyte of :": lambda: repeated(":"),
    "a megabyte of ,": lambda: repeated(","),
    "a megabyte of %": lambda: repeated("%"),
    "a megabyte of documents": lambda: repeated("---\n"),
    "a megabyte of tabs": lambda: repeated("\t"),
    "deep blocks": lambda: b"".join(b" " * depth + b"a:\n" for depth in range(1400)),
    "an alias bomb": lambda: bomb(),
    "an alias of itself": lambda: b"a: &a [*a]",
    "many aliases": lambda: b"a: &a 1\nb: [" + b"*a," * 200_000 + b"]",
    "a scalar of 30 MB": lambda: b"a: " + b"x" * 30 * MEGABYTE,
    "a quoted scalar that does not end": lambda: b"a: '" + b"x" * 10 * MEGABYTE,
    "over the size": lambda: b"#" * 65 * MEGABYTE,
    "NUL bytes": lambda: b"trivium: 1\0",
    "only NUL bytes": lambda: b"\0" * MEGABYTE,
    "other control characters": lambda: b"a: \x07",
    "invalid UTF-8": lambda: b"a: \xff\xfe",
    "a surrogate in UTF-8": lambda: b"a: \xed\xa0\x80",
    "UTF-16": lambda: "trivium: 1".encode("utf-16"),
    "random bytes": lambda: bytes(range(256)) * 64,
    "a Python object": lambda: b"!!python/object/apply:os.system ['true']",
    "a tag of one's own": lambda: b"trivium: !one 1",
    "a standard tag": lambda: b"trivium: !!str 1",
    "a merge key": lambda: b"a: &a {b: 1}\nc: {<<: *a}",
    "a tab as indentation": lambda: b"a:\n\tb: 1",
    "a key of 5 MB": lambda: b"? " + b"k" * 5 * MEGABYTE + b"\n: 1",
    "an unclosed reference": lambda: STEP_WITH + b"${{ " * 250_000 + b"'}}]",
    "many wrong references": lambda: STEP_WITH + b"${{ a.b }} " * 90_000 + b"'}}]",
    "a reference without end": lambda: STEP_WITH + b"${{ steps" + b".a" * 500_000 + b"'}}]",
    "a long duration": lambda: b"trivium: 1\ntimeout: " + b"1h" * 500_000 + b"\nsteps: [{id: a, uses: b}]",
    "an empty file": lambda: b"",
    "only comments": lambda: repeated("# x\n"),
}  # fmt: skip

READ_WHOLLY = {
    "one key again and again": b"a: 1\n" * 30_000,
    "a reference of quotes": b"trivium: 1\nsteps: [{id: a, uses: b, with: {x: '${{ \"" + b'"' * 100_000 + b" }}'}}]",
    "many unknown keys": b"trivium: 1\n" + b"".join(b"key%d: 1\n" % n for n in range(10_000)),
    "many unknown needs": b"trivium: 1\nsteps:\n"
    + b"".join(b"- {id: s%d, uses: x, needs: t%d}\n" % (n, n) for n in range(3_000)),
    "one large cycle": b"trivium: 1\nsteps:\n"
    + b"".join(b"- {id: s%d, uses: x, needs: s%d}\n" % (n, (n + 1) % 3_000) for n in range(3_000)),
    "many small cycles": b"trivium: 1\nsteps:\n"
    + b"".join(b"- {id: s%d, uses: x, needs: s%d}\n" % (n, n ^ 1) for n in range(3_000)),
}

STOPPED_JSON = {
    "a megabyte of [": lambda: repeated("["),
    'a megabyte of {"a":': lambda: repeated('{"a":'),
    "a number of a megabyte": lambda: b'{"a": ' + b"1" * MEGABYTE + b"}",
    "a lone surrogate": lambda: b'{"a": "\\ud83d"}',
    "NaN": lambda: b'{"a": NaN}',
    "nested to the limit": lambda: b"[" * 500 + b"]" * 500,
}


FEW_CALLS = 15_000
"""Of a file that is refused where it begins to hurt, however long it is: a thousand aliases take ten thousand."""
CALLS_A_BYTE = 12
"""Of a file that is read to its end, so that all that is wrong with it is told."""


@pytest.fixture(scope="module", autouse=True)
def loaded_once():
    """What is imported late is imported, so that it is not counted."""
    assert problems_or_flow(b"trivium: 1", "flow.yaml")
    assert problems_or_flow(b"{}", "flow.json")


@pytest.mark.parametrize("name", STOPPED)
def test_hostile_yaml_is_refused_before_it_hurts(name):
    data = STOPPED[name]()

    with calls_counted() as calls, pytest.raises(DefinitionError) as raised:
        load_bytes(data, "flow.yaml")

    assert calls.count < FEW_CALLS
    assert all(one.code.startswith("TRV-11") for one in raised.value.problems)
    assert len(str(raised.value)) < 100_000


@pytest.mark.parametrize("name", READ_WHOLLY)
def test_many_mistakes_are_told_with_work_that_grows_as_the_file_does(name):
    data = READ_WHOLLY[name]

    with calls_counted() as calls, pytest.raises(DefinitionError) as raised:
        load_bytes(data, "flow.yaml")

    assert calls.count < CALLS_A_BYTE * len(data)
    assert all(one.code.startswith("TRV-11") for one in raised.value.problems)
    assert len(str(raised.value)) < 100_000


@pytest.mark.parametrize("name", STOPPED_JSON)
def test_hostile_json_is_refused_before_it_hurts(name):
    data = STOPPED_JSON[name]()

    with calls_counted() as calls, pytest.raises(DefinitionError):
        load_bytes(data, "flow.json")

    assert calls.count < FEW_CALLS


def problems_or_flow(data: bytes, name: str) -> object:
    try:
        return load_bytes(data, name)
    except DefinitionError as error:
        return error.problems


@given(st.binary(max_size=300), st.sampled_from(["flow.yaml", "flow.json"]))
@example(b"\xef\xbb\xbf", "flow.yaml")
def test_any_bytes_load_or_are_a_problem(data, name):
    assert problems_or_flow(data, name)


YAMLISH = st.text(alphabet="abtrue01 \n\t-:?,[]{}#&*!|>'\"%@`<=~$.\\/ä\u2028\U0001f600", max_size=120)


@given(YAMLISH, st.sampled_from(["", "trivium: 1\nsteps:\n- id: a\n  uses: b\n  with:\n    x: "]))
def test_any_text_that_looks_like_yaml_loads_or_is_a_problem(text, head):
    assert problems_or_flow((head + text).encode(), "flow.yaml")


def test_a_folder_with_the_name_of_a_file_is_a_usage_error(tmp_path):
    (tmp_path / "folder.yaml").mkdir()

    with pytest.raises(UsageError):
        load_flow(tmp_path / "folder.yaml")
