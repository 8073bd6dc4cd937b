"""Importing the modules that users name. What is imported stays in this process, so every test has names of its own."""

import importlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trivium.errors import ConfigError, NotFound, RegistrationError
from trivium.loading import load_module, module_name
from trivium.registry import Registry

ACTION = "from trivium.registry import action\n@action\ndef {name}(a: int) -> int:\n    return a\n"
numbers = itertools.count()


@pytest.fixture
def name() -> str:
    return f"loaded_{os.getpid()}_{next(numbers)}"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


# --- files ---------------------------------------------------------------------------------------


def test_file_brings_its_actions(tmp_path: Path) -> None:
    path = write(tmp_path / "actions.py", ACTION.format(name="load"))
    registry = Registry()

    registry.load(path)

    assert registry.action_names() == ["load"]


def test_file_is_relative_to_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "actions.py", ACTION.format(name="load"))
    registry = Registry()

    registry.load("deep/actions.py", folder=tmp_path)

    assert registry.has_action("load")


def test_file_is_loaded_once_and_can_be_imported_by_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "actions.py", "counted = []")

    module = load_module(path)

    assert load_module(str(path)) is module
    assert load_module("sub/../actions.py", folder=tmp_path) is module
    assert importlib.import_module(module.__name__) is module
    assert module.__name__ == module_name(path)


def test_files_of_one_name_are_different_modules(tmp_path: Path) -> None:
    one = load_module(write(tmp_path / "one" / "actions.py", "n = 1"))
    other = load_module(write(tmp_path / "other" / "actions.py", "n = 2"))

    assert (one.n, other.n) == (1, 2)


def test_file_may_be_called_like_a_module_of_python(tmp_path: Path) -> None:
    module = load_module(write(tmp_path / "json.py", "import json\nn = json"))

    assert module is not sys.modules["json"]


def test_file_finds_its_neighbours_also_later(tmp_path: Path, name: str) -> None:
    write(tmp_path / f"{name}_early.py", "n = 1")
    write(tmp_path / f"{name}_late.py", "n = 2")
    text = f"from {name}_early import n\ndef late():\n    from {name}_late import n\n    return n\n"

    module = load_module(write(tmp_path / "actions.py", text))

    assert (module.n, module.late()) == (1, 2)
    assert str(tmp_path) in sys.path
    assert sys.path.index(str(tmp_path)) > 0


def test_file_that_was_imported_by_its_name_is_that_module(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / f"{name}.py", ACTION.format(name="load"))
    registry = Registry()

    by_name = registry.load(name, folder=tmp_path)
    by_file = registry.load(path)

    assert by_name is by_file


def test_file_may_be_loaded_and_imported_by_its_name_afterwards(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / f"{name}.py", ACTION.format(name="load"))
    registry = Registry()

    registry.load(path)
    registry.load(name, folder=tmp_path)

    assert registry.action_names() == ["load"]


def test_running_script_is_not_loaded_again(tmp_path: Path) -> None:
    text = (
        "from trivium.loading import load_module\nimport sys\nprint(load_module(__file__) is sys.modules['__main__'])\n"
    )
    script = write(tmp_path / "script.py", text)

    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=30, check=True)

    assert ended.stdout == "True\n"


def test_actions_of_one_name_in_two_files_are_refused_with_both_places(tmp_path: Path) -> None:
    registry = Registry()
    registry.load(write(tmp_path / "one.py", ACTION.format(name="load")))

    with pytest.raises(RegistrationError, match=r"'load': .*one\.py:2.* and .*other\.py:2"):
        registry.load(write(tmp_path / "other.py", ACTION.format(name="load")))


# --- names ---------------------------------------------------------------------------------------


def test_module_is_found_in_the_folder(tmp_path: Path, name: str) -> None:
    write(tmp_path / name / "__init__.py", "")
    write(tmp_path / name / "actions.py", ACTION.format(name="load"))
    registry = Registry()

    registry.load(f"{name}.actions", folder=tmp_path)

    assert registry.has_action("load")


def test_installed_module_is_found_wherever_we_are(tmp_path: Path) -> None:
    assert load_module("trivium.json", folder=tmp_path) is sys.modules["trivium.json"]


# --- what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize("reference", ["nowhere.py", "no/where.py", "nowhere", "trivium.nowhere", "nowhere.at.all"])
def test_what_is_not_there_is_not_found(reference: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=f"module '{reference}' does not exist"):
        load_module(reference, folder=tmp_path)


@pytest.mark.parametrize("reference", ["", "a b", "a..b", ".a", "a:b", "a-b"])
def test_what_is_no_name_is_refused(reference: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"names no module .*path/to/file\.py"):
        load_module(reference, folder=tmp_path)


BROKEN = [
    ("\n\nraise ValueError('no luck')\n", r"{file}:3: ValueError: no luck"),
    ("def load(:\n", r"{file}:1: SyntaxError: invalid syntax"),
    ("\nimport a_module_that_nobody_has\n", r"{file}:2: ModuleNotFoundError: No module named 'a_module"),
    ("import sys\nsys.exit(3)\n", r"{file}:2: SystemExit: 3"),
    ("import json\n\njson.loads('{{')\n", r"{file}:3: JSONDecodeError: "),
    ("class Mute(Exception):\n    def __str__(self):\n        raise OSError\nraise Mute\n", r"{file}:4: Mute: <its"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_file_that_fails_is_an_error_with_its_place_and_no_traceback(text: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "actions.py", text)

    with pytest.raises(ConfigError, match=message.format(file=path)) as caught:
        load_module(path)

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert module_name(path) not in sys.modules


def test_module_that_fails_is_an_error_with_its_place(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / f"{name}.py", "\nimport a_module_that_nobody_has\n")

    with pytest.raises(ConfigError, match=f"{path}:2: ModuleNotFoundError: No module named 'a_module"):
        load_module(name, folder=tmp_path)


def test_file_that_was_repaired_can_be_loaded(tmp_path: Path) -> None:
    path = write(tmp_path / "actions.py", "raise ValueError")
    with pytest.raises(ConfigError):
        load_module(path)

    write(path, "n = 'repaired, and of another length'")

    assert load_module(path).n == "repaired, and of another length"


def test_errors_of_ours_speak_for_themselves(tmp_path: Path) -> None:
    text = "from trivium.registry import action\n@action(timeout='soon')\ndef load(): ...\n"

    with pytest.raises(ConfigError, match="timeout 'soon' is not a duration"):
        load_module(write(tmp_path / "actions.py", text))
