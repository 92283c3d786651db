"""The commands about canaries: variants of documents, of which one, drawn at random, is published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from . import _options as opt
from ._groups import ReadingOptions
from .output import say, show, show_json
from .progress import progress_bars

if TYPE_CHECKING:
    from ..canary import SentenceRule

__all__ = ["draw", "make", "verify"]

SENTENCES = "Sentences of --kind insert"

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of 'llm-mia canary make'.", show_default=False)]
BEACON = "a public value that nobody could choose, such as the randomness of a round of drand"


def make(
    texts: Annotated[
        str,
        typer.Argument(
            help=f"The texts to publish: {opt.INPUT_KINDS}. A document is all passages that name it, else a passage.",
            show_default=False,
        ),
    ],
    reading: ReadingOptions,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="DIR",
            help="A new folder, for manifest.json, sealed/ and public/.",
            rich_help_panel=opt.OUTPUT,
        ),
    ],
    kind: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="How variants differ. rephrase: texts that you supply by --from; insert: a sentence that a model "
            "writes, at the same place; token: random words of the texts, at the same place.",
        ),
    ],
    rephrased: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="With --kind rephrase: further variants, a row for each with the columns document and text, by any "
            "paraphraser or editor. The text itself is the first variant.",
            show_default="none",
        ),
    ] = None,
    variants: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help="Variants of each document, of which 1 becomes public.",
            show_default="8; with --kind rephrase all that are supplied",
        ),
    ] = None,
    beacon: Annotated[
        str | None,
        typer.Option(
            metavar="VALUE",
            help=f"Draw at once by this value: {BEACON}. It must not have been known when the texts were sealed, so "
            "--beacon-source is better.",
            show_default="none: the draw rests on the secret alone",
        ),
    ] = None,
    beacon_source: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS",
            help="Do not draw yet: where the value will come from, as in 'drand round 4791000'. Publish the root, and "
            "draw with 'llm-mia canary draw'.",
            show_default="none",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model",
            metavar="MODEL",
            help="The model that writes the sentences: hub id, folder, GGUF file or 'embedded'.",
            show_default="embedded",
            rich_help_panel=SENTENCES,
        ),
    ] = None,
    perplexity: Annotated[
        str | None,
        typer.Option(
            metavar="LOW-HIGH",
            help="The perplexity of the sentences under that model.",
            show_default="20-200",
            rich_help_panel=SENTENCES,
        ),
    ] = None,
    trap_tokens: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help="The tokens of each sentence, also when it is read again.",
            show_default="24",
            rich_help_panel=SENTENCES,
        ),
    ] = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Seal several variants of each document, and draw at random which becomes public."""
    from ..canary import make_canaries
    from ..report.words import sealed_lines, sealing_summary

    whole = reading.of_whole_texts()
    with progress_bars(quiet) as progress:
        written = make_canaries(
            whole.read_unlabelled(texts, "texts"),
            out=out,
            kind=kind,
            variants=variants,
            rephrased=None if rephrased is None else whole.read_unlabelled(rephrased, "rephrased"),
            model=model,
            sentences=_rule(perplexity, trap_tokens),
            beacon=beacon,
            beacon_source=beacon_source,
            progress=progress,
        )
    if as_json:
        show_json(sealing_summary(written))
        return
    for note in written.notes:
        say(f"note: {note}")
    show(sealed_lines(written))


def _rule(perplexity: str | None, tokens: int | None) -> SentenceRule | None:
    from ..canary import SentenceRule

    if perplexity is None and tokens is None:
        return None
    usual = SentenceRule()
    low, high = usual.low, usual.high
    if perplexity is not None:
        try:
            low, high = map(float, perplexity.split("-"))
        except ValueError:
            raise UsageError(f"`perplexity` is {perplexity!r}: give LOW-HIGH, as in 20-200") from None
    return SentenceRule(low, high, usual.tokens if tokens is None else tokens)


def draw(
    folder: Folder,
    beacon: Annotated[
        str,
        typer.Option(
            metavar="VALUE",
            help=f"The value by which is drawn: {BEACON}, which became known after the root was published.",
        ),
    ],
    as_json: opt.Json = False,
) -> None:
    """Draw by a public value which variant of each document becomes public, and write these to public/."""
    from ..canary import draw_canaries
    from ..report.words import drawn_lines, sealing_summary

    written = draw_canaries(folder, beacon)
    if as_json:
        show_json(sealing_summary(written))
    else:
        show(drawn_lines(written))


def verify(
    folder: Folder,
    secret: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The file with the secret.", show_default="DIR/sealed/secret"),
    ] = None,
    as_json: opt.Json = False,
) -> int:
    """Check manifest, root, secret, sealed texts and draw, and that public/ holds exactly the drawn texts."""
    from ..canary import verify_canaries
    from ..report.words import verified_lines, verified_summary

    verification = verify_canaries(folder, secret=secret)
    if as_json:
        show_json(verified_summary(verification))
    elif not verification.faults:
        show(verified_lines(verification))
    for fault in () if as_json else verification.faults:
        say(f"llm-mia: {fault}")
    return 1 if verification.faults else 0
