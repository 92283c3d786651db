"""Passes shared by the processes that accelerate started."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..errors import WorkerError
from ..signals import Greeting, PassesFinished, Ranks, sharing

__all__ = ["shared_by_accelerate"]


@contextmanager
def shared_by_accelerate() -> Iterator[Ranks]:
    """While it is open, the processes that ``accelerate launch`` started compute the passes of a run together.

    Every process makes the same call, such as `llm_mia.score`, with the same arguments; ``out`` is a folder that all of
    them see. Each takes ranges of passages and writes its own parts. The first process alone writes scores
    and records: in all others the block ends when the passes are finished. On a machine with CUDA devices each
    process sees an equal part of them.

    Raises:
        WorkerError: a process has failed or died; the message gives its number. The others stop, too.
    """
    from accelerate import PartialState
    from accelerate.utils import gather_object

    from ..backends.local import take_share_of_devices

    # By gloo also where there are CUDA devices: a few strings are exchanged, and a process that died is noticed.
    state = PartialState(cpu=True)
    take_share_of_devices(state.local_process_index, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))

    def exchange(greeting: Greeting) -> Sequence[Greeting]:
        try:
            greetings: list[Greeting] = gather_object([greeting])
        except RuntimeError as error:
            raise WorkerError(
                f"a process ended before the first pass began ({error}): run the same command again"
            ) from None
        return greetings

    ranks = Ranks(state.process_index, state.num_processes, exchange)
    try:
        with sharing(ranks):
            yield ranks
    except PassesFinished:
        pass
    except Exception as error:
        ranks.leave(str(error) or type(error).__name__)
        raise
    finally:
        ranks.leave()
        state.destroy_process_group()
