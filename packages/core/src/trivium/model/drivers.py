"""The port that a paradigm implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from trivium.clock import Micros
from trivium.errors import Problem
from trivium.json import JsonValue
from trivium.model.context import RunContext
from trivium.model.runs import Definition, Limit

if TYPE_CHECKING:
    from trivium.model.picture import Picture


class CommandLineText(str):
    """An input as it was typed (`-i month=2026`): a value of the inputs that `Driver.prepare` is given.

    The driver reads it by the declared schema of that input; where there is none, as JSON if it parses, else as text.
    """

    __slots__ = ()


class Names(Protocol):
    """What is registered, for checks at load. `trivium.registry.Registry` is one."""

    def has_action(self, name: str) -> bool: ...
    def action_names(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A target that can be started: its definition and the inputs, defaults filled in and checked."""

    target: str
    """What keys belong to, and what users call it: `flow:NAME`."""
    definition: Definition
    inputs: JsonValue
    timeout: Micros | None = None
    limits: tuple[Limit, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


class EveryName:
    """The names of a client that has loaded no actions and starts runs for workers elsewhere: whatever is asked for is
    there."""

    def has_action(self, name: str) -> bool:
        return True

    def action_names(self) -> Sequence[str]:
        return ()


class Driver(ABC):
    """A paradigm: resolves its targets and drives its runs. One object serves all runs of its kind; it keeps no state
    of them."""

    kind: ClassVar[str]
    pure: ClassVar[bool] = False
    """Its decisions depend on outcomes alone, so it may use `RunContext.propose_end`."""

    @abstractmethod
    def prepare(self, target: object, inputs: JsonValue, names: Names) -> Prepared | None:
        """The definition to start, or None where the target is not this driver's. Targets are text (a path,
        `KIND:NAME`) or objects.

        :raises DefinitionError: it is this driver's, and wrong
        :raises InvalidInput: the inputs do not fit
        """

    @abstractmethod
    async def drive(self, context: RunContext) -> JsonValue:
        """Go on with a run from where its journal ends; the output. An exception fails the run."""

    def lint(self, path: Path, names: Names) -> Sequence[Problem] | None:
        """All problems of a file, or None where the file is not this driver's."""
        return None

    def picture(self, definition: Definition) -> Picture | None:
        """The graph of a definition, or None where it has none."""
        return None

    def sketch(self, target: object, names: Names) -> Picture | None:
        """The graph of a target that nobody has started yet: like `prepare` and `picture`, but without inputs. None
        where the target is not this driver's, or has no graph.

        :raises DefinitionError: it is this driver's, and wrong
        """
        return None
