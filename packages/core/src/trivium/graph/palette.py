"""The colours of states: one place, for DOT and SVG alike.

Boxes are pale with dark text, whatever is behind them; what lies on the page itself (arrows, title, legend) is a grey
that reads on white and on black.
"""

from __future__ import annotations

from dataclasses import dataclass

from trivium.model.states import RunStatus, StepStatus


@dataclass(frozen=True, slots=True)
class Colours:
    """A box's colours, as `#rrggbb`."""

    fill: str
    border: str
    ink: str
    dashed: bool = False


INK = "#1f2937"
"""Labels, inside a box."""
PAGE_INK = "#6b7a90"
"""Title, legend and arrows: 4.3:1 on white, 4.4:1 on near-black."""

PLAIN = Colours("#f3f5f9", "#8a97ab", "#4a5769")
"""A step of a definition: nothing has happened to it."""

COLOURS: dict[str, Colours] = {
    "pending": Colours("#f7f8fa", "#aab4c2", "#5b6778", dashed=True),
    "queued": Colours("#e8ecfd", "#7080e0", "#3a3f9e"),
    "running": Colours("#dcebfe", "#2f7df0", "#164fb0"),
    "waiting": Colours("#fdf1cf", "#e0970c", "#83500a"),
    "completed": Colours("#dcf5e4", "#22a356", "#12663a"),
    "failed": Colours("#fde4e3", "#dc3030", "#9a1c1c"),
    "skipped": Colours("#eff2f6", "#94a2b5", "#56647a", dashed=True),
    "cancelled": Colours("#efe7fb", "#8a5fd6", "#5a2fa5"),
    "compensated": Colours("#d3f3ef", "#0e958a", "#10605a"),
}
"""By status word; in the order of the legend."""

assert set(COLOURS) == {*RunStatus, *StepStatus}


def colours(status: str | None) -> Colours:
    """Those of a status word; plain ones for None and for words of a later release."""
    return PLAIN if status is None else COLOURS.get(status, PLAIN)
