"""What every package of the workspace owes its users, and the workspace its packages."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
for_every_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)


def project(package: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]
    return loaded


def normalized(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def declared(package: Path) -> set[str]:
    """The distributions that a package's code may import: itself, what it needs, and what its own extras bring."""
    data = project(package)
    extras = [requirement for extra in data.get("optional-dependencies", {}).values() for requirement in extra]
    siblings = {normalized(project(other)["name"]) for other in PACKAGES}
    optional = {normalized(requirement) for requirement in extras} - siblings  # extras name siblings for pip only
    return {normalized(data["name"]), *map(normalized, data["dependencies"]), *optional}


def imported_modules(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def sources(package: Path) -> list[Path]:
    return sorted((package / "src").rglob("*.py"))


@for_every_package
def test_package_imports_only_what_it_declares(package: Path) -> None:
    homes = dict(packages_distributions())  # editable members do not stand in it
    homes |= {path.name: [project(other)["name"]] for other in PACKAGES for path in (other / "src").iterdir()}
    allowed = declared(package)

    undeclared = {
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sources(package)
        for module in imported_modules(path.read_text("utf-8"))
        if (top := module.partition(".")[0]) not in sys.stdlib_module_names
        and allowed.isdisjoint(normalized(name) for name in homes.get(top, [top]))
    }

    assert undeclared == set()


@for_every_package
def test_package_carries_its_metadata(package: Path) -> None:
    data = project(package)
    (import_root,) = [path for path in (package / "src").iterdir() if path.is_dir() and path.name.isidentifier()]

    assert (package / data["readme"]).read_text("utf-8").startswith(f"# {data['name']}\n")
    assert data["license"] == "MIT"
    assert data["requires-python"] == ">=3.11"
    assert data["description"]
    assert import_root.name == data["name"].replace("-", "_")
    assert (import_root / "py.typed").exists()
    assert (import_root / "__init__.py").exists()


def test_packages_have_one_version() -> None:
    assert len({project(package)["version"] for package in PACKAGES}) == 1


def test_workspace_knows_every_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    imports = {project(package)["name"].replace("-", "_") for package in PACKAGES}

    assert set(settings["uv"]["sources"]) == {project(package)["name"] for package in PACKAGES}
    assert set(settings["importlinter"]["root_packages"]) == imports
    assert set(settings["ruff"]["lint"]["isort"]["known-first-party"]) == imports


def test_constraints_hold_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()

    assert [line for line in lines if not re.fullmatch(r"#.*|[a-z0-9-]+==[0-9][0-9a-z.]*", line)] == []


PRIVATE = re.compile(
    r"/(?:root|work|home)/\w|/Users/\w|file:///(?:opt|srv)"  # a machine's folders
    r"|\b(?:10\.\d+|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d+\.\d+\b"  # addresses of private networks
    r"|\b[\w-]+\.(?:internal|corp|lan|intra)\b(?!\s*[(=.])"  # and their names
    r"|(?:extra-)?index-url|find-links"
)


@for_every_package
def test_package_names_no_machine_and_no_private_host(package: Path) -> None:
    files = [package / "pyproject.toml", package / "README.md", *sources(package)]
    texts = {path: path.read_text("utf-8") for path in files if path.is_file()}

    found = {str(path.relative_to(ROOT)): match[0] for path, text in texts.items() if (match := PRIVATE.search(text))}

    assert found == {}


def test_dev_tool_can_be_read_by_an_old_python() -> None:
    ast.parse((ROOT / "dev.py").read_text("utf-8"), feature_version=(3, 7))  # to say that it is too old
