"""The "did you mean" behind every unknown name."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint for a name that is not among `known`: `did you mean 'retry'?`. None where nothing is near."""
    import difflib  # only mistakes pay for it

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else None
