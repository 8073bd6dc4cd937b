"""The command line. `main` is the console script; nothing but it is imported here, so that `--help` is quick."""

from trivium.cli.entry import main

__all__ = ["main"]
