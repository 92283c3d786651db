"""A process of two that score the same passages together, and that may die; run by tests/test_ranks.py."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import time
from collections.abc import Sequence

from llm_mia import write_signals
from llm_mia.backends import Report
from llm_mia.errors import LlmMiaError
from llm_mia.records import IntArray, TokenSignals, Window
from llm_mia.scoring import score_to_disk
from llm_mia.signals import Greeting, Limits, PassesFinished, Ranks, sharing

from .test_sharing import TEXTS, OfBatches


class Ending(OfBatches):
    """Ends its process, as *how* names it, at the batch number *at*; ``slow``: leaves work to the other process."""

    def __init__(self, how: str, at: int) -> None:
        super().__init__(0)
        self.tokens_per_batch = 300
        self._how, self._left = how, at

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        self._left -= 1
        if self._how == "slow":
            time.sleep(0.3)
        if self._left == 0 and self._how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._left == 0 and self._how == "failing":
            raise LlmMiaError("the card is out of memory")
        if self._left == 0 and self._how == "interrupted":
            raise KeyboardInterrupt
        return super().score(windows, report, prefix=prefix)


def run(index: int, line: socket.socket, out: str, how: str) -> None:
    """The call of a process; prints the error that ends it."""

    def exchange(greeting: Greeting) -> Sequence[Greeting]:
        line.sendall(pickle.dumps(greeting))
        other: Greeting = pickle.loads(line.recv(65536))
        return [greeting, other] if index == 0 else [other, greeting]

    ranks = Ranks(index, 2, exchange)
    ending, _, whose = how.partition(" ") if how != "none kept" else ("", "", "")
    model = Ending(ending if str(index) in whose else "slow" if whose else "", 3)
    failure = ""
    try:
        with sharing(ranks):
            if how == "none kept":
                score_to_disk(
                    TEXTS, model, attacks=["loss"], out=out, keep_signals="none", limits=Limits(block_passages=4)
                )
            else:
                write_signals(TEXTS, model, out=out, limits=Limits(block_passages=4))
    except PassesFinished:
        sys.stdout.write(f"{index} followed" + "\n")
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stdout.write(f"{index} interrupted" + "\n")
        sys.stdout.flush()
    except LlmMiaError as error:
        failure = str(error)
        sys.stdout.write(f"{index} {failure}" + "\n")
        sys.stdout.flush()
    else:
        sys.stdout.write(f"{index} led" + "\n")
        sys.stdout.flush()
    ranks.leave(failure)


if __name__ == "__main__":
    run(int(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])), *sys.argv[3:])
