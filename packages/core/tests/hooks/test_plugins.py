"""The typed facade over plugins: what it asks, what it refuses, and what a broken plugin leaves standing."""

import logging
from collections.abc import Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from trivium.errors import ConfigError, RegistrationError
from trivium.hooks import Command, PluginInfo, Plugins, hookimpl
from trivium.hooks.discovery import BUILTIN


def plugin(name: str, **functions: Any) -> object:
    """An object whose functions are hooks, called `name`."""
    return SimpleNamespace(__name__=name, **{hook: hookimpl(function) for hook, function in functions.items()})


def load(*extra: object) -> Plugins:
    return Plugins.load(extra=extra, installed=False)


def open_nothing(url: str, clock: Any) -> Any:
    raise NotImplementedError


def no_storages() -> Mapping[str, Any]:
    return {}


def test_built_in_parts_are_plugins_like_any_other():
    plugins = load()

    assert [info.name for info in plugins.describe()] == list(BUILTIN)
    assert "memory" in plugins.storages
    assert {"run", "runs", "worker"} <= {command.name for command in plugins.commands}
    assert plugins.failures == ()


def test_answers_of_all_plugins_are_joined():
    plugins = load(
        plugin("one", trivium_storages=lambda: {"one": open_nothing}),
        plugin("two", trivium_storages=lambda: {"two": open_nothing}, trivium_observers=lambda: [print]),
    )

    assert {"memory", "one", "two"} <= set(plugins.storages)
    assert list(plugins.observers) == [print]


def test_each_hook_is_called_once():
    calls: list[str] = []

    def trivium_storages() -> Mapping[str, Any]:
        calls.append("storages")
        return {"one": open_nothing}

    plugins = load(plugin("one", trivium_storages=trivium_storages))

    assert plugins.storages is plugins.storages
    assert calls == ["storages"]


def test_loading_calls_nothing_until_the_first_question():
    calls: list[str] = []

    def trivium_storages() -> Mapping[str, Any]:
        calls.append("storages")
        return {}

    load(plugin("one", trivium_storages=trivium_storages))

    assert calls == []


def test_two_plugins_that_bring_one_scheme_are_an_error_that_names_both():
    plugins = load(
        plugin("one", trivium_storages=lambda: {"nats": open_nothing}),
        plugin("two", trivium_storages=lambda: {"nats": print}),
    )

    with pytest.raises(RegistrationError, match=r"'nats'.*plugin 'one'.*plugin 'two'"):
        _ = plugins.storages


def test_two_drivers_of_one_kind_are_an_error_that_names_both():
    plugins = load(
        plugin("one", trivium_drivers=lambda: [SimpleNamespace(kind="flow", id=1)]),
        plugin("two", trivium_drivers=lambda: [SimpleNamespace(kind="flow", id=2)]),
    )

    with pytest.raises(RegistrationError, match=r"drivers of the kind 'flow'.*plugin 'one'.*plugin 'two'"):
        _ = plugins.drivers


def test_two_commands_of_one_name_are_an_error_that_names_both():
    plugins = load(plugin("one", trivium_commands=lambda: [Command(name="run", target="x:y", summary="")]))

    with pytest.raises(RegistrationError, match=r"'run'.*plugin 'cli'.*plugin 'one'"):
        _ = plugins.commands


def test_discovery_gets_the_arguments_it_asks_for():
    seen: list[object] = []
    module = ModuleType("users")
    plugins = Plugins((), [plugin("one", trivium_discover=lambda module: seen.append(module))])

    plugins.discover(module, registry=SimpleNamespace())  # type: ignore[arg-type]

    assert seen == [module]


def test_an_error_about_the_users_module_comes_through_as_it_is():
    def trivium_discover(module: ModuleType) -> None:
        raise ConfigError("the action has no name")

    plugins = Plugins((), [plugin("one", trivium_discover=trivium_discover)])

    with pytest.raises(ConfigError, match="the action has no name"):
        plugins.discover(ModuleType("users"), registry=SimpleNamespace())  # type: ignore[arg-type]


def test_a_plugin_that_breaks_on_a_module_is_named():
    def trivium_discover(module: ModuleType) -> None:
        raise KeyError("oops")

    plugins = Plugins((), [plugin("one", trivium_discover=trivium_discover)])

    with pytest.raises(
        RegistrationError, match=r"plugin 'one' of this program failed on module users: KeyError: 'oops'"
    ):
        plugins.discover(ModuleType("users"), registry=SimpleNamespace())  # type: ignore[arg-type]


def test_an_unknown_hook_is_refused_with_the_near_name():
    with pytest.raises(RegistrationError, match=r"no hook 'trivium_storage', did you mean 'trivium_storages'\?"):
        load(plugin("one", trivium_storage=no_storages)).describe()


def test_an_unknown_hook_far_from_all_is_refused_with_the_names_there_are():
    with pytest.raises(RegistrationError, match=r"no hook 'frobnicate'; there are trivium_commands, "):
        load(plugin("one", frobnicate=no_storages)).describe()


async def storages_later() -> Mapping[str, Any]:
    return {}


async def storages_by_and_by() -> Any:
    yield {}


@pytest.mark.parametrize("function", [storages_later, storages_by_and_by])
def test_an_async_implementation_is_refused(function: Any):
    with pytest.raises(RegistrationError, match=r"plugin 'one'.*trivium_storages is an async function"):
        load(plugin("one", trivium_storages=function)).describe()


def test_a_wrapper_is_refused():
    def trivium_storages() -> Any:
        return (yield)

    wrapper = SimpleNamespace(__name__="one", trivium_storages=hookimpl(wrapper=True)(trivium_storages))

    with pytest.raises(RegistrationError, match="trivium_storages is a wrapper"):
        load(wrapper).describe()


def test_an_argument_that_the_hook_does_not_have_is_refused():
    with pytest.raises(RegistrationError, match="speed"):
        load(plugin("one", trivium_storages=lambda speed: {})).describe()


def test_a_forgotten_mark_is_refused():
    def trivium_storages() -> Mapping[str, Any]:
        return {}

    with pytest.raises(RegistrationError, match=r"trivium_storages is not marked: put @hookimpl"):
        load(SimpleNamespace(__name__="one", trivium_storages=trivium_storages)).describe()


def test_a_plugin_that_cannot_be_imported_is_reported_and_the_others_work(caplog: pytest.LogCaptureFixture):
    broken = PluginInfo(name="broken", module="no_such_module", distribution="broken-dist", version="2.0")
    plugins = Plugins([broken], [plugin("good", trivium_storages=lambda: {"good": open_nothing})])

    with caplog.at_level(logging.WARNING):
        schemes = list(plugins.storages)

    assert schemes == ["good"]
    assert [str(failure) for failure in plugins.failures] == [
        "plugin 'broken' of broken-dist 2.0: importing no_such_module failed: "
        "ModuleNotFoundError: No module named 'no_such_module'"
    ]
    assert "broken-dist 2.0" in caplog.text
    assert "the others work without it" in caplog.text
    assert plugins.describe()[0].error is not None


def test_an_answer_that_is_no_sequence_is_the_plugins_failure():
    plugins = load(plugin("one", trivium_commands=lambda: 3))

    with pytest.raises(RegistrationError, match=r"plugin 'one' of this program: trivium_commands failed: TypeError"):
        _ = plugins.commands


def test_plugins_answer_in_order_but_for_those_that_ask_to_be_first_or_last():
    def observer(name: str) -> Any:
        return SimpleNamespace(name=name)

    def answering(name: str, *, first: bool = False, last: bool = False) -> object:
        def trivium_observers() -> Sequence[Any]:
            return [observer(name)]

        marked = hookimpl(tryfirst=first, trylast=last)(trivium_observers)
        return SimpleNamespace(__name__=name, trivium_observers=marked)

    plugins = Plugins(
        (), [answering("last", last=True), answering("a"), answering("b"), answering("first", first=True)]
    )

    assert [found.name for found in plugins.observers] == ["first", "a", "b", "last"]  # type: ignore[attr-defined]
