"""The map shows what is there: every path that it names exists, and no room of the house is missing."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAP = ROOT / "ARCHITECTURE.md"
SOURCES = sorted(path for path in ROOT.glob("packages/*/src/*") if path.is_dir() and path.name.isidentifier())
ENGINE = ROOT / "packages/core/src/trivium/engine"
PATH = re.compile(r"`([\w./-]+(?:\.py|/))`")


def named() -> set[str]:
    return set(PATH.findall(MAP.read_text("utf-8")))


def test_every_path_of_the_map_leads_somewhere():
    places = [ROOT, *SOURCES, ENGINE]

    assert [path for path in sorted(named()) if not any((place / path).exists() for place in places)] == []


def test_every_package_and_every_room_of_core_is_on_the_map():
    packages = {f"packages/{path.parent.name}/" for path in ROOT.glob("packages/*/pyproject.toml")}
    rooms = {f"{path.parent.name}/" for path in ROOT.glob("packages/core/src/trivium/*/*.py")}
    modules = {path.name for path in ROOT.glob("packages/core/src/trivium/*.py")} - {"__init__.py"}

    assert (packages | rooms | modules) - named() == set()


def test_every_module_of_the_engine_is_on_the_map():
    assert {path.name for path in ENGINE.glob("*.py")} - {"__init__.py"} - named() == set()


def test_every_module_of_the_other_packages_is_on_the_map():
    modules = {path.name for source in SOURCES if source.name != "trivium" for path in source.glob("*.py")} - {
        "__init__.py"
    }

    assert modules - named() == set()
