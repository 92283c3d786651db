"""Every decision leaves a trace: a record that only grows, and a level that all decisions on it divide.

wanted                                               function
flags as a decision that is counted                  `flag_on_record`
a test of a collection that is counted               `judge_on_record`
the record itself                                    `History`, whose `Entry` holds no texts and no ids
how several decisions divide a level                 `level_share`
what was to be decided, fixed before the scores      `read_protocol`, `keep_protocol`, `protocol_of_run`

The record counts what the commands and `llm_mia.audit` decide. It cannot count who looks at scores without deciding, or
who deletes it.
"""

from ._deciding import flag_on_record, judge_on_record
from ._entries import Entry, Kind
from ._fingerprints import Candidates, Subject
from ._levels import level_share
from ._protocol import PROTOCOL, PlannedDecision, Protocol, keep_protocol, protocol_of_run, read_protocol
from ._record import FILE, History

__all__ = [
    "FILE",
    "PROTOCOL",
    "Candidates",
    "Entry",
    "History",
    "Kind",
    "PlannedDecision",
    "Protocol",
    "Subject",
    "flag_on_record",
    "judge_on_record",
    "keep_protocol",
    "level_share",
    "protocol_of_run",
    "read_protocol",
]
