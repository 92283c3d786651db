"""What the browser lets the page do: run its script, use its style, and nothing else."""

from __future__ import annotations

from .._templates import policy_digest

__all__ = ["content_security_policy"]


def content_security_policy(style: str, script: str) -> str:
    """The policy under which only this *style* and this *script* take effect, and no request is possible.

    Style attributes are refused, too: figures carry their colours as attributes of SVG.

    >>> content_security_policy("", "").split("; ")[0]
    "default-src 'none'"
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{policy_digest(script)}'" if script else "script-src 'none'",
            f"style-src '{policy_digest(style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
