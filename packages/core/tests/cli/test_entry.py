"""Finding a command among the words, and ending with a code whatever happens."""

from typing import Any

import pytest

from trivium.cli.entry import hoisted
from trivium.cli.exits import innermost, report
from trivium.cli.plugin import BUILT_IN
from trivium.errors import DefinitionError, NotFound, Problem, StoreUnreachable, TriviumError

GROUPS = {
    "runs": ["list", "show", "resume", "cancel", "retry", "signal"],
    "workers": ["list"],
    "store": ["prune"],
}
COMMANDS = [[command.name] for command in BUILT_IN if command.name not in GROUPS] + [
    [group, verb] for group, verbs in GROUPS.items() for verb in verbs
]
for_every_command = pytest.mark.parametrize("command", COMMANDS, ids=" ".join)


@for_every_command
def test_help_of_every_command_has_an_example(folder: Any, command: list[str]):
    called = folder(*command, "--help")

    assert called.code == 0
    assert "Examples:\n    trivium " + " ".join(command) in called.out


@for_every_command
def test_every_command_takes_the_shared_options(folder: Any, command: list[str]):
    shown = folder(*command, "--help").out

    assert {"--store", "--module"} <= set(shown.replace(",", " ").split())
    assert "--json" in shown or command == ["worker"]


def test_the_help_lists_every_command(folder: Any):
    called = folder("--help")

    assert called.code == 0
    assert all(f"  {command.name} " in called.out for command in BUILT_IN)
    assert all(command.summary in called.out for command in BUILT_IN)


def test_no_words_at_all_are_shown_the_help_and_exit_2(folder: Any):
    called = folder()

    assert called.code == 2
    assert called.out.startswith("Usage: trivium COMMAND")


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_without_a_verb_shows_its_verbs(folder: Any, group: str):
    called = folder(group)

    assert called.code == 2
    assert all(f"  {verb} " in called.out for verb in GROUPS[group])


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["rum"], "error TRV-1000: there is no command 'rum'\n  did you mean 'run'?\n"),
        (["xyzzy"], "error TRV-1000: there is no command 'xyzzy'\n  see trivium --help\n"),
        (["runs", "lst"], "error TRV-1000: No such command 'lst'. Did you mean 'list'?\n  see trivium runs --help\n"),
        (["--speed", "run"], "error TRV-1000: option --speed stands before the command\n  see trivium --help\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_word_that_is_no_command_gets_the_near_one(folder: Any, words: list[str], error: str):
    called = folder(*words)

    assert (called.code, called.err) == (2, error)


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (["runs", "list", "--store", "u"], ["runs", "list", "--store", "u"]),
        (["runs", "--store", "u", "list"], ["runs", "list", "--store", "u"]),
        (
            ["--store", "u", "runs", "-m", "a", "list", "-m", "b"],
            ["runs", "list", "--store", "u", "-m", "a", "-m", "b"],
        ),
        (["--store=u", "--json", "runs", "list", "x"], ["runs", "list", "--store=u", "--json", "x"]),
        (["runs", "-ma.py", "list"], ["runs", "list", "-ma.py"]),
        (["runs", "--help"], ["runs", "--help"]),
        (["runs"], ["runs"]),
        (["--store"], ["--store"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_shared_options_may_stand_between_the_words_of_a_command(words: list[str], path: list[str]):
    assert hoisted(words, 2) == path


def test_the_store_may_stand_anywhere_after_the_command(folder: Any):
    folder("run", "--store", "sqlite:///other.db", "sum.yaml", "-i", "a=1")

    assert len(folder("runs", "--store", "sqlite:///other.db", "list", "--json").json) == 1
    assert len(folder("--store", "sqlite:///other.db", "runs", "list", "--json").json) == 1
    assert folder("runs", "list", "--json").json == []


def test_an_error_of_ours_ends_with_its_own_code(capsys: pytest.CaptureFixture[str]):
    code = report(NotFound("run", "x", hint="look again"))

    assert code == 3
    assert capsys.readouterr().err == "error TRV-2001: run 'x' does not exist\n  look again\n"


def test_problems_are_said_one_by_one(capsys: pytest.CaptureFixture[str]):
    problems = [Problem("TRV-1101", "bad", "f.yaml", 3, 4), Problem("TRV-1102", "odd", "f.yaml", 5, 1, warning=True)]

    code = report(DefinitionError(problems))

    assert code == 2
    assert capsys.readouterr().err == "f.yaml:3:4: TRV-1101 bad\nf.yaml:5:1: TRV-1102 odd\nerror TRV-1001: 1 problem\n"


def test_an_unexpected_error_is_one_line_and_how_to_see_more(capsys: pytest.CaptureFixture[str]):
    code = report(RuntimeError("first\nsecond"))

    assert code == 70
    assert capsys.readouterr().err == (
        "unexpected error: RuntimeError: first\n  this is a bug; the same command with --debug shows where\n"
    )


def test_with_debug_there_is_a_traceback(folder: Any):
    folder.write("wrong.yaml", "trivium: 1\nname: wrong\nsteps:\n  - {id: a, uses: nothing}\n")

    plain = folder("run", "wrong.yaml")
    debugged = folder("run", "--debug", "wrong.yaml")

    assert "Traceback" not in plain.err
    assert "Traceback (most recent call last)" in debugged.err
    assert debugged.err.endswith(plain.err)


def test_what_a_task_group_wrapped_is_said_as_it_is():
    cause = StoreUnreachable("no disk")
    group = BaseExceptionGroup("several", [ValueError("x"), ExceptionGroup("inner", [TriviumError("y"), cause])])

    assert innermost(group) is cause


PLUGIN = """
from trivium.hooks import Command, hookimpl

@hookimpl
def trivium_commands():
    return [Command(name="greet", target="acme_greet:greet", summary="Say hello."),
            Command(name="broken", target="acme_nothing:greet", summary="Cannot be loaded.")]

def greet(name: str, loud: bool = False) -> None:
    print(f"hello {name}".upper() if loud else f"hello {name}")
"""


def test_a_plugin_brings_a_command(folder: Any):
    folder.install("acme_greet", "acme_greet", PLUGIN)

    def call(*words: str) -> tuple[int, str, str]:
        process = folder.process(*words)
        out, err = process.communicate()
        return process.returncode, out, err

    listed, called, broken = call("--help"), call("greet", "ana", "--loud"), call("broken")

    assert "  greet    Say hello." in listed[1], listed
    assert called == (0, "HELLO ANA\n", "")
    assert broken[0] == 2
    assert "error TRV-6002: command 'broken' cannot be loaded from acme_nothing:greet" in broken[2]
