"""README and docs do what they show; run_document.py has the convention, which the second half here holds it to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNNER = Path(__file__).with_name("run_document.py")
DOCUMENTS = [
    *ROOT.glob("README.md"),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("packages/*/README.md")),
]


def run_document(document: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    environment.pop("TRIVIUM_STORE", None)
    command = [sys.executable, str(RUNNER), str(document)]
    return subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.timeout(180)
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_document_does_what_it_shows(document: Path, tmp_path: Path) -> None:
    result = run_document(document, tmp_path)

    assert result.returncode == 0, result.stdout


FOUR_TICKS = "````"

TRUE = {
    "python blocks share a namespace": """
```python
number = 20
```
```python
assert number + 1 == 21
```
""",
    "python awaits at top level": """
```python
import asyncio
await asyncio.sleep(0)
```
""",
    "a file is written and importable": """
<!-- file: actions.py -->
```python
ANSWER = 42
```
```python
import actions
assert actions.ANSWER == 42
```
""",
    "a file of any language is there for commands": """
<!-- file: data/flow.yaml -->
```yaml
name: x
```
```console
$ cat data/flow.yaml
name: x
```
""",
    "output may have wildcards": """
```console
$ printf 'one 17 ms\\ntwo\\nthree\\nfour\\n'
one ... ms
...
four
```
""",
    "a wildcard line may stand for no line": """
```console
$ echo one
one
...
```
""",
    "commands go on over lines": """
```console
$ echo one \\
>   two
one two
$ echo three
```
""",
    "a failure may be expected": """
<!-- exit: 3 -->
```console
$ echo first
$ exit 3
```
""",
    "norun with a reason does not run": """
<!-- norun: there is no such thing -->
```console
$ exit 1
```
""",
    "other languages do not run": """
```text
$ exit 1
```
""",
    "a fence of four holds fences of three": f"""
{FOUR_TICKS}markdown
```console
$ exit 1
```
{FOUR_TICKS}
""",
}

FALSE = {
    "python raises": ("```python\n1 / 0\n```\n", "line 2"),
    "python does not compile": ("```python\n1 +\n```\n", "SyntaxError"),
    "command fails": ("```console\n$ exit 4\n```\n", "exits with 4, not 0"),
    "command fails before the last": ("<!-- exit: 4 -->\n```console\n$ exit 4\n$ exit 4\n```\n", "exits with 4, not 0"),
    "expected failure does not happen": ("<!-- exit: 4 -->\n```console\n$ true\n```\n", "exits with 0, not 4"),
    "output differs": ("```console\n$ echo a\nb\n```\n", "but it prints:\na"),
    "output has more lines": ("```console\n$ printf 'a\\nb\\n'\na\n```\n", "but it prints:\na\nb"),
    "script fails half way": ("```bash\nfalse\ntrue\n```\n", "exits with 1, not 0"),
    "norun has no reason": ("<!-- norun: -->\n```python\n```\n", "norun needs a reason"),
    "comment has no block": ("<!-- exit: 1 -->\n\nprose\n", "a block should follow"),
    "block has no end": ("```python\n", "no end"),
    "transcript has no command": ("```console\noutput\n```\n", "starts with a line"),
}


@pytest.mark.parametrize("text", TRUE.values(), ids=TRUE.keys())
def test_true_document_passes(text: str, tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text(text)

    result = run_document(document, tmp_path)

    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize(("text", "complaint"), FALSE.values(), ids=FALSE.keys())
def test_false_document_fails_and_says_where(text: str, complaint: str, tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text(text)

    result = run_document(document, tmp_path)

    assert result.returncode == 1
    assert complaint in result.stdout
