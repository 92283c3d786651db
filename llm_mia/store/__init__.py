"""The run directory: what is on disk is whole, and what is whole is never computed again.

Every file is written beside its place and renamed into it, so a run that is stopped at any instant leaves only whole
files. Signals lie in parts; a part holds whole blocks of passages in input order, so what remains to be done begins
where the last part ends.
"""

from ._arrow import numbers, strings
from ._directory import RunDirectory, differences
from ._files import replacing, write_text
from ._frequencies import read_frequencies, write_frequencies
from ._run import read_run
from ._signals import SignalsFolder, StoredChunk, StoredSignals, packed, text_sha256

__all__ = [
    "RunDirectory",
    "SignalsFolder",
    "StoredChunk",
    "StoredSignals",
    "differences",
    "numbers",
    "packed",
    "read_frequencies",
    "read_run",
    "replacing",
    "strings",
    "text_sha256",
    "write_frequencies",
    "write_text",
]
