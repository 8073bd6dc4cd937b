"""What every hook specification owes the authors of plugins."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trivium.hooks import spec
from trivium.hooks.manager import Plugins

SPECIFICATIONS = [function for name, function in vars(spec).items() if name.startswith("trivium_")]
for_every_hook = pytest.mark.parametrize("hook", SPECIFICATIONS, ids=lambda hook: hook.__name__)


@for_every_hook
def test_hook_says_when_it_is_called_what_an_exception_does_and_since_when(hook: Callable[..., Any]):
    text = inspect.getdoc(hook) or ""

    assert "Since 0." in text
    assert "Called once for each" in text
    assert "xception" in text


@for_every_hook
def test_hook_is_typed(hook: Callable[..., Any]):
    signature = inspect.signature(hook)

    assert signature.return_annotation is not inspect.Signature.empty
    assert all(one.annotation is not inspect.Parameter.empty for one in signature.parameters.values())


@for_every_hook
def test_something_built_in_uses_the_hook_or_it_is_for_others_only(hook: Callable[..., Any]):
    built_in = {name for info in Plugins.load(installed=False).describe() for name in info.hooks}

    others = {"trivium_drivers", "trivium_observers"}  # sibling packages bring drivers, users bring observers
    assert hook.__name__ in built_in | others


@for_every_hook
def test_hook_has_a_test(hook: Callable[..., Any]):
    tests = (Path(__file__).parent / "test_plugins.py").read_text("utf-8")

    assert f"{hook.__name__}=" in tests
