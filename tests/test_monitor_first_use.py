"""What somebody meets who gives the monitor a log for the first time: wrong files, no clients, too few of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_mia.errors import UsageError
from llm_mia.monitor import monitor

from . import monitored_logs as logs

RATE = 0.05


def test_a_log_that_is_its_benign_log_is_refused(tmp_path: Path) -> None:
    log = logs.write_log(tmp_path / "log.jsonl", logs.benign_queries(3, 1))
    (tmp_path / "link.jsonl").symlink_to(log)
    for same, message in ((log, "is also the benign log"), (tmp_path / "link.jsonl", "is also the benign log")):
        with pytest.raises(UsageError, match=message):
            monitor(log, benign=same, out=tmp_path / "out", false_alarms=RATE)
    (tmp_path / "copy.jsonl").write_bytes(log.read_bytes())
    with pytest.raises(UsageError, match=r"has the same content as .*copy\.jsonl, the benign log"):
        monitor(log, benign=[tmp_path / "copy.jsonl"], out=tmp_path / "out", false_alarms=RATE)
    assert not (tmp_path / "out").exists()
