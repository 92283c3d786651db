"""What ``llm-mia audit`` finds through the guard, in front of the Python server of llama.cpp, by policy.

The commands are those that an auditor types. The server is that of the tests (tests/llama_server.py), so the
repository must be importable: ``PYTHONPATH=.``.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from llm_mia.guard import read_policy

from .guard_attacks import POLICIES, guard_here, trained_models

__all__ = ["Audited", "audit_rows", "audited_table"]

CANDIDATES, KNOWN = 30, 60
"""Members that are candidates; members, and as many held out, that are known."""
FPR = 0.1
LONGEST_TOKEN = 31
"""Bytes of a token that llama-cpp-python can write: its buffer has 32."""
ATTACKS = ("reference", "loss")
Interval = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Audited:
    """What came out under a policy."""

    name: str
    seconds: float
    code: int
    """Exit code of ``llm-mia audit``."""
    message: str
    """The line with which it refuses, if it does."""
    flagged: int | None = None
    """Candidates that it flags, all of which are members."""
    auroc: dict[str, Interval] | None = None
    """Of each attack, between known members and known non-members, as ``llm-mia evaluate`` shows it."""


def _command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "llm_mia", *map(str, words)]
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


def _write(path: Path, texts: Sequence[str]) -> Path:
    rows = [json.dumps({"id": f"{path.stem}-{at}", "text": text}) for at, text in enumerate(texts)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def _audited(name: str, address: str, work: Path, attacks: Sequence[str], more: Sequence[str | Path]) -> Audited:
    """Audit the model behind *address* by the command, and evaluate what it leaves."""
    run = work / f"audit-{time.time_ns()}"
    words = [word for attack in attacks for word in ("-a", attack)]
    began = time.monotonic()
    done = _command(
        *("audit", work / "candidates.jsonl", "--members", work / "members.jsonl"),
        *("--nonmembers", work / "nonmembers.jsonl", "-m", f"openai:small@{address}", *words, *more),
        *("--stand-in", "none", "--fpr", str(FPR), "--no-report", "--json", "-q", "-o", run),
    )
    seconds = time.monotonic() - began
    if done.returncode not in (0, 3, 4):
        return Audited(name, seconds, done.returncode, _message(done.stderr, address))
    shown = json.loads(_command("evaluate", run, "--json").stdout)
    return Audited(name, seconds, done.returncode, "", _flagged(run), _aurocs(shown))


def _message(stderr: str, address: str) -> str:
    """The line with which a command refuses, without the port, which is another each time."""
    lines = [line for line in stderr.replace(address, "http://GUARD/v1").splitlines() if line.startswith("llm-mia: ")]
    return lines[-1].removeprefix("llm-mia: ").replace("|", "\\|") if lines else stderr[-300:]


def _flagged(run: Path) -> int:
    with (run / "flags.csv").open(encoding="utf-8", newline="") as table:
        return sum(row["flagged"] == "true" for row in csv.DictReader(table))


def _aurocs(shown: dict[str, Any]) -> dict[str, Interval]:
    intervals = {name: each["auroc"] for name, each in shown["attacks"].items()}
    return {name: (each["value"], each["low"], each["high"]) for name, each in intervals.items()}


def _spelled(target: Path, texts: Sequence[str]) -> list[str]:
    """Those of *texts* whose tokens the server can name: one of more bytes comes back as an empty text."""
    tokenizer = Tokenizer.from_file(str(target / "tokenizer.json"))
    return [text for text in texts if all(len(token) <= LONGEST_TOKEN for token in tokenizer.encode(text).tokens)]


def audit_rows(work: Path, policies: Sequence[str] = ()) -> list[Audited]:
    """A row for each of the *policies*, or for all of them; and what the text alone gives under the default."""
    from tests.llama_server import running_llama
    from tests.test_loading_gguf import write_gguf

    target, base, members, held = trained_models(work)
    write_gguf(target, work / "target.gguf")
    members, held = _spelled(target, members), _spelled(target, held)
    _write(work / "candidates.jsonl", members[:CANDIDATES])
    _write(work / "members.jsonl", members[CANDIDATES : CANDIDATES + KNOWN])
    _write(work / "nonmembers.jsonl", held[:KNOWN])
    rows = []
    with running_llama(work / "llama.log", work / "target.gguf") as server:
        upstream = server.partition("@")[2]
        for name, settings in POLICIES.items():
            if policies and name not in policies:
                continue
            (work / "guard.toml").write_text(f"[logprobs]\n{settings}", "utf-8")
            with guard_here(upstream, read_policy(work / "guard.toml")) as address:
                rows.append(_audited(name, address, work, ATTACKS, ["-r", base]))
                if not settings:  # the default
                    samples = ["--samples", "5", "--sample-tokens", "30"]
                    rows.append(_audited(f"{name}: by text alone", address, work, ["samia"], samples))
            print("\n".join(json.dumps(asdict(row)) for row in rows[-2:]), file=sys.stderr, flush=True)
    return rows


def audited_table(rows: Sequence[Audited]) -> str:
    """The rows in Markdown."""
    lines = [
        "## What `llm-mia audit` finds through the guard",
        "",
        f"The same model as above, as a GGUF file behind the Python server of llama.cpp. `llm-mia audit` has "
        f"{CANDIDATES} candidates, all of them members, {KNOWN} known members and {KNOWN} known non-members, and the "
        "model before its last training as the reference; `llm-mia evaluate` gives the AUROC over the known passages. "
        f"Flags are at a false positive rate of {FPR:.0%}. Where no log-probabilities of a prompt come back, the "
        "command refuses before a passage is sent. Passages with a token of more than "
        f"{LONGEST_TOKEN} bytes are left out: this server returns such a token as an empty text.",
        "",
        f"| policy | AUROC of loss | AUROC of reference | AUROC of samia | flagged of {CANDIDATES} | answer |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        shown = [
            "{:.3f} ({:.3f}–{:.3f})".format(*row.auroc[name]) if row.auroc and name in row.auroc else "–"
            for name in ("loss", "reference", "samia")
        ]
        answer = row.message or f"exit code {row.code}"
        flagged = "–" if row.flagged is None else row.flagged
        lines.append(f"| {row.name} | {' | '.join(shown)} | {flagged} | {answer} |")
    return "\n".join(lines) + "\n"
