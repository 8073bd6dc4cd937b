"""Telling of what foreign code raised: an exception of the user's may be broken itself."""

from __future__ import annotations


def reason_of(error: BaseException, *, limit: int = 200) -> str:
    """Type and message of an exception, in one line: `ValueError: no luck`."""
    try:
        text = str(error.msg if isinstance(error, SyntaxError) else error).partition("\n")[0]
    except Exception as broken:  # foreign code: __str__ of the user's exception
        text = f"<its __str__ raised {type(broken).__name__}>"
    return f"{type(error).__name__}: {text[:limit]}" if text else type(error).__name__
