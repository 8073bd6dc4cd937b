"""The flows that are measured, as the YAML files that a user would write."""

from __future__ import annotations

from pathlib import Path


def chain(folder: Path, steps: int, action: str = "noop") -> Path:
    """Each step needs the one before it."""
    lines = [f"  - {{id: s0, uses: {action}}}"]
    lines += [f"  - {{id: s{number}, uses: {action}, needs: [s{number - 1}]}}" for number in range(1, steps)]
    return _write(folder, f"chain_{action}_{steps}", lines)


def fan_out(folder: Path, steps: int, action: str = "noop") -> Path:
    """Parallel steps, and a sink that needs them all."""
    lines = [f"  - {{id: s{number}, uses: {action}}}" for number in range(steps)]
    everything = ", ".join(f"s{number}" for number in range(steps))
    lines.append(f"  - {{id: sink, uses: {action}, needs: [{everything}]}}")
    return _write(folder, f"fan_out_{action}_{steps}", lines)


def _write(folder: Path, name: str, steps: list[str]) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text("\n".join(["trivium: 1", f"name: {name}", "steps:", *steps, ""]), encoding="utf-8")
    return path
