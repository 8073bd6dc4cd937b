"""Marking functions as actions, and finding them."""

import functools
import types
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import trivium.registry
from trivium.errors import ConfigError, NotFound, RegistrationError
from trivium.json import JsonText
from trivium.loading import load_module
from trivium.model.context import StepContext
from trivium.model.drivers import Names
from trivium.model.policies import Delivery, Overlap, Retry
from trivium.registry import Action, Registry, action, spec_of

if TYPE_CHECKING:
    from trivium.model import context


@action
def add(num1: float, num2: float) -> float:
    """Add two
    numbers.

    At length.
    """
    return num1 + num2


@action(
    name="fetch",
    retry=Retry(max_attempts=5, backoff="exponential", initial=1.0, maximum=60.0, jitter=True),
    timeout="30s",
    total_timeout=600,
    executor="thread",
    delivery="at_most_once",
    overlap="allow",
    description="Fetch a page",
)
def fetch_page(url: str) -> dict[str, Any]:
    return {"url": url}


@action
async def wait_for_it(number: int) -> int:
    return number


def unmarked(a: int) -> int:
    return a


@pytest.fixture
def registry() -> Registry:
    return Registry()


# --- marks ---------------------------------------------------------------------------------------


async def test_marked_functions_stay_plain() -> None:
    assert add(1, 2) == 3
    assert fetch_page("x") == {"url": "x"}
    assert await wait_for_it(5) == 5
    assert isinstance(add, types.FunctionType)


def test_type_checkers_see_the_same_signature() -> None:
    good: float = add(num1=1, num2=2)
    with pytest.raises(TypeError):
        add("1")  # type: ignore[call-arg, arg-type]  # refused, as without the decorator
    with pytest.raises(TypeError):
        fetch_page(link="x")  # type: ignore[call-arg]  # and with options, too

    assert good == 3.0


def test_mark_holds_what_was_declared() -> None:
    spec = spec_of(fetch_page)

    assert spec is not None
    assert (spec.name, spec.timeout, spec.total_timeout) == ("fetch", 30.0, 600.0)
    assert spec.retry.max_attempts == 5
    assert spec_of(unmarked) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": "soon"}, "timeout 'soon' is not a duration"),
        ({"timeout": 0}, "timeout is 0"),
        ({"total_timeout": -1}, "total_timeout"),
        ({"retry": 3}, "retry is a int .*Retry"),
        ({"delivery": "twice"}, "delivery is 'twice' .*at_least_once, at_most_once"),
        ({"overlap": True}, "overlap is True .*forbid, allow"),
    ],
)
def test_declaration_that_cannot_be_meant_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        action(**options)


@pytest.mark.parametrize("name", ["", "two words", "line\nbreak", "x" * 201, 5])
def test_name_that_cannot_be_written_is_refused(name: Any) -> None:
    with pytest.raises(RegistrationError, match="cannot be an action's name"):
        action(name=name)


@pytest.mark.parametrize("thing", [int, "add", 5, Registry])
def test_only_functions_are_marked(thing: Any) -> None:
    with pytest.raises(RegistrationError, match="put it on a function"):
        action(thing)


def test_function_is_marked_once() -> None:
    with pytest.raises(RegistrationError, match=r"add .*carries @action twice"):
        action(name="other")(add)


def test_what_cannot_carry_a_mark_is_refused_with_the_way_out() -> None:
    with pytest.raises(RegistrationError, match=r"registry\.register"):
        action(Calculator().double)


# --- what an action is ---------------------------------------------------------------------------


def test_action_has_what_was_declared() -> None:
    found = Action.of(fetch_page)

    assert (found.name, found.description, found.executor) == ("fetch", "Fetch a page", "thread")
    assert (found.timeout, found.total_timeout, found.retry.max_attempts) == (30.0, 600.0, 5)
    assert (found.delivery, found.overlap) == (Delivery.AT_MOST_ONCE, Overlap.ALLOW)
    assert (found.function, found.module) == (fetch_page, __name__)


def test_action_has_sensible_defaults() -> None:
    found = Action.of(add)

    assert (found.name, found.description) == ("add", "Add two numbers.")
    assert (found.timeout, found.total_timeout, found.retry.max_attempts) == (None, None, 1)
    assert (found.delivery, found.overlap) == (Delivery.AT_LEAST_ONCE, Overlap.FORBID)
    assert found.context_parameter is None


def test_async_functions_run_inline_and_others_in_a_thread() -> None:
    assert (Action.of(wait_for_it).executor, Action.of(wait_for_it).is_async) == ("inline", True)
    assert (Action.of(add).executor, Action.of(add).is_async) == ("thread", False)


def test_executor_may_be_one_that_a_plugin_brings() -> None:
    @action(executor="cluster")
    def far(a: int) -> int:
        return a

    assert Action.of(far).executor == "cluster"


def test_values_go_in_and_come_out_by_the_hints() -> None:
    found = Action.of(add)

    assert found.output.encode(found.function(**found.input.bind(JsonText('{"num1":10,"num2":20}')))) == "30.0"


def with_context(a: int, step: StepContext) -> int:
    return a


def with_context_or_none(a: int, step: StepContext | None = None) -> int:
    return a


def with_context_as_text(a: int, step: "StepContext") -> int:
    return a


def with_context_for_checkers_only(a: int, step: "context.StepContext") -> int:
    return a


@pytest.mark.parametrize("function", [with_context, with_context_or_none, with_context_as_text])
def test_parameter_annotated_with_the_context_gets_it(function: Callable[..., Any]) -> None:
    found = Action.of(function)

    assert found.context_parameter == "step"
    assert found.input.bind(JsonText('{"a":1}')) == {"a": 1}
    assert "step" not in found.input.json_schema()["properties"]


def test_context_that_is_imported_for_type_checkers_only_is_known_by_its_name(tmp_path: Path) -> None:
    source = tmp_path / "actions.py"
    source.write_text("from __future__ import annotations\ndef load(a: int, step: StepContext | None = None): ...\n")

    found = Action.of(load_module(source).load)

    assert found.context_parameter == "step"


def test_annotation_that_is_not_there_at_run_time_is_refused_with_the_cure() -> None:
    with pytest.raises(RegistrationError, match=r"'step' of .*'context'.*not under TYPE_CHECKING"):
        Action.of(with_context_for_checkers_only)


def test_context_is_asked_for_once() -> None:
    def load(one: StepContext, other: StepContext) -> None: ...

    with pytest.raises(RegistrationError, match="StepContext twice: one, other"):
        Action.of(load)


def generator() -> Any:
    yield 1


async def async_generator() -> Any:
    yield 1


@pytest.mark.parametrize("function", [generator, async_generator])
def test_generators_are_no_actions(function: Callable[..., Any]) -> None:
    with pytest.raises(RegistrationError, match="is a generator"):
        Action.of(function)


@pytest.mark.parametrize("thing", [int, "add", None, Registry])
def test_what_is_no_function_is_no_action(thing: Any) -> None:
    with pytest.raises(RegistrationError, match="cannot be an action"):
        Action.of(thing)


def test_async_function_cannot_ask_for_a_thread() -> None:
    @action(executor="thread")
    async def load() -> None: ...

    with pytest.raises(RegistrationError, match="is async and asks for a thread"):
        Action.of(load)


class Calculator:
    def __call__(self, a: int) -> int:
        return a

    def double(self, a: int) -> int:
        return 2 * a


class AsyncCalculator:
    async def __call__(self, a: int) -> int:
        return a


@pytest.mark.parametrize(
    ("function", "is_async"),
    [
        (lambda a: a, False),
        (Calculator(), False),
        (AsyncCalculator(), True),
        (functools.partial(unmarked), False),
        (functools.partial(wait_for_it), True),
    ],
    ids=["lambda", "instance", "async instance", "partial", "async partial"],
)
def test_callables_without_a_name_are_given_one(function: Callable[..., Any], is_async: bool) -> None:
    with pytest.raises(RegistrationError, match="no name of its own"):
        Action.of(function)

    found = Action.of(function, name="named")
    assert (found.name, found.is_async) == ("named", is_async)


def test_json_schemas_stand_in_the_place_of_hints() -> None:
    @action(input_schema={"type": "object", "required": ["a"]}, output_schema={"type": "integer"})
    def load(a, b=None):  # what the schemas are for
        return 1

    found = Action.of(load)

    assert found.input.json_schema() == {"type": "object", "required": ["a"]}
    assert found.output.json_schema() == {"type": "integer"}


# --- the registry --------------------------------------------------------------------------------


def test_registry_finds_actions_by_name_and_by_function(registry: Registry) -> None:
    registered = registry.register(fetch_page)

    assert registry.action("fetch") is registered
    assert registry.action(fetch_page) is registered


def test_registry_finds_what_was_registered_under_a_name_of_its_own(registry: Registry) -> None:
    calculator = Calculator()
    by_instance = registry.register(calculator, name="calculate")
    by_method = registry.register(calculator.double, name="twice")

    assert registry.action(calculator) is by_instance
    assert registry.action(calculator.double) is by_method


def test_registry_takes_unmarked_functions_and_actions(registry: Registry) -> None:
    registry.register(unmarked)
    registry.register(Action.of(add))

    assert registry.action_names() == ["add", "unmarked"]
    assert registry.has_action("add")
    assert not registry.has_action("substract")


def test_registry_satisfies_the_names_of_drivers(registry: Registry) -> None:
    registry.register(add)
    names: Names = registry

    assert names.has_action("add")


def test_same_function_may_be_registered_twice(registry: Registry) -> None:
    calculator = Calculator()

    assert registry.register(add) is registry.register(add)
    assert registry.register(calculator.double) is registry.register(calculator.double)


def test_two_functions_of_one_name_are_refused_with_both_places(registry: Registry) -> None:
    registry.register(add)

    with pytest.raises(
        RegistrationError, match=r"two actions are called 'add': .*test_registry\.py:\d+.* and .*unmarked"
    ):
        registry.register(unmarked, name="add")


def test_functions_made_by_one_function_are_different(registry: Registry) -> None:
    def maker(by: int) -> Callable[[int], int]:
        def scale(a: int) -> int:
            return a * by

        return scale

    registry.register(maker(2))

    with pytest.raises(RegistrationError, match="two actions are called 'scale'"):
        registry.register(maker(3))


def test_methods_of_two_objects_are_different(registry: Registry) -> None:
    registry.register(Calculator().double)

    with pytest.raises(RegistrationError, match="two actions are called 'double'"):
        registry.register(Calculator().double)


def test_unknown_name_is_not_found_with_a_hint(registry: Registry) -> None:
    registry.register(add)

    with pytest.raises(NotFound, match=r"action 'ad' does not exist \(did you mean 'add'\? load its module with -m"):
        registry.action("ad")
    with pytest.raises(NotFound, match=r"action 'zebra' does not exist \(load its module with -m MODULE\)"):
        registry.action("zebra")


def test_function_that_is_not_registered_is_not_found(registry: Registry) -> None:
    registry.register(fetch_page)

    with pytest.raises(NotFound, match="unmarked"):
        registry.action(unmarked)


def test_discovery_takes_what_is_marked_wherever_it_was_defined(registry: Registry) -> None:
    module = types.ModuleType("shop")
    vars(module).update(
        add=add, renamed=fetch_page, unmarked=unmarked, Registry=Registry, trivium=trivium.registry, n=5
    )

    found = registry.discover(module)

    assert [one.name for one in found] == ["add", "fetch"]
    assert registry.action_names() == ["add", "fetch"]


def test_discovery_is_not_fooled_by_objects_that_have_any_attribute(registry: Registry) -> None:
    class Anything:
        def __getattr__(self, name: str) -> object:
            return spec_of(add)

    module = types.ModuleType("shop")
    vars(module).update(anything=Anything())

    assert registry.discover(module) == []


def test_wrapper_around_a_marked_function_is_the_action(registry: Registry) -> None:
    @functools.wraps(add)
    def louder(*arguments: Any, **options: Any) -> float:
        return 10 * add(*arguments, **options)

    module = types.ModuleType("shop")
    vars(module).update(add=louder)

    (found,) = registry.discover(module)

    assert found.function(num1=1, num2=2) == 30
    assert found.input.bind(JsonText('{"num1":1,"num2":2}')) == {"num1": 1.0, "num2": 2.0}
