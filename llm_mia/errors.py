"""Every error that llm_mia raises on purpose, named by what the caller can do about it.

* LlmMiaError
  * UsageError            change the arguments: a value, a combination, or a name that does not exist
    x AttackError         an attack that does not exist, lacks its evidence, or has a bad setting
  * InputError            change the data: an input file, or an array that was given
    x PassageError        a file of passages
    x ScoresError         a table of scores
  x CalibrationError      give more known non-members, or calibrate again: the data cannot certify the error rate
  x ModelError            name another model, or repair this model
  x MissingExtraError     install a package; the message holds the pip line
  x RunDirectoryError     name another folder, wait for another run, or free disk space
  x ServerError           start the server of an endpoint, or correct its address or key
  x BudgetError           allow more requests or tokens
  x WorkerError           run the same command again: a process that computed a part of the run has ended

Each message is a single line: what is wrong, where, and what to do. Messages name parameters of functions between
backticks, as in `window_tokens`; the command line replaces them by its options.
"""

__all__ = [
    "AttackError",
    "BudgetError",
    "CalibrationError",
    "InputError",
    "LlmMiaError",
    "MissingExtraError",
    "ModelError",
    "PassageError",
    "RunDirectoryError",
    "ScoresError",
    "ServerError",
    "UsageError",
    "WorkerError",
]


class LlmMiaError(Exception):
    """Base class of every error that llm_mia raises on purpose."""


class UsageError(LlmMiaError):
    """An argument that makes no sense, or arguments that contradict each other."""


class AttackError(UsageError):
    """An attack that does not exist, lacks its evidence, or was given a bad setting."""


class InputError(LlmMiaError):
    """Data that cannot be read, or that hold something that they must not hold: an input file, or an array."""


class PassageError(InputError):
    """The input holds something that cannot be a passage.

    *where* names the place (``known.jsonl line 3``), *problem* states what is wrong and what to do.
    """

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where, self.problem = where, problem


class ScoresError(InputError):
    """A table of scores that cannot be read, or that lacks a column or rows that are needed."""


class CalibrationError(LlmMiaError):
    """An error rate that the known non-members cannot certify, or a calibration that does not fit these scores."""


class ModelError(LlmMiaError):
    """A model that cannot be loaded, or that cannot be scored with."""


class MissingExtraError(LlmMiaError):
    """An optional dependency that is not installed."""

    def __init__(self, what: str, pip_line: str) -> None:
        super().__init__(f"{what} is not installed: {pip_line}")


class RunDirectoryError(LlmMiaError):
    """The run directory belongs to another run, is locked, cannot be written, or is on a full disk."""


class ServerError(LlmMiaError):
    """The server of an endpoint cannot be reached, refuses the key, or stops answering."""


class BudgetError(LlmMiaError):
    """A command has sent as many requests or tokens to endpoints as it may; the same command can go on."""


class WorkerError(LlmMiaError):
    """A process that computed a part of the run ended before it was finished; what is finished is kept."""
