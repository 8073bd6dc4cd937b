"""From a URL to a storage."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from trivium.clock import Clock, SystemClock
from trivium.errors import ConfigError, MissingPackage
from trivium.storage.memory import MemoryStorage
from trivium.storage.port import Storage

Opener: TypeAlias = Callable[[str, Clock], Storage]
"""Makes a storage, not yet opened, from a URL and the clock that it goes by."""

BUILT_IN: Mapping[str, Opener] = {"memory": MemoryStorage}
SIBLINGS = {"sqlite": "sqlite"}
"""Schemes that packages of ours serve, and the extra that installs them."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_SECRET_OPTION = re.compile(r"(?i)([?&;][^=&;]*(?:pass|pwd|secret|token|key)[^=&;]*=)[^&;#]*")


def open_storage(url: str, *, clock: Clock | None = None, openers: Mapping[str, Opener] | None = None) -> Storage:
    """The storage that serves this URL; `open()` it, or enter it with `with`.

    `openers` are those of the plugins, by scheme; `memory:` is always there.

    :raises ConfigError: the URL has no scheme, or one that nobody serves
    :raises MissingPackage: one that a package serves which is not installed
    """
    known = {**BUILT_IN, **(openers or {})}
    match = _SCHEME.match(url)
    if match is None:
        raise ConfigError(
            f"{redacted(url)!r} is not the URL of a store: it has no scheme",
            hint=f"a file is sqlite:///{redacted(url)}; known are {_listed(known)}",
        )
    scheme = match[1].lower()
    opener = known.get(scheme)
    if opener is not None:
        return opener(url, clock or SystemClock())
    if scheme in SIBLINGS:
        raise MissingPackage(f"a store at {scheme}:", SIBLINGS[scheme])
    raise ConfigError(f"no storage serves {scheme!r} of {redacted(url)!r}", hint=f"known are {_listed(known)}")


def redacted(url: str) -> str:
    """The URL without its secrets, for errors and logs: passwords, and the values of options that sound like one."""
    head, slashes, rest = url.partition("//")
    if "@" in rest and not rest.startswith("/"):
        # Up to the last `@`: a password may hold `/`, `?` and `@`, unescaped.
        who, _, rest = rest.rpartition("@")
        user, colon, _ = who.partition(":")
        rest = f"{user}:***@{rest}" if colon else f"***@{rest}"  # a lone word may be a token
    return _SECRET_OPTION.sub(r"\1***", head + slashes + rest)


def _listed(known: Mapping[str, Opener]) -> str:
    return ", ".join(f"{scheme}:" for scheme in sorted(known))
