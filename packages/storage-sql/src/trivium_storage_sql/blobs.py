"""The blob rule: text over 64 KB stands once in `blobs`, under its hash, and its column holds a reference.

A reference begins with `@`, which no canonical JSON text does, so the two cannot be confused and no column says which
of them it holds. Who refers to a blob is kept in `blob_refs`: a reference may outlive the row that needed it (a
consumed inbox item) until its run is pruned, never the other way round.
"""

from __future__ import annotations

from collections.abc import Callable

from trivium.json import digest

BLOB_THRESHOLD = 64 * 1024
PREFIX = "@sha256:"


def needs_blob(text: str) -> bool:
    """Whether the text has more than 64 KB of UTF-8."""
    if len(text) <= BLOB_THRESHOLD // 4:
        return False
    return len(text) > BLOB_THRESHOLD or len(text.encode()) > BLOB_THRESHOLD


def reference(text: str) -> str:
    """What the column holds instead of `text`."""
    return PREFIX + digest(text)


def hash_of(stored: str) -> str | None:
    """The hash that a stored column refers to, or None where it holds the text itself."""
    return stored[len(PREFIX) :] if stored.startswith(PREFIX) else None


def resolved(stored: str, read: Callable[[str], str]) -> str:
    """The text of a stored column; `read` looks a hash up in `blobs`."""
    found = hash_of(stored)
    return stored if found is None else read(found)
