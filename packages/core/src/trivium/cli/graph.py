"""`trivium graph`."""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, assert_never

import typer

from trivium.cli.options import Json, Modules, Store, epilog, new_app
from trivium.cli.output import print_json
from trivium.cli.session import Session, find_run
from trivium.cli.shapes import picture_object
from trivium.engine.targets import nobody_takes
from trivium.errors import NotFound, UsageError

if TYPE_CHECKING:
    from trivium.graph import Drawing

app = new_app()

_RUN = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")


class Format(StrEnum):
    """What a picture can be written as."""

    DOT = "dot"
    SVG = "svg"
    PNG = "png"


@app.command(
    epilog=epilog(
        "trivium graph pipeline.yaml | dot -Tpdf -o pipeline.pdf",
        "trivium graph pipeline.yaml -o pipeline.svg",
        "trivium graph 0192f0c1 -o run.svg      # a run: states, times and attempts, and the runs it started",
    )
)
def graph(
    target: Annotated[str, typer.Argument(metavar="FLOW|RUN", help="A flow file, or a run's id or its beginning.")],
    format: Annotated[
        Format | None, typer.Option("--format", help="[default: by the file's ending, else dot]", show_default=False)
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write it. [default: stdout]")
    ] = None,
    store: Store = None,
    module: Modules = None,
    json: Json = False,
) -> None:
    """Draw a flow as it is defined, or a run as it went.

    SVG needs nothing else installed (Graphviz lays it out where it is there); PNG needs Graphviz.
    """
    session = Session(store=store, modules=module)
    chosen = None if json else _format(format, output)
    drawing = _of_run(session, target) if is_run(target) else _of_definition(session, target)
    if chosen is None:
        print_json(picture_object(drawing.picture))
        return
    data = _drawn(drawing, chosen)
    if output is not None and output != "-":
        Path(output).write_bytes(data)
    elif chosen is Format.PNG and sys.stdout.isatty():
        raise UsageError("a PNG is not for a terminal", hint="write it to a file: -o picture.png")
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def _drawn(drawing: Drawing, format: Format) -> bytes:
    match format:
        case Format.DOT:
            return drawing.to_dot().encode()
        case Format.SVG:
            return drawing.to_svg().encode()
        case Format.PNG:
            return drawing.to_png()
    assert_never(format)


def is_run(target: str) -> bool:
    """Whether a target is the beginning of a run's id and not a file's name."""
    return _RUN.fullmatch(target) is not None and not Path(target).exists()


def _of_run(session: Session, beginning: str) -> Drawing:
    from trivium.graph import Drawing, picture_of_run

    app = session.client()
    with app.storage:
        top, below = app.read_tree(find_run(app.storage, beginning))
    return Drawing(picture_of_run(top, below))


def _of_definition(session: Session, target: str) -> Drawing:
    from trivium.graph import Drawing

    for driver in session.drivers:
        found = driver.sketch(target, session.names)
        if found is not None:
            return Drawing(found)
    if ":" not in target and not Path(target).exists():
        raise NotFound("flow or run", target)
    raise nobody_takes(target, (driver.kind for driver in session.drivers))


def _format(asked: Format | None, output: str | None) -> Format:
    if asked is not None:
        return asked
    ending = Path(output).suffix.lstrip(".").lower() if output is not None else ""
    if ending in set(Format):
        return Format(ending)
    if ending and ending != "gv":
        raise UsageError(f"{output}: no picture ends in .{ending}", hint="give .dot, .svg or .png, or say --format")
    return Format.DOT
