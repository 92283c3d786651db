"""The command that protects a model server: guard."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from . import _options as opt
from .output import say, show, show_json
from .parameters import spelled

if TYPE_CHECKING:
    from ..guard import Policy

__all__ = ["guard"]

SERVER = "Server"


def guard(
    upstream: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The OpenAI-compatible server behind the guard, as in http://127.0.0.1:8000/v1.",
            show_default="required, except with --print-policy",
            rich_help_panel=SERVER,
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file with the policy; a setting that it leaves out has its default. --print-policy prints such "
            "a file.",
            show_default="the default policy",
        ),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The query log, for 'llm-mia monitor': a line is appended for each prompt. The policy says what is "
            "kept of a prompt.",
            show_default="no log",
            rich_help_panel=opt.OUTPUT,
        ),
    ] = None,
    secret: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="File with the secret on which the names of clients, the noise and the sketches of prompts depend; it "
            "is written if it does not exist. If LLM_MIA_GUARD_SECRET is set in the environment, it is used instead.",
        ),
    ] = Path("guard.secret"),
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on; 0.0.0.0 means all addresses of this machine.",
            rich_help_panel=SERVER,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", help="Port to listen on; 0 means any free port.", rich_help_panel=SERVER)
    ] = 8100,
    print_policy: Annotated[
        bool,
        typer.Option("--print-policy", help="Print a policy with every setting and its default, and start nothing."),
    ] = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Hide or blur the log-probabilities of a model server, limit clients and log queries: a proxy in front of it.

    It runs until it is interrupted (Ctrl-C), and then prints how many requests it has answered.
    """
    from ..guard import Policy, Secret, policy_text, read_policy, serve_guard

    rules = Policy() if policy is None else read_policy(policy)
    if print_policy:
        print(policy_text(rules), end="")
        return
    if upstream is None:
        raise UsageError("name the model server as `upstream`, as in http://127.0.0.1:8000/v1")

    is_new = not secret.exists()

    def started(address: str) -> None:
        if not quiet:
            say(f"guard: {address} in front of {upstream}; interrupt it to stop")
            say(f"{_policy_words(policy, rules)}, {_log_words(log)}, {_secret_words(secret, is_new=is_new)}")

    served = serve_guard(
        upstream,
        rules,
        log=log,
        secret=Secret.read(secret),
        host=host,
        port=port,
        report=lambda message: say(f"note: {message}"),
        started=started,
    )
    from ..report import guard_screen, guard_summary  # not before: they need far more memory than the guard

    if as_json:
        show_json(guard_summary(served, log))
    else:
        show(guard_screen(served, log))


def _policy_words(file: Path | None, rules: Policy) -> str:
    """Where the policy is from, and what it decides first."""
    shown = rules.logprobs
    name = "default policy" if file is None else f"policy {file}"
    return f"{name} (prompt {shown.prompt.value}, top {shown.top})"


def _log_words(file: Path | None) -> str:
    return f"no log ({spelled('`log`')} names a file)" if file is None else f"log {file}"


def _secret_words(file: Path, *, is_new: bool) -> str:
    from ..guard import SECRET_VARIABLE

    if os.environ.get(SECRET_VARIABLE):
        return f"secret from {SECRET_VARIABLE}"
    return f"secret {file}{' (new)' if is_new else ''}"
