"""Figures and their goals, as a table and as JSON."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table."""

    name: str
    value: float | None
    """None where it is not measured on this machine; *note* says why."""
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def reached(self) -> str:
        """``yes``, ``NO``, or ``–`` where there is no goal or no value."""
        if self.value is None or (self.at_most is None and self.at_least is None):
            return "–"
        high = self.at_most is not None and self.value > self.at_most
        low = self.at_least is not None and self.value < self.at_least
        return "NO" if high or low else "yes"

    @property
    def goal(self) -> str:
        """The goal, to four digits; empty where there is none."""
        ends = [f"{sign} {end:.4g}" for sign, end in (("≥", self.at_least), ("≤", self.at_most)) if end is not None]
        return ", ".join(ends)

    @property
    def row(self) -> str:
        """A row of the table."""
        value = "–" if self.value is None else f"{self.value:.4g} {self.unit}".strip()
        return f"| {self.name} | {value} | {self.goal} | {self.reached} | {self.note} |"


def medians(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Seconds that each of *ways* takes: the median over *rounds*; in a round every way runs once."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def in_a_process(code: str, *arguments: object) -> Any:
    """The JSON that *code* prints in a new interpreter, where nothing else has been loaded into memory."""
    folder = Path(__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    return json.loads(run.stdout)


def machine() -> dict[str, Any]:
    """Processor, versions and threads: what the figures depend on besides the code."""
    import torch

    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        cpu = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor()
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("llm-mia", "torch", "transformers", "numpy", "pyarrow")},
    }


def save(path: Path, figures_by_section: Mapping[str, Sequence[Figure]], about_goals: str = "") -> str:
    """A table of all sections in the JSON file *path*, after the given sections have replaced those of the same names.

    Sections of another machine or of other versions are dropped. *about_goals* is printed above the table.
    """
    about = machine()
    sections: dict[str, Any] = {}
    if path.exists():
        before = json.loads(path.read_text("utf-8"))
        sections = before["sections"] if before["machine"] == about else {}
    today = datetime.date.today().isoformat()
    sections |= {
        name: {"date": today, "figures": [asdict(f) for f in figures]} for name, figures in figures_by_section.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": about, "sections": sections}, indent=2, ensure_ascii=False) + "\n", "utf-8")
    lines = [", ".join(f"{name} {value}" for name, value in about.items()), ""]
    lines += [about_goals, ""] if about_goals else []
    lines += ["| figure | measured | to reach | reached | note |", "|---|--:|---|---|---|"]
    lines += [Figure(**f).row for section in sections.values() for f in section["figures"]]
    table = "\n".join(lines) + "\n"
    path.with_suffix(".md").write_text(table, "utf-8")
    return table
