"""What `from trivium import ...` offers, to people and to type checkers."""

import ast
import inspect

import trivium


def test_every_name_that_is_imported_for_users_is_exported() -> None:
    tree = ast.parse(inspect.getsource(trivium))

    imported = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]

    # a strict type checker takes an import without this for the module's own affair, and refuses it to users
    assert sorted(imported) == sorted(trivium.__all__)
