"""`python -m benchmarks [NAME...] [--json FILE] [--markdown FILE] [--quick]`, and `python -m benchmarks profile`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks import account, chain, cold, fan_out, files, latency, long_run, many_runs, report, resume
from benchmarks.report import Figure
from benchmarks.setting import Setting, on_this_disk

BENCHMARKS: Mapping[str, Callable[[Setting], Iterator[Figure]]] = {
    "chain": chain.measure,
    "fan-out": fan_out.measure,
    "many-runs": many_runs.measure,
    "resume": resume.measure,
    "cold": cold.measure,
    "latency": latency.measure,
    "long-run": long_run.measure,
    "files": files.measure,
}
PROFILE = "profile"


def main() -> int:
    names = ", ".join(BENCHMARKS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{names} (all of them if none is named), or {PROFILE}, alone"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there, too")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work: to see that it runs, not how fast")
    options = parser.parse_args()
    chosen: list[str] = options.names or list(BENCHMARKS)
    unknown = sorted(set(chosen) - {*BENCHMARKS, PROFILE})
    if unknown or (PROFILE in chosen and len(chosen) > 1):
        parser.error(f"{', '.join(unknown) or PROFILE}: give some of {names}, or {PROFILE} alone")

    busy = report.busy()
    with on_this_disk() as folder:
        setting = Setting(folder, quick=options.quick)
        if chosen == [PROFILE]:
            print(account.text(setting))
            return 0
        figures: list[Figure] = []
        for name in chosen:
            for figure in BENCHMARKS[name](setting):
                figures.append(figure)
                print(" | ".join(cell for cell in report.cells(figure) if cell), file=sys.stderr, flush=True)

    print(f"\n{', '.join(f'{key} {value}' for key, value in report.machine().items())}\n")
    print(report.plain(figures))
    if busy:
        print(f"The machine was busy when this began ({busy}), so nothing here counts: limits and figures both jump.")
    if options.quick:
        print("Quick: a tenth of the work, so nothing here counts.")
    if options.json is not None:
        options.json.write_text(report.to_json(figures, quick=options.quick) + "\n", encoding="utf-8")
    if options.markdown is not None:
        options.markdown.write_text(report.markdown(figures) + "\n", encoding="utf-8")
    missed = [figure for figure in figures if figure.passed is False]
    print(f"\n{len(missed)} of {sum(figure.passed is not None for figure in figures)} figures are missed")
    return 0 if options.quick else int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
