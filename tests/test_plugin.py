"""Attacks of other packages, found by their entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

PLUGIN = Path(__file__).parent / "plugin"
RUN = "import sys; from llm_mia.cli import main; sys.exit(main(sys.argv[1:]))"


def installed(folder: Path, module: str) -> None:
    """Lay the plugin into *folder* as pip would: its module, and the entry points of its pyproject.toml."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text("utf-8"))["project"]
    (folder / "llm_mia_median.py").write_text(module, "utf-8")
    about = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", "utf-8"
    )
    points = project["entry-points"]["llm_mia.attacks"]
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (about / "entry_points.txt").write_text(f"[llm_mia.attacks]\n{lines}", "utf-8")


def llm_mia(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_installed_package_adds_its_attack(tmp_path: Path) -> None:
    installed(tmp_path, (PLUGIN / "llm_mia_median.py").read_text("utf-8"))
    listed = llm_mia(tmp_path, "attacks", "--json")
    assert listed.returncode == 0, listed.stderr
    about = json.loads(listed.stdout)
    assert about["median"]["formula"] == "median_t max(log p(x_t | x_<t), floor)"
    assert "loss" in about
    one = llm_mia(tmp_path, "attacks", "median:floor=-10", "--json")
    assert json.loads(one.stdout)["median:floor=-10"]["settings"] == {"floor": -10.0}
    assert "median" not in json.loads(llm_mia(tmp_path / "elsewhere", "attacks", "--json").stdout)


def test_a_package_that_cannot_be_loaded_is_named_in_one_line(tmp_path: Path) -> None:
    installed(tmp_path, "raise OSError('its data is gone')\n")
    listed = llm_mia(tmp_path, "attacks")
    assert listed.returncode == 2
    assert listed.stderr.splitlines() == [
        "llm-mia: the attacks of package 'llm-mia-median' can't be loaded (OSError: its data is gone): mend it, or pip "
        "uninstall llm-mia-median"
    ]


def test_an_attack_that_needs_no_search_is_found_without_one(tmp_path: Path) -> None:
    installed(tmp_path, "raise OSError('its data is gone')\n")
    assert llm_mia(tmp_path, "attacks", "loss").returncode == 0
