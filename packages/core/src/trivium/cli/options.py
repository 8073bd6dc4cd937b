"""What commands share: how a command is made, and the options that all of them know."""

from __future__ import annotations

from typing import Annotated

import typer

Store = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="URL", help="Where runs are kept. [env: TRIVIUM_STORE; default: sqlite:///trivium.db]"
    ),
]
Modules = Annotated[
    list[str] | None,
    typer.Option("-m", "--module", metavar="NAME", help="A module or a FILE.py with actions; repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Data as JSON.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "-i", "--input", metavar="KEY=VALUE", help="One input, read by the type that it is declared with; repeatable."
    ),
]
InputsFile = Annotated[
    str | None,
    typer.Option("--inputs", metavar="FILE.json", help="All inputs as a JSON object; - is stdin. -i wins over it."),
]
Detach = Annotated[bool, typer.Option("--detach", help="Do not wait: leave it to a worker, and print its id.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or as much of its beginning as is unique.")]


def new_app(*examples: str, group: str | None = None) -> typer.Typer:
    """An app for one command, or, with a sentence about it, for a group of them. Plain help: it reads the same in a
    pipe."""
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=group is not None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    if group is not None:
        app.callback(help=group, epilog=epilog(*examples))(_nothing)
    return app


def epilog(*examples: str) -> str:
    """Examples for the end of a help page; the mark in front keeps their lines apart."""
    return "\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples) if examples else ""


def _nothing() -> None:
    """A group does nothing by itself."""
