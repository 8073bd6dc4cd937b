"""Runs what a Markdown document shows, in the working directory: `python run_document.py DOCUMENT.md`.

What a reader may try, runs; what does not run says why:

* `python` blocks run in their order, in one namespace; `await` may stand at their top level.
* `console` blocks are transcripts. A line `$ command` runs in a shell of its own (a line ending in a backslash goes on
  in the next) and must exit 0. If lines of output follow, they must be what it prints (stdout and stderr together);
  `...` in a line stands for anything, alone on a line for any lines.
* `bash` and `sh` blocks are scripts and must exit 0.
* Every other block is only looked at by readers.

An HTML comment on the line before a block changes that:

* `<!-- file: NAME -->`      the block, of any language, is written to that file
* `<!-- exit: N -->`         the block's last command exits with N
* `<!-- norun: REASON -->`   the block is not run
"""

import ast
import asyncio
import inspect
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<language>[\w+-]*).*$")
COMMENT = re.compile(r"^ *<!-- *(?P<key>file|exit|norun): *(?P<value>.*?) *-->$")
SHELL = ["bash", "-eu", "-o", "pipefail", "-c"]


class Mismatch(Exception):
    """The document shows something other than what happens."""


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int  # of its first line of text, from 1
    marks: dict[str, str] = field(default_factory=dict)


def blocks(document: str) -> Iterator[Block]:
    marks: dict[str, str] = {}
    lines = enumerate(document.splitlines(), start=1)
    for number, line in lines:
        if comment := COMMENT.match(line):
            marks[comment["key"]] = comment["value"]
        elif fence := FENCE.match(line):
            body: list[str] = []
            closing = re.compile(rf"^ *{re.escape(fence['fence'])}[`~]* *$")
            for _, inner in lines:
                if closing.match(inner):
                    break
                body.append(inner.removeprefix(fence["indent"]))
            else:
                raise Mismatch(f"line {number}: this block has no end")
            yield Block(fence["language"], "\n".join(body) + "\n", number + 1, marks)
            marks = {}
        elif line.strip():
            if marks:
                raise Mismatch(f"line {number}: a block should follow the comment {marks}")
            marks = {}


def run(path: Path) -> None:
    namespace: dict[str, object] = {"__name__": "__document__"}
    for block in blocks(path.read_text("utf-8")):
        if "norun" in block.marks:
            if not block.marks["norun"]:
                raise Mismatch(f"line {block.line}: norun needs a reason")
        elif name := block.marks.get("file"):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(block.text, "utf-8")
        elif block.language == "python":
            run_python(block, path, namespace)
        elif block.language == "console":
            run_transcript(block)
        elif block.language in ("bash", "sh"):
            run_command(block.text, block.line, int(block.marks.get("exit", 0)))


def run_python(block: Block, path: Path, namespace: dict[str, object]) -> None:
    source = "\n" * (block.line - 1) + block.text  # so that a traceback names the document's own lines
    code = compile(source, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    result = eval(code, namespace)
    if inspect.iscoroutine(result):
        asyncio.run(result)


def run_transcript(block: Block) -> None:
    commands = list(transcript(block))
    for place, (line, command, expected) in enumerate(commands, start=1):
        last = place == len(commands)
        output = run_command(command, line, int(block.marks.get("exit", 0)) if last else 0)
        if expected.strip() and not matches(expected, output):
            raise Mismatch(f"line {line}: $ {command}\nthe document shows:\n{expected}\nbut it prints:\n{output}")


def transcript(block: Block) -> Iterator[tuple[int, str, str]]:
    """Its commands, each with its line and the output shown below it."""
    lines = block.text.splitlines()
    if not lines or not lines[0].startswith("$ "):
        raise Mismatch(f"line {block.line}: a console block starts with a line `$ command`")
    at = 0
    while at < len(lines):
        start, command = at, lines[at].removeprefix("$ ")
        while lines[at].endswith("\\") and at + 1 < len(lines):
            at += 1
            command += "\n" + lines[at].removeprefix("> ")
        at += 1
        output_starts = at
        while at < len(lines) and not lines[at].startswith("$ "):
            at += 1
        yield block.line + start, command, "\n".join(lines[output_starts:at])


def run_command(command: str, line: int, code: int) -> str:
    result = subprocess.run([*SHELL, command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != code:
        raise Mismatch(f"line {line}: $ {command}\nexits with {result.returncode}, not {code}:\n{result.stdout}")
    return result.stdout


def matches(expected: str, output: str) -> bool:
    def lines(text: str) -> str:
        return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())

    pattern = re.escape(lines(expected))
    pattern = re.sub(r"^ *\\\.\\\.\\\.\\?\n", lambda _: "(?:.*\n)*?", pattern, flags=re.MULTILINE)
    pattern = pattern.replace(r"\.\.\.", ".*?")
    return re.fullmatch(pattern, lines(output)) is not None


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())  # the document's own files are importable, this folder's are not
    try:
        run(Path(sys.argv[1]))
    except Mismatch as mismatch:
        sys.exit(f"{sys.argv[1]}: {mismatch}")
    except Exception:
        traceback.print_exc()
        sys.exit(1)
