"""The run directory: every file on disk is complete, and what is on disk is never computed again.

Every file is written under another name and renamed when all of it is on the disk, so a run that is stopped at any
instant leaves only complete files. A file that only grows is the exception: its last line may be incomplete. Signals
lie in parts. A part holds consecutive passages, and its name is their range, so the names of the files show what is
missing.
"""

from ._arrow import as_numpy, numbers, plain_values, strings
from ._atomic import replacing, write_text, writing
from ._chunk import StoredChunk, StoredSignals
from ._directory import ALL_FIELDS, RunDirectory, UnwrittenRun, differences, not_kept, read_run, read_signals
from ._frequencies import read_frequencies, write_frequencies
from ._json import RecordError, from_json, read_record, to_json
from ._lines import append_line, locked, read_lines
from ._part_file import samples_table, signals_table
from ._signals import Part, SignalsFolder
from ._texts import StoredText, beginning_of, read_beginnings, read_texts, remove_texts, write_texts

__all__ = [
    "ALL_FIELDS",
    "Part",
    "RecordError",
    "RunDirectory",
    "SignalsFolder",
    "StoredChunk",
    "StoredSignals",
    "StoredText",
    "UnwrittenRun",
    "append_line",
    "as_numpy",
    "beginning_of",
    "differences",
    "from_json",
    "locked",
    "not_kept",
    "numbers",
    "plain_values",
    "read_beginnings",
    "read_frequencies",
    "read_lines",
    "read_record",
    "read_run",
    "read_signals",
    "read_texts",
    "remove_texts",
    "replacing",
    "samples_table",
    "signals_table",
    "strings",
    "to_json",
    "write_frequencies",
    "write_text",
    "write_texts",
    "writing",
]
