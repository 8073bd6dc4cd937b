"""Importing the modules that users name: `package.module`, or the path of a file.

A file is loaded once, under a name that depends on its place alone, and stands in `sys.modules`. What goes wrong in it
is told by its type, message, file and line: a user's mistake is no traceback of ours.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from trivium.errors import ConfigError, NotFound, TriviumError
from trivium.foreign import reason_of

_loading = threading.RLock()


def load_module(reference: str | Path, *, folder: Path | None = None) -> ModuleType:
    """The module of that name or file. Names are looked for in `folder` too, which is the working directory if absent.

    :raises NotFound: there is no such module or file
    :raises ConfigError: importing it failed: why, and where
    """
    base = (folder or Path.cwd()).resolve()
    text = str(reference)
    with _loading:  # two threads must not both find a file missing in sys.modules
        if text.endswith(".py") or isinstance(reference, Path) or "/" in text:
            return _load_file((base / Path(text).expanduser()).resolve(), text)
        if not re.fullmatch(r"\w+(\.\w+)*", text):
            raise ConfigError(f"{text!r:.80} names no module", hint="give package.module or path/to/file.py")
        return _load_name(text, base)


def module_name(path: Path) -> str:
    """What the module of a file is called in `sys.modules`: the same on every load, different for files of one name."""
    mark = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"trivium_file_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{mark}"


def _load_name(name: str, base: Path) -> ModuleType:
    with _on_path(base), _told(name, None):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # the module is there, and imports one that is not
        near = base / (name.replace(".", "/") + ".py")
        raise NotFound("module", name, hint=f"it is neither installed nor {near}")


def _load_file(path: Path, reference: str) -> ModuleType:
    if not path.is_file():
        raise NotFound("module", reference, hint=f"there is no file {path}")
    for module in list(sys.modules.values()):  # imported by its name before, or the running script itself
        origin = getattr(module, "__dict__", {}).get("__file__")  # plain: lazy modules load when asked for an attribute
        if isinstance(origin, str) and origin.endswith(path.name) and Path(origin).resolve() == path:
            return module
    name = module_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{reference} is no Python file", hint="give package.module or path/to/file.py")
    module = importlib.util.module_from_spec(spec)
    with _on_path(path.parent), _told(reference, path):
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]  # half a module must not be found by the next who asks
            raise
    return module


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    """First on `sys.path` while importing, as for a script; afterwards last: imports inside functions still find their
    neighbours, and these hide nobody else's modules."""
    entry = str(folder)
    present = entry in sys.path
    sys.path.insert(0, entry)
    try:
        importlib.invalidate_caches()
        yield
    finally:
        if entry in sys.path:  # the module may have changed it
            sys.path.remove(entry)
        if not present:
            sys.path.append(entry)


@contextmanager
def _told(reference: str, path: Path | None) -> Iterator[None]:
    try:
        yield
    except TriviumError:
        raise  # has its own sentence, with the place
    except (Exception, SystemExit) as error:  # foreign code: whatever the module does when it is imported
        raise ConfigError(
            f"importing {reference} failed{_place(error, path)}: {reason_of(error, limit=500)}",
            hint="the module must import cleanly; try it with python -c",
        ) from None


def _place(error: BaseException, path: Path | None) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f" at {error.filename}:{error.lineno}"
    frames = [one for one in traceback.extract_tb(error.__traceback__) if not one.filename.startswith("<frozen")]
    frames = [one for one in frames if one.filename not in (__file__, importlib.__file__)]
    own = [one for one in frames if path is not None and one.filename == str(path)]
    return f" at {found.filename}:{found.lineno}" if (found := next(reversed(own or frames), None)) else ""
