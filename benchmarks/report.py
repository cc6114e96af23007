"""Report: one table for people, one document for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from benchmarks.hotspots import Hotspot
from benchmarks.rounds import Contestant, Series, Skipped

_PREFERRED = "OpenVINO bf16"


def reference_of(networks: Sequence[Contestant]) -> Contestant | None:
    """Whom the others are compared with: OpenVINO in bf16, else the fastest network."""
    preferred = [each for each in networks if each.name == _PREFERRED]
    return (preferred or sorted(networks, key=lambda each: each.seconds.median) or [None])[0]


class Report:
    """Everything measured.

    Args:
        contestants: Timed in the same rounds.
        reference: One of them: ratios are to it.
        yardsticks: Precision to the matrix product that speed is held against.
        memory: Runs timed alone.
        skipped: What was not timed.
    """

    def __init__(
        self,
        contestants: Sequence[Contestant],
        reference: Contestant | None,
        yardsticks: Mapping[str, Contestant],
        memory: Sequence[Contestant],
        skipped: Sequence[Skipped],
    ) -> None:
        self._reference = reference
        self._yardsticks = yardsticks
        self.rows = [self._row(each) for each in contestants] + [self._row(each, False) for each in memory]
        self.skipped = list(skipped)

    def _row(self, contestant: Contestant, in_rounds: bool = True) -> dict[str, Any]:
        seconds = contestant.seconds
        row: dict[str, Any] = {
            "section": contestant.section,
            "name": contestant.name,
            "ms": _summary(Series(tuple(1000.0 * value for value in seconds.values)), 2),
            "peak_mib": round(contestant.peak_mib, 1) if contestant.peak_mib is not None else None,
            "note": contestant.note,
        }
        inner = [each.engine_seconds for each in contestant.outcomes if each.engine_seconds is not None]
        if inner:
            row["engine_ms"] = _summary(Series(tuple(1000.0 * value for value in inner)), 2)
        if in_rounds and self._reference is not None:
            row["ratio"] = _summary(seconds.over(self._reference.seconds), 4)
        if contestant.flop:
            row["gflops"] = round(contestant.flop / seconds.median / 1e9, 1)
            row["useful_gflops"] = round(contestant.useful_flop / seconds.median / 1e9, 1)
        product = self._yardsticks.get(contestant.precision)
        if contestant.flop and product is not None:
            speed_ratio = product.seconds.over(seconds)  # of the same round
            row["of_matrix_product"] = round(speed_ratio.median * contestant.flop / product.flop, 4)
        return row

    def table(self) -> Table:
        """All rows in one table, under a heading for each section."""
        table = Table(title=f"times relative to {self._reference.name}" if self._reference else None)
        table.add_column("measured")
        for heading in ("ms", "least..most", "ratio", "least..most", "GFLOP/s", "useful", "of matmul", "peak MiB"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("note")
        section = ""
        for row in self.rows:
            if row["section"] != section:
                section = row["section"]
                table.add_section()
                table.add_row(f"[bold]{section}[/bold]")
            table.add_row(*_cells(row))
        return table

    def document(self) -> dict[str, Any]:
        """JSON-ready: rows, what was skipped, and the reference's name."""
        return {
            "reference": self._reference.name if self._reference else None,
            "rows": self.rows,
            "skipped": [asdict(each) for each in self.skipped],
        }


def hotspot_table(found: Sequence[Hotspot]) -> Table:
    """The engine's own costs."""
    table = Table(title="the engine's own time on one RGBA zip plate, network replaced by a stand-in (cProfile)")
    table.add_column("function")
    for heading in ("own ms", "share", "with callees ms", "calls"):
        table.add_column(heading, justify="right")
    for each in found:
        own, inclusive = f"{each.milliseconds:.0f}", f"{each.inclusive:.0f}"
        table.add_row(each.name, own, f"{each.share:.1%}", inclusive, str(each.calls))
    return table


def _summary(series: Series, digits: int) -> dict[str, Any]:
    return {
        "median": round(series.median, digits),
        "least": round(series.least, digits),
        "most": round(series.most, digits),
        "rounds": [round(value, digits) for value in series.values],
    }


def _cells(row: dict[str, Any]) -> list[str]:
    ms, ratio = row["ms"], row.get("ratio")
    note = row["note"]
    if "engine_ms" in row:
        note = f"{note}{', ' if note else ''}{row['engine_ms']['median']:.0f} ms in the engine"
    return [
        f"  {row['name']}",
        _number(ms["median"]),
        f"{_number(ms['least'])}..{_number(ms['most'])}",
        f"{ratio['median']:.2f}x" if ratio else "",
        f"{ratio['least']:.2f}..{ratio['most']:.2f}" if ratio else "",
        f"{row['gflops']:.0f}" if "gflops" in row else "",
        f"{row['useful_gflops']:.0f}" if "useful_gflops" in row else "",
        f"{row['of_matrix_product']:.0%}" if "of_matrix_product" in row else "",
        f"{row['peak_mib']:.0f}" if row["peak_mib"] is not None else "",
        note,
    ]


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"
