"""The record of decisions, which only grows, and the level that all decisions of a kind on the same candidates divide.

wanted                                               function
flags as a decision that is counted                  `flag_on_record`
a test of a collection that is counted               `judge_on_record`
the record itself                                    `History`, whose `Entry` holds no texts and no ids
how several decisions divide a level                 `level_share`
what was to be decided, fixed before the scores      `read_protocol`, `keep_protocol`, `protocol_of_run`

The record counts what the commands and `llm_mia.audit` decide. It does not notice that somebody looks at scores without
a decision, or deletes the record.
"""

from ._deciding import flag_on_record, judge_on_record
from ._entries import Entry, Kind
from ._fingerprints import Candidates, Subject
from ._levels import level_share
from ._protocol import (
    PROTOCOL,
    PlannedDecision,
    Protocol,
    keep_protocol,
    protocol_of_run,
    read_protocol,
    refuse_other_protocol,
)
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
    "refuse_other_protocol",
]
