"""Run the benchmarks and print one table: ``python bench``, or some of them: ``python bench startup seal``."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from pathlib import Path

from table import Row, print_table

NOT_BENCHMARKS = {"__init__", "__main__", "table"}


def main(chosen: list[str]) -> int:
    """Measure, print, and fail when a bar is missed."""
    names = chosen or sorted(
        path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NOT_BENCHMARKS
    )
    rows: list[Row] = []
    for name in names:
        started = time.perf_counter()
        rows += import_module(name).run()
        print(f"{name}: measured in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    print_table(rows)
    missed = [row.what for row in rows if row.ok is False]
    if missed:
        print(f"\n{len(missed)} of {len(rows)} bars missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
