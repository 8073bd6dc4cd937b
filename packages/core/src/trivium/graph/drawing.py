"""A picture that can be asked for every format: what `run.graph()` gives."""

from __future__ import annotations

from dataclasses import dataclass

from trivium.graph.dot import to_dot
from trivium.graph.graphviz import to_png
from trivium.graph.svg import to_svg
from trivium.model.picture import Picture


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture and its formats."""

    picture: Picture

    def to_dot(self) -> str:
        """Graphviz's language, as text."""
        return to_dot(self.picture)

    def to_svg(self) -> str:
        """An SVG document, laid out by Graphviz where it is installed."""
        return to_svg(self.picture)

    def to_png(self) -> bytes:
        """A PNG file.

        :raises ConfigError: Graphviz is not installed
        """
        return to_png(self.picture)
