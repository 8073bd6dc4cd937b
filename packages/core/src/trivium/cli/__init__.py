"""The command line. `main` is the console script; what a command needs is imported when it is called."""

from trivium.cli.entry import main

__all__ = ["main"]
