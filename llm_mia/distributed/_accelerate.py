"""Whether accelerate, or another launcher, started this process as one of several; nothing heavy is imported."""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["launched_rank", "started_alone"]

SIZES = {"WORLD_SIZE": "RANK", "PMI_SIZE": "PMI_RANK", "OMPI_COMM_WORLD_SIZE": "OMPI_COMM_WORLD_RANK"}
"""Variables that torchrun, Intel MPI and Open MPI set: the number of processes, and which of them this is."""


def launched_rank(environment: Mapping[str, str] | None = None) -> int | None:
    """The number of this process, where a launcher started several; None where this process is alone.

    >>> launched_rank({"WORLD_SIZE": "2", "RANK": "1"}), launched_rank({"WORLD_SIZE": "1", "RANK": "0"})
    (1, None)
    """
    variables = os.environ if environment is None else environment
    for size, rank in SIZES.items():
        if variables.get(size, "").isdecimal() and int(variables[size]) > 1 and variables.get(rank, "").isdecimal():
            return int(variables[rank])
    return None


def started_alone(environment: Mapping[str, str] | None = None) -> bool:
    """Whether accelerate was to start several processes and started one: on a CPU it does so without ``--multi_gpu``.

    >>> started_alone({"ACCELERATE_MIXED_PRECISION": "no", "MASTER_PORT": "29500"}), started_alone({})
    (True, False)
    """
    variables = os.environ if environment is None else environment
    # accelerate names the port only where it was given more than a single process or machine.
    wanted = any(name.startswith("ACCELERATE_") for name in variables) and "MASTER_PORT" in variables
    return wanted and "WORLD_SIZE" not in variables and launched_rank(variables) is None
