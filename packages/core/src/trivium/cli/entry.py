"""From the words of a command line to a command, and from whatever happens there to an exit code.

The command is found before anything else is imported: its own module is loaded when it is called, plugins are asked
only for the list of all commands and for a word that is not built in, and the help is written without typer.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from trivium.cli.exits import USAGE, fail, report
from trivium.errors import RegistrationError, UsageError

if TYPE_CHECKING:
    from trivium.hooks import Command

PROGRAM = "trivium"

_HELP = {"--help", "-h", "help"}
_WITH_VALUE = {"--store", "-m", "--module"}
"""Shared options that take a value; they may stand before a command's last word, too."""

_INTRODUCTION = """\
Usage: trivium COMMAND [OPTIONS]

Durable orchestration: a run that was interrupted goes on where it stopped.
"""

_OPTIONS = """\
Options, anywhere after the command:
  --store URL        Where runs are kept (TRIVIUM_STORE; default sqlite:///trivium.db).
  -m, --module NAME  A module or a FILE.py with actions; repeatable.
  --json             Data as JSON.
  --debug            The traceback of an unexpected error.
  --help             What a command does, with examples.
  --version          The version of Trivium.

Examples:
  trivium run pipeline.yaml -m actions.py -i num1=10 -i num2=20
  trivium runs list --status failed
  trivium graph pipeline.yaml -o pipeline.svg

Exit codes: 0 done, 1 the run failed, 2 bad usage or an invalid file, 3 not found, 4 conflict, 5 the store cannot be
reached, 70 a bug of Trivium, 130 interrupted (the run can be resumed).
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (that of the process, if none is given) to its exit code. Never raises."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug, words = _without_debug(words)
    try:
        return _dispatch(words)
    except SystemExit as leaving:  # typer's way to end a command
        return leaving.code if isinstance(leaving.code, int) else USAGE if leaving.code else 0
    except KeyboardInterrupt:
        return fail("interrupted", code=130)
    except BrokenPipeError:  # `trivium runs list | head`: whoever read us has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # the last line of defence: a person gets a sentence, not a traceback
        return report(error, debug=debug)


def hoisted(words: Sequence[str], depth: int) -> list[str]:
    """The words with shared options moved behind the first `depth` words that are none: `runs --store X list` is
    `runs list --store X`."""
    path: list[str] = []
    options: list[str] = []
    rest = list(words)
    while rest and len(path) < depth:
        word = rest.pop(0)
        if word in _WITH_VALUE and rest:
            options += [word, rest.pop(0)]
        elif word == "--json" or word.startswith(("--store=", "--module=", "-m")):
            options.append(word)
        elif word.startswith("-"):
            return [*path, *options, word, *rest]
        else:
            path.append(word)
    return [*path, *options, *rest]


def _dispatch(words: list[str]) -> int:
    words = hoisted(words, 1)
    if not words or words[0] in _HELP:
        print(_help())
        return 0 if words else USAGE
    if words[0] in ("--version", "-V"):
        from importlib.metadata import version

        print(f"{PROGRAM} {version(PROGRAM)}")
        return 0
    if words[0].startswith("-"):
        raise UsageError(f"option {words[0]} stands before the command", hint="see trivium --help")
    return _call(_command(words[0]), words[1:])


def _command(name: str) -> Command:
    from trivium.cli.plugin import BUILT_IN

    found = {command.name: command for command in BUILT_IN}
    if name not in found:
        found = {command.name: command for command in _all_commands()}
    if name not in found:
        from trivium.suggestions import did_you_mean

        near = did_you_mean(name, found)
        raise UsageError(f"there is no command {name!r}", hint=near or "see trivium --help")
    return found[name]


def _all_commands() -> Sequence[Command]:
    from trivium.hooks import Plugins

    return Plugins.load().commands


def _call(command: Command, words: list[str]) -> int:
    """Load a command and hand the rest of the words to it."""
    import typer

    module, _, attribute = command.target.partition(":")
    try:
        target = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise RegistrationError(f"command {command.name!r} cannot be loaded from {command.target}: {error}") from error
    if not isinstance(target, typer.Typer):
        wrapped = typer.Typer(add_completion=False, rich_markup_mode=None)
        wrapped.command()(target)
        target = wrapped
    is_group = bool(target.registered_callback or target.registered_groups or len(target.registered_commands) > 1)
    runner = typer.main.get_command(target)
    words = hoisted(words, 1) if is_group else words
    try:
        # Not standalone: an `Exit` comes back as its code, and what is wrong with the words is ours to say.
        code = runner.main(args=words, prog_name=f"{PROGRAM} {command.name}", standalone_mode=False)
    except Exception as error:
        if not hasattr(error, "format_message"):  # click's own errors have it; their class has had several homes
            raise
        return _misused(error, command)
    return code if isinstance(code, int) else 0


def _misused(error: Exception, command: Command) -> int:
    """Words that fit no option or argument."""
    message = str(error.format_message())  # type: ignore[attr-defined]  # it was looked for
    context = getattr(error, "ctx", None)
    path = str(getattr(context, "command_path", "")) or f"{PROGRAM} {command.name}"
    if context is not None and type(error).__name__ == "NoArgsIsHelpError":
        print(message)
        return USAGE
    return fail(message, label=f"error {UsageError.code}", hint=f"see {path} --help", code=USAGE)


def _help() -> str:
    """The commands under their headings; made without typer, so that it is there at once."""
    commands = _all_commands()
    wide = max(len(command.name) for command in commands)
    panels: dict[str, list[str]] = {}
    for command in commands:
        panels.setdefault(command.panel, []).append(f"  {command.name:{wide}}  {command.summary}")
    blocks = [f"{panel}:\n" + "\n".join(lines) + "\n" for panel, lines in panels.items()]
    return "\n".join([_INTRODUCTION, *blocks, _OPTIONS]).rstrip()


def _without_debug(words: list[str]) -> tuple[bool, list[str]]:
    end = words.index("--") if "--" in words else len(words)
    debug = "--debug" in words[:end] or os.environ.get("TRIVIUM_DEBUG", "") not in ("", "0")
    return debug, [word for place, word in enumerate(words) if word != "--debug" or place > end]
