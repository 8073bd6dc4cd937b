"""Reading the keys of one mapping of a file: each by its type, with a problem where it does not fit.

Shared by the dialects. A reader that finds a value wrong notes the problem and gives the key's neutral value, so that
everything wrong with a file comes out at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from trivium.errors import ConfigError
from trivium.json import JsonValue
from trivium.model.policies import seconds
from trivium_dag import problems as codes
from trivium_dag.inputs import type_of
from trivium_dag.problems import Path, Problems

MAX_NAME = 200
"""Characters of a name or id: it becomes part of keys, whose size is limited."""


class Fields:
    """The mapping at `path`. A value that is null counts as absent."""

    def __init__(self, problems: Problems, value: Mapping[str, JsonValue], path: Path, what: str) -> None:
        self.problems = problems
        self.value = value
        self.path = path
        self.what = what
        """The mapping in a message: `step 'load'`."""

    def check_keys(self, known: Collection[str], later: Collection[str] = ()) -> None:
        """Note every key that is neither known nor of a later version."""
        for key in self.value:
            if key in known:
                continue
            if key in later:
                message = f"{key!r} of {self.what} is not supported by this version"
                self.problems.error(codes.NOT_SUPPORTED, message, (*self.path, key), key=True)
            else:
                near = self.problems.did_you_mean(key, [*known, *later])
                message = f"{self.what} has no key {key!r:.60}{near}"
                self.problems.error(codes.UNKNOWN_KEY, message, (*self.path, key), key=True)

    def wrong(self, key: str, wanted: str) -> None:
        """Note that the value of `key` is not what it should be."""
        found = type_of(self.value.get(key))
        message = f"{key!r} of {self.what} must be {wanted}, not {found}"
        self.problems.error(codes.WRONG_VALUE, message, (*self.path, key))

    def missing(self, key: str, hint: str = "") -> None:
        """Note that `key` is not there."""
        self.problems.error(codes.MISSING_KEY, f"{self.what} has no {key!r}{hint}", self.path)

    def text(self, key: str) -> str:
        """A text; the empty one if it is absent or wrong."""
        value = self.value.get(key)
        if value is None or isinstance(value, str):
            return value or ""
        self.wrong(key, "text" if not isinstance(value, (int, float)) else "text (quote it)")
        return ""

    def name(self, key: str) -> str:
        """A text that can be a name: on one line, not empty, not too long."""
        text = self.text(key)
        if text and (len(text) > MAX_NAME or not text.isprintable() or text != text.strip()):
            message = (
                f"{key!r} of {self.what} must be one line of at most {MAX_NAME} characters, without spaces around it"
            )
            self.problems.error(codes.BAD_ID, message, (*self.path, key))
            return ""
        return text

    def version(self, key: str) -> str:
        """A text, or a whole number. 1.10 as a number would lose its zero."""
        value = self.value.get(key)
        return str(value) if type(value) is int else self.text(key)

    def mapping(self, key: str) -> Mapping[str, JsonValue]:
        """An object; an empty one if it is absent or wrong."""
        value = self.value.get(key)
        if isinstance(value, Mapping):
            return value
        if value is not None:
            self.wrong(key, "a mapping")
        return {}

    def sequence(self, key: str) -> Sequence[JsonValue]:
        """A list; an empty one if it is absent or wrong."""
        value = self.value.get(key)
        if isinstance(value, Sequence) and not isinstance(value, str):
            return value
        if value is not None:
            self.wrong(key, "a list")
        return ()

    def names(self, key: str) -> Iterator[tuple[str, Path]]:
        """The texts of a list, or a single one, each with its place."""
        value = self.value.get(key)
        if isinstance(value, str):
            yield value, (*self.path, key)
            return
        for index, item in enumerate(self.sequence(key)):
            path = (*self.path, key, index)
            if isinstance(item, str) and item:
                yield item, path
            else:
                message = f"{key!r} of {self.what} must be a list of names, and {type_of(item)} is none"
                self.problems.error(codes.WRONG_VALUE, message, path)

    def duration(self, key: str) -> float | None:
        """Seconds; None if it is absent or wrong. A timeout of nothing is a mistake."""
        value = self.value.get(key)
        if value is None:
            return None
        try:
            found = seconds(value, what=f"{key!r} of {self.what}")
        except ConfigError as error:
            self.problems.error(codes.BAD_DURATION, str(error), (*self.path, key))
            return None
        if found == 0:
            self.problems.error(codes.BAD_DURATION, f"{key!r} of {self.what} must be longer than 0", (*self.path, key))
            return None
        return found

    def count(self, key: str) -> int | None:
        """A whole number from 1; None if it is absent or wrong."""
        value = self.value.get(key)
        if value is None:
            return None
        if type(value) is int and value >= 1:
            return value
        self.problems.error(
            codes.WRONG_VALUE, f"{key!r} of {self.what} must be a whole number from 1", (*self.path, key)
        )
        return None
