"""Settings: command line > environment > `trivium.toml` > `[tool.trivium]` in `pyproject.toml`, key by key.

`resolve` decides, as a function of the layers; `load_settings` finds the layers. Files are looked for from the working
directory upward, as far as the folder that holds `.git`. Relative paths belong to whoever says them: those in a file
are relative to its folder, all others to the working directory.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from trivium.errors import ConfigError
from trivium.model.policies import seconds
from trivium.suggestions import did_you_mean

DEFAULT_STORE = "sqlite:///trivium.db"
ENVIRONMENT = "TRIVIUM_"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # of two letters at least: one is a Windows drive


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds for one process. Every field but the last two is a key of the files and, as `TRIVIUM_KEY`, of the
    environment."""

    store: str = DEFAULT_STORE
    """URL of the store. SQLite paths are absolute once resolved."""
    modules: tuple[str, ...] = ()
    """Modules with actions: `package.module`, or the path of a file, absolute once resolved."""
    queues: tuple[str, ...] | None = None
    """Which queues a worker takes runs from; None: all."""
    concurrency: int = 100
    """How many runs a worker drives at once."""
    heartbeat_timeout: float = 10.0
    """Seconds after which a worker without a heartbeat is taken for dead."""
    park_grace: float = 1.0
    """Seconds that a run may wait in memory before it is parked."""
    shutdown_grace: float = 30.0
    """Seconds that a worker that is told to stop gives to the steps under way."""
    folder: Path = field(default_factory=Path.cwd)
    """Where module names are looked for: the folder of whoever named them."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Who said what: key to `trivium.toml`, `TRIVIUM_STORE`, ... A key that is not in it has its default."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Settings from one place. `name` says for messages how a key is called there."""

    values: Mapping[str, Any]
    folder: Path
    origin: str

    def name(self, key: str) -> str:
        """`concurrency in trivium.toml`, `TRIVIUM_CONCURRENCY`, `--concurrency`."""
        if self.origin == "environment":
            return ENVIRONMENT + key.upper()
        return f"--{key.replace('_', '-')}" if self.origin == "command line" else f"{key} in {self.origin}"


def resolve(layers: Sequence[Layer]) -> Settings:
    """The settings that follow from layers, the strongest first. An absent key and None both mean: not said here.

    :raises ConfigError: every unknown key and every value that cannot be used, with the place
    """
    found: dict[str, Any] = {}
    origins: dict[str, str] = {}
    problems: list[str] = []
    for layer in layers:
        for key, value in layer.values.items():
            if key not in _READERS:
                near = did_you_mean(key, _READERS)
                problems.append(f"{layer.name(key)} is no setting" + (f", {near}" if near else ""))
                continue
            if value is None:
                continue
            try:
                read = _READERS[key](layer.name(key), value, layer.folder)
            except ConfigError as error:
                problems.append(str(error))
                continue
            if key not in found:
                found[key] = read
                origins[key] = layer.name(key)
                if key == "modules":
                    found["folder"] = layer.folder
    if problems:
        raise ConfigError("; ".join(problems))
    default_folder = layers[0].folder if layers else Path.cwd()
    found.setdefault("store", absolute_store(DEFAULT_STORE, default_folder))
    found.setdefault("folder", default_folder)
    return Settings(**found, origins=origins)


def load_settings(
    options: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """The settings of this process. `options` come from the command line; None stands for one that was not given.

    :raises ConfigError:
    """
    here = (folder or Path.cwd()).absolute()
    said = os.environ if environ is None else environ
    variables = {key: said[ENVIRONMENT + key.upper()] for key in _READERS if said.get(ENVIRONMENT + key.upper())}
    return resolve(
        [Layer(options or {}, here, "command line"), Layer(variables, here, "environment"), *file_layers(here)]
    )


def file_layers(folder: Path) -> list[Layer]:
    """The nearest `trivium.toml`, then the nearest `pyproject.toml` with a `[tool.trivium]`, as far as they exist.

    :raises ConfigError: one of them cannot be read
    """
    own = project = None
    for place in (folder, *folder.parents):
        own = own or _toml_layer(place / "trivium.toml", ())
        project = project or _toml_layer(place / "pyproject.toml", ("tool", "trivium"))
        if (place / ".git").exists():
            break
    return [layer for layer in (own, project) if layer is not None]


def _toml_layer(path: Path, table: Sequence[str]) -> Layer | None:
    if not path.is_file():
        return None
    try:
        values: Any = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:  # ValueError: no TOML, or no UTF-8
        raise ConfigError(f"{path} cannot be read: {error}") from None
    for part in table:
        values = values.get(part, {}) if isinstance(values, dict) else {}
    if table and not values:
        return None
    origin = str(path) + (f" [{'.'.join(table)}]" if table else "")
    if not isinstance(values, dict):
        raise ConfigError(f"{origin} is not a table", hint="write keys below the heading")
    return Layer(values, path.parent, origin)


def absolute_store(url: str, folder: Path) -> str:
    """A store URL whose path, if it is a SQLite file's and relative, starts at `folder`."""
    scheme, found, rest = url.partition(":///")
    if scheme != "sqlite" or not found or not rest or rest.startswith(("/", ":memory:", "?")):
        return url
    path, mark, query = rest.partition("?")
    return f"{scheme}:///{_normal(folder, path)}{mark}{query}"


def _normal(folder: Path, path: str) -> str:
    return os.path.normpath(folder / Path(path).expanduser())


# --- one reader for each key: from what was said to what is meant -----------------------------------


def _store(name: str, value: object, folder: Path) -> str:
    if not isinstance(value, str) or _SCHEME.match(value) is None:
        raise ConfigError(f"{name} is {value!r:.80}, not a URL (give one like {DEFAULT_STORE})")
    return absolute_store(value, folder)


def _texts(name: str, value: object, _: Path) -> tuple[str, ...]:
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, (list, tuple)) or not all(isinstance(one, str) and one.strip() for one in given):
        raise ConfigError(f"{name} is {value!r:.80}, not a list of names")
    return tuple(one.strip() for one in given)


def _modules(name: str, value: object, folder: Path) -> tuple[str, ...]:
    named = _texts(name, value, folder)
    return tuple(_normal(folder, one) if one.endswith(".py") or "/" in one else one for one in named)


def _count(name: str, value: object, _: Path) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:10])
    if type(value) is not int or not 1 <= value <= 1_000_000:
        raise ConfigError(f"{name} is {value!r:.80}, not a whole number from 1 to 1,000,000")
    return value


def _period(name: str, value: object, _: Path) -> float:
    if isinstance(value, str):  # the environment has only text
        with suppress(ValueError):
            value = float(value)
    return seconds(value, what=name)


def _beats(name: str, value: object, folder: Path) -> float:
    found = _period(name, value, folder)
    if found < 2.0:
        raise ConfigError(f"{name} is {found:g} s, but a heart beats once a second (give 2s or more)")
    return found


_READERS: dict[str, Callable[[str, object, Path], Any]] = {
    "store": _store,
    "modules": _modules,
    "queues": _texts,
    "concurrency": _count,
    "heartbeat_timeout": _beats,
    "park_grace": _period,
    "shutdown_grace": _period,
}

KEYS = tuple(one.name for one in fields(Settings) if one.name in _READERS)
"""Every key that may be said."""
