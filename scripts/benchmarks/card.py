"""All checks that need a CUDA device, with a deadline: see scripts/check_gpu."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .figures import Figure, save

ROOT = Path(__file__).parents[2]
NEEDED = ("torch", "transformers", "triton", "accelerate", "cattrs", "filelock", "httpx", "numpy", "pyarrow", "scipy")
TESTS = ("pytest", "hypothesis", "typer", "rich", "jinja2", "sklearn", "matplotlib", "datasets")
"""What the tests import besides."""
LEAST_LEFT = {"kernel": 20, "tests": 60, "head": 30, "128k": 90, "256k": 90}
"""Seconds that must be left for a section to begin: what it takes on an H100."""


def main() -> int:
    """Check, print, write; the exit code is that of scripts/check_gpu."""
    parser = argparse.ArgumentParser(prog="scripts/check_gpu", description="Checks that need a CUDA device.")
    parser.add_argument("--out", type=Path, default=ROOT / "scripts" / "results", metavar="DIR")
    parser.add_argument("--minutes", type=float, default=10, metavar="M", help="no section begins that would end later")
    parser.add_argument("--dry-run", action="store_true", help="small sizes on the CPU: shows that the code runs")
    arguments = parser.parse_args()
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        return _cannot(f"needs {', '.join(missing)}, which {sys.executable} does not have")
    if arguments.dry_run:
        os.environ["TRITON_INTERPRET"] = "1"  # before triton is imported
    import torch

    if not arguments.dry_run and not torch.cuda.is_available():
        return _cannot("no CUDA device on this machine, so nothing was checked")
    figures = run_sections(sections(dry_run=arguments.dry_run), 60 * arguments.minutes)
    table = save(arguments.out / ("gpu-dry-run.json" if arguments.dry_run else "gpu.json"), figures)
    print(table)
    failed = [each for of_section in figures.values() for each in of_section if each.reached == "NO"]
    not_run = [name for name, of_section in figures.items() if of_section[0].name.endswith(NOT_RUN)]
    print(f"{len(failed)} goals missed, {len(not_run)} sections not run", file=sys.stderr)
    return int(bool(failed or not_run))


NOT_RUN = ": not run"


def _cannot(reason: str) -> int:
    print(f"scripts/check_gpu: {reason}", file=sys.stderr)
    return 2


def sections(*, dry_run: bool) -> dict[str, Callable[[], Sequence[Figure]]]:
    """Every section by name, the most important first."""
    from . import gpu

    shape = gpu.SMALL if dry_run else gpu.EIGHT_B
    small, large = shape.vocabularies
    vocabularies = (500, 3_000) if dry_run else gpu.VOCABULARIES
    return {
        "kernel": lambda: gpu.kernel_figures(vocabularies, shape.device),
        "head": lambda: gpu.head_figures(shape),
        "128k": lambda: gpu.shape_figures(small, shape),
        "256k": lambda: gpu.shape_figures(large, shape),
        "tests": test_figures,
    }


def run_sections(measures: dict[str, Callable[[], Sequence[Figure]]], seconds: float) -> dict[str, list[Figure]]:
    """The figures of each section; a single one without a value where it failed, or where the time was over."""
    deadline, figures = time.monotonic() + seconds, dict[str, list[Figure]]()
    for name, measure in measures.items():
        print(f"{name} …", file=sys.stderr, flush=True)
        if time.monotonic() + LEAST_LEFT[name] > deadline:
            figures[name] = [Figure(f"{name}{NOT_RUN}", None, note="the time was over")]
            continue
        try:
            figures[name] = list(measure())
        except Exception as error:  # noqa: BLE001 - the other sections are worth having; the row names the error
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            figures[name] = [Figure(f"{name}{NOT_RUN}", None, note=f"{type(error).__name__}: {reason[:200]}")]
        print("\n".join(figure.row for figure in figures[name]), file=sys.stderr, flush=True)
    return figures


def test_figures() -> list[Figure]:
    """The tests marked `gpu`; without a card they are skipped."""
    missing = [name for name in TESTS if importlib.util.find_spec(name) is None]
    if missing:
        return [Figure(f"tests{NOT_RUN}", None, note=f"they need {', '.join(missing)}")]
    files = sorted({str(path) for path in (ROOT / "tests").glob("test_*.py") if "pytest.mark.gpu" in path.read_text()})
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *files]
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300, env=environment)
    last = (ran.stdout.strip().splitlines() or [ran.stderr.strip()[-200:]])[-1]
    return [Figure("tests marked gpu: exit code of pytest", float(ran.returncode), at_most=0.0, note=last)]


if __name__ == "__main__":
    sys.exit(main())
