"""Memory does not grow with the number of passages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MEMORY = """
import re, sys
from pathlib import Path
import llm_mia.backends.checking
from llm_mia.backends.fake import FakeBackend
from llm_mia.cli import main
llm_mia.backends.checking.check_model = lambda *_, **__: None
llm_mia.backends.loading.load_model = lambda *_, **__: FakeBackend()
code = main(sys.argv[1:])
# Not ru_maxrss: that begins with what the parent held when it forked.
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1], file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    """The first fill a part; the least that the others could take, were they held, is 70 MB of signals."""
    peaks = []
    for count in (12_000, 40_000):
        path = tmp_path / f"{count}.jsonl"
        path.write_text("".join(f'{{"id": "p{i}", "text": "{i:07} {"A few words. " * 7}"}}\n' for i in range(count)))
        arguments = ["score", str(path), "-m", "m", "-a", "loss", "-q", "-o", str(tmp_path / f"run{count}")]
        ran = subprocess.run([sys.executable, "-c", MEMORY, *arguments], capture_output=True, text=True, check=True)
        peaks.append(int(ran.stderr) / 1024)
    sys.stdout.write(f"{peaks[0]:.0f} MiB for 12,000 passages, {peaks[1]:.0f} for 40,000\n")  # pytest -rP shows it
    assert peaks[1] - peaks[0] < 40
