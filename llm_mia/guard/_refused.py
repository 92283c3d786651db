"""Why a guard sends a request no further, as an exception that becomes the answer."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CLIENT_GONE", "Refused"]

CLIENT_GONE = 499
"""The status in the log where the client left before the end of the answer; it is never sent."""


class Refused(Exception):  # noqa: N818 - an answer, no error of this program
    """A request that is answered by the guard itself.

    Args:
        status: HTTP status.
        code: a word for programs.
        message: a sentence for the client, which repeats nothing of its text but the name of a field.
        headers: further headers of the answer.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})

    @property
    def body(self) -> dict[str, object]:
        """The answer, in the form of OpenAI's errors."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": self.message, "type": kind, "param": None, "code": self.code}}
