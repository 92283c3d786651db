"""The CUDA devices of a machine, shared out among processes."""

from __future__ import annotations

import os

import torch

__all__ = ["share_of_devices", "take_share_of_devices"]


def share_of_devices(devices: list[str], index: int, count: int) -> list[str]:
    """The devices of process *index* of *count* on a machine: each gets equally many, or all share a few.

    >>> [share_of_devices(["0", "1", "2", "3", "4"], index, 2) for index in range(2)]
    [['0', '1'], ['2', '3']]
    >>> [share_of_devices(["0", "1"], index, 3) for index in range(3)]
    [['0'], ['1'], ['0']]
    """
    each = len(devices) // count
    return devices[index * each : (index + 1) * each] if each else devices[index % len(devices) :][:1]


def take_share_of_devices(index: int, count: int) -> None:
    """Show this process only its share of the CUDA devices, before the first of them is used.

    A model is then spread over the devices of its process, as ``device="auto"`` does.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    # Counted without opening a device: afterwards the variable would no longer be read.
    devices = named.split(",") if named is not None else [str(at) for at in range(torch.cuda.device_count())]
    if any(devices):
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(share_of_devices(devices, index, count))
