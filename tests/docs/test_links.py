"""Links between the documents of this repository lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "packages/*/*.md", "examples/**/*.md", "benchmarks/**/*.md")
    for path in ROOT.glob(pattern)
)
FENCED = re.compile(r"^ *(```+|~~~+).*?^ *\1[`~]* *$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\[[^\]]*\]\(<?(?P<inline>[^)\s>]+)[^)]*\)|^\[[^\]]+\]: *(?P<reference>\S+)", re.MULTILINE)
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")


def relative_links(text: str) -> Iterator[str]:
    for link in LINK.finditer(INLINE_CODE.sub("", FENCED.sub("", text))):
        target = link["inline"] or link["reference"]
        if not ELSEWHERE.match(target):
            yield unquote(target)


def anchors(text: str) -> set[str]:
    """What a forge makes of headings: lower case, no punctuation, dashes for blanks, numbered when repeated."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCED.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        number = 0
        while (anchor := slug if number == 0 else f"{slug}-{number}") in found:
            number += 1
        found.add(anchor)
    return found


def broken_links(document: Path) -> list[str]:
    text = document.read_text("utf-8")
    broken = []
    for link in relative_links(text):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target.read_text("utf-8"))
        ):
            broken.append(link)
    return broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    assert broken_links(document) == []


def test_broken_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A heading, `coded`\n\n```\n# no heading\n```\n")
    document = tmp_path / "document.md"
    document.write_text(
        "[a](other.md) [b](other.md#a-heading-coded) [c](https://example.org/x) `[d](code.md)` [own](#gone)\n"
        "[e](missing.md) [f](other.md#no-heading)\n\n```\n[g](code.md)\n```\n\n[h]: gone.md\n"
    )

    assert broken_links(document) == ["#gone", "missing.md", "other.md#no-heading", "gone.md"]
