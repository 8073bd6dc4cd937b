"""The typed facade over the plugins: the rest of core asks here, and only here is pluggy called.

Nothing is imported by loading: the first question imports all plugins (see `spec` on what that may cost), and each hook
is then called once and its answer kept.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar, cast

import pluggy

from trivium.errors import RegistrationError, TriviumError
from trivium.hooks import spec
from trivium.hooks.discovery import Failure, PluginInfo, builtin_plugins, import_plugin, installed_plugins
from trivium.hooks.spec import PROJECT, Command, StorageFactory
from trivium.suggestions import did_you_mean

if TYPE_CHECKING:
    from trivium.model.drivers import Driver
    from trivium.model.events import Observer
    from trivium.registry import Registry

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Plugins:
    """A set of plugins. `Plugins.load()` is the usual way to one."""

    def __init__(
        self, infos: Sequence[PluginInfo], extra: Sequence[object] = (), report: Callable[[Failure], None] | None = None
    ) -> None:
        self._infos = {info.name: info for info in infos}
        self._report = report or _warn
        self._extra = tuple(extra)
        self._failures: list[Failure] = []

    @classmethod
    def load(
        cls,
        *,
        extra: Sequence[object] = (),
        installed: bool = True,
        report: Callable[[Failure], None] | None = None,
    ) -> Plugins:
        """The built-in plugins, those that are installed (unless `installed` is false), and `extra`: modules or
        objects whose marked functions are hooks. What is wrong with an extra one is raised, at the first question,
        instead of reported. `report` is told of an installed one that is out, if it is not to be a warning in the log.

        :raises RegistrationError: two installed plugins have one name
        """
        return cls([*builtin_plugins(), *(installed_plugins() if installed else ())], extra, report)

    # --- the questions ----------------------------------------------------------------------------

    @cached_property
    def storages(self) -> Mapping[str, StorageFactory]:
        """Storage factories by URL scheme."""
        answers = self._ask("trivium_storages", lambda answer: list(cast(Mapping[str, StorageFactory], answer).items()))
        return dict(self._unique("storages for the scheme", answers, lambda item: item[0]))

    @cached_property
    def drivers(self) -> Sequence[Driver]:
        """All drivers, in the order in which targets are offered to them."""
        answers = self._ask("trivium_drivers", lambda answer: list(cast("Sequence[Driver]", answer)))
        return self._unique("drivers of the kind", answers, lambda driver: driver.kind)

    @cached_property
    def commands(self) -> Sequence[Command]:
        """All commands of the command line."""
        answers = self._ask("trivium_commands", lambda answer: list(cast(Sequence[Command], answer)))
        return self._unique("commands called", answers, lambda command: command.name)

    @cached_property
    def observers(self) -> Sequence[Observer]:
        """All observers."""
        answers = self._ask("trivium_observers", lambda answer: list(cast("Sequence[Observer]", answer)))
        return [observer for _, observer in answers]

    def discover(self, module: ModuleType, registry: Registry) -> None:
        """Have what a user's module holds registered.

        :raises TriviumError: something in the module cannot be registered
        """
        for info, call in self._implementations("trivium_discover"):
            try:
                call(module=module, registry=registry)
            except TriviumError:
                raise
            except Exception as error:  # foreign code: the plugin's
                raise RegistrationError(
                    f"plugin {info.name!r} of {info.origin} failed on module {module.__name__}: "
                    f"{type(error).__name__}: {error}",
                    hint="report it to that plugin's authors",
                ) from error

    def describe(self) -> Sequence[PluginInfo]:
        """Every plugin with its hooks, or why it is out; built-in ones first."""
        _ = self._manager
        return list(self._infos.values())

    @property
    def failures(self) -> Sequence[Failure]:
        """What was reported so far."""
        return tuple(self._failures)

    # --- calling ----------------------------------------------------------------------------------

    def _ask(self, hook: str, items: Callable[[object], Sequence[T]]) -> Sequence[tuple[PluginInfo, T]]:
        """What each plugin answers, with the plugin; one that raises or answers nonsense is reported and left out."""
        found: list[tuple[PluginInfo, T]] = []
        for info, call in self._implementations(hook):
            try:
                found += [(info, item) for item in items(call())]
            except Exception as error:  # foreign code: the plugin's
                self._fail(info, f"{hook} failed: {type(error).__name__}: {error}", error)
        return found

    def _unique(self, what: str, found: Sequence[tuple[PluginInfo, T]], name: Callable[[T], str]) -> Sequence[T]:
        by_name: dict[str, tuple[PluginInfo, T]] = {}
        for info, item in found:
            other, _ = by_name.setdefault(name(item), (info, item))
            if by_name[name(item)][1] is not item:
                raise RegistrationError(
                    f"two {what} {name(item)!r}: from plugin {other.name!r} of {other.origin} "
                    f"and from plugin {info.name!r} of {info.origin}",
                    hint="uninstall one of the two distributions",
                )
        return [item for _, item in by_name.values()]

    def _implementations(self, hook: str) -> Iterator[tuple[PluginInfo, Callable[..., object]]]:
        """In the order of registration, but for pluggy's `tryfirst` and `trylast`; one by one, so that an answer has
        a name."""
        caller = cast(pluggy.HookCaller, getattr(self._manager.hook, hook))
        for implementation in sorted(caller.get_hookimpls(), key=lambda one: (not one.tryfirst, one.trylast)):
            yield self._infos[implementation.plugin_name], _only_declared(implementation)

    # --- registering ------------------------------------------------------------------------------

    @cached_property
    def _manager(self) -> pluggy.PluginManager:
        """All plugins, imported and registered."""
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(spec)
        for info in list(self._infos.values()):
            module = import_plugin(info)
            if isinstance(module, Failure):
                self._fail(info, module.message, None)
            else:
                self._register(manager, info, module)
        for plugin in self._extra:
            name = str(getattr(plugin, "__name__", type(plugin).__qualname__))
            info = PluginInfo(name=name, module=name, distribution="this program")
            if name in self._infos:
                raise RegistrationError(f"two plugins are called {name!r}, one of them given to this program")
            self._infos[name] = info
            self._register(manager, info, plugin)
        return manager

    def _register(self, manager: pluggy.PluginManager, info: PluginInfo, plugin: object) -> None:
        try:
            hooks = _checked(manager, plugin)
            manager.register(plugin, info.name)
        except (RegistrationError, pluggy.PluginValidationError) as error:
            self._fail(info, str(error).strip(), error)
        else:
            self._infos[info.name] = replace(self._infos[info.name], hooks=hooks)

    def _fail(self, info: PluginInfo, message: str, error: Exception | None) -> None:
        """Report an installed plugin; raise for one that this program itself gave."""
        failure = Failure(replace(info, error=message), message)
        if info.distribution == "this program":
            raise RegistrationError(str(failure)) from error
        self._failures.append(failure)
        self._infos[info.name] = replace(self._infos[info.name], error=message)
        self._report(failure)


def _warn(failure: Failure) -> None:
    _log.warning("%s; the others work without it", failure)


def _checked(manager: pluggy.PluginManager, plugin: object) -> tuple[str, ...]:
    """The hooks that `plugin` implements.

    :raises RegistrationError: for what pluggy would accept and fail on later, or call and get a coroutine
    """
    known = sorted(name for name in vars(spec) if name.startswith(f"{PROJECT}_"))
    hooks: list[str] = []
    for name in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, name)
        if options is None:
            if name in known and inspect.isroutine(inspect.getattr_static(plugin, name)):
                raise RegistrationError(f"{name} is not marked: put @hookimpl of trivium.hooks above it")
            continue
        hook = options.get("specname") or name
        function = getattr(plugin, name)
        if hook not in known:
            near = did_you_mean(hook, known)
            raise RegistrationError(
                f"there is no hook {hook!r}" + (f", {near}" if near else f"; there are {', '.join(known)}")
            )
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise RegistrationError(
                f"{name} is an async function: hooks are called without an event loop, make it a def"
            )
        if options.get("wrapper") or options.get("hookwrapper"):
            raise RegistrationError(f"{name} is a wrapper: every plugin answers for itself here")
        hooks.append(hook)
    return tuple(hooks)


def _only_declared(implementation: pluggy.HookImpl) -> Callable[..., object]:
    """Calls it with those arguments that it asks for."""

    def call(**given: object) -> object:
        return implementation.function(*(given[name] for name in implementation.argnames))

    return call
