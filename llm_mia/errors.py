"""Every error a caller may want to catch.

* LlmMiaError
  x PassageError        the input files: what was found, where, what to do
  x AttackError         an attack that does not exist, lacks evidence, or got a bad hyper-parameter
  x ModelError          a model that cannot be loaded or cannot be scored with
  x MissingExtraError   an optional dependency is not installed; the message holds the pip line
  x ScoresError         a table of scores that cannot be read, or lacks what was asked of it
  x CalibrationError    what the calibration set cannot certify, or an artefact that does not fit
  x RunDirectoryError   the run directory: another run's, locked, unwritable, or a full disk

The message of each is one line that a user can act on; the command line prints it and nothing else.
"""

__all__ = [
    "AttackError",
    "CalibrationError",
    "LlmMiaError",
    "MissingExtraError",
    "ModelError",
    "PassageError",
    "RunDirectoryError",
    "ScoresError",
]


class LlmMiaError(Exception):
    """Base class of every error that llm_mia raises on purpose."""


class PassageError(LlmMiaError):
    """The input holds something that cannot be a passage.

    *where* names the place (``known.jsonl line 3``), *problem* says what was found and what to do.
    """

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where


class AttackError(LlmMiaError):
    """An attack that does not exist, lacks its evidence, or was given a bad hyper-parameter."""


class ModelError(LlmMiaError):
    """A model that cannot be loaded, or that cannot be scored with."""


class MissingExtraError(LlmMiaError):
    """An optional dependency that is not installed."""

    def __init__(self, what: str, pip_line: str) -> None:
        super().__init__(f"{what} is not installed: {pip_line}")


class ScoresError(LlmMiaError):
    """A table of scores that cannot be read, or that lacks what was asked of it."""


class CalibrationError(LlmMiaError):
    """What the calibration set cannot certify, or a calibration that does not fit these scores."""


class RunDirectoryError(LlmMiaError):
    """The run directory is another run's, locked, unwritable, or on a full disk."""
