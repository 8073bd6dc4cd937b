"""The record of an exception."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from trivium import errors
from trivium.json import dumps
from trivium.model.failure import MAX_MESSAGE, MAX_TRACEBACK, Failure, failure_of, printable
from trivium.model.states import FailureKind


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyError("country"), "KeyError: 'country'"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyError(), "KeyError"),
        (ValueError("no luck"), "no luck"),
    ],
)
def test_an_exception_whose_text_is_only_a_value_is_told_with_its_type(error: BaseException, message: str) -> None:
    assert failure_of(error).message == message


def test_traceback_begins_where_the_users_code_does() -> None:
    engine: dict[str, Any] = {"__name__": "trivium.engine.step"}
    exec("def call(function): function()", engine)

    def action() -> None:
        raise ValueError("no luck")

    with pytest.raises(ValueError, match="no luck") as caught:
        engine["call"](action)
    caught.value.__traceback__ = caught.tb.tb_next  # as the engine catches it: its own frames, then the user's

    shown = failure_of(caught.value).traceback or ""
    assert [line.strip().rpartition(" in ")[2] for line in shown.splitlines() if " in " in line] == ["action"]


def test_traceback_of_a_fault_of_ours_is_whole() -> None:
    engine: dict[str, Any] = {"__name__": "trivium.engine.step"}
    exec("def call(): return 1 / 0", engine)

    with pytest.raises(ZeroDivisionError) as caught:
        engine["call"]()
    caught.value.__traceback__ = caught.tb.tb_next

    assert "in call" in (failure_of(caught.value).traceback or "")


def test_foreign_exception_keeps_its_type_and_traceback() -> None:
    found = failure_of(raised(ConnectionResetError("gone")))

    assert (found.code, found.message, found.kind) == ("TRV-4010", "gone", FailureKind.ERROR)
    assert found.type == "ConnectionResetError"
    assert "raise error" in (found.traceback or "")
    assert found.bases == ("ConnectionResetError", "ConnectionError", "OSError", "Exception", "BaseException")


def test_own_exception_is_its_code_and_its_sentence() -> None:
    found = failure_of(raised(errors.StepFailed("load", "no disk", kind="timeout", failure_code="TRV-4004")))

    assert found == Failure(code="TRV-4004", message="step 'load' failed: no disk", kind=FailureKind.TIMEOUT)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.InvalidInput("input", ["a is missing"]), "schema"),
        (errors.InvalidOutput("output", ["a is missing"]), "schema"),
        (errors.NotJson("output", "nan"), "schema"),
        (errors.TooLarge("output", 2, 1), "schema"),
        (errors.KeyConflict("k", "r", "other inputs"), "conflict"),
        (errors.WaitTimeout("paid"), "timeout"),
        (errors.EffectUnknown("s", "k", "crash"), "unknown"),
        (errors.ConfigError("no"), "error"),
    ],
)
def test_own_exception_says_as_what_it_counts(error: errors.TriviumError, kind: str) -> None:
    assert failure_of(error).kind == kind


def test_caller_says_as_what_a_foreign_exception_counts() -> None:
    assert failure_of(TimeoutError(), kind=FailureKind.TIMEOUT).kind is FailureKind.TIMEOUT


def test_exception_without_a_message_is_called_by_its_type() -> None:
    assert failure_of(KeyError()).message == "KeyError"


class Broken(Exception):
    @override
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_exception_whose_text_cannot_be_had_is_recorded_all_the_same() -> None:
    found = failure_of(raised(Broken()))

    assert found.message == "<its __str__ raised RuntimeError>"
    assert found.type == f"{__name__}.Broken"


def test_long_texts_are_cut_in_the_middle() -> None:
    found = failure_of(raised(ValueError("a" * 100_000 + "\ud800" * 100_000)))

    assert len(found.message) <= MAX_MESSAGE + 20
    assert len(found.traceback or "") <= MAX_TRACEBACK + 20
    assert "[... cut ...]" in found.message


@given(st.text(st.characters(categories=None)), st.integers(10, 100))
def test_any_text_becomes_storable(text: str, limit: int) -> None:
    found = printable(text, limit)

    assert dumps(found)
    assert len(found) <= limit + 20


short = st.text(st.characters(codec="utf-8"), max_size=20)


@given(
    st.builds(
        Failure,
        code=short,
        message=short,
        kind=st.sampled_from(FailureKind),
        type=st.none() | short,
        traceback=st.none() | short,
    )
)
def test_what_is_stored_comes_back(failure: Failure) -> None:
    assert Failure.from_text(failure.to_text()) == failure


def test_classes_above_are_not_stored() -> None:
    assert "bases" not in failure_of(OSError("x")).to_json()


def test_kind_of_a_newer_release_is_read_as_an_error() -> None:
    assert Failure.from_text('{"code":"TRV-4999","kind":"melted","message":"m"}').kind is FailureKind.ERROR


@pytest.mark.parametrize("text", ["[]", "null", '"text"'])
def test_what_is_no_failure_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a failure"):
        Failure.from_text(text)
