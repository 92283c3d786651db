"""Commands about scores: score, frequencies, attacks."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from . import _options as opt
from ._clusters import CLUSTERS, computing_on
from ._evidence import EvidenceOptions
from ._groups import ReadingOptions, RunOptions
from ._models import ModelOptions
from .dry_run import only_estimating
from .output import say, say_input_notes, say_skipped, show, show_json
from .parameters import running, spelled
from .progress import progress_bars, working

__all__ = ["attacks", "frequencies", "score"]

Kept: TypeAlias = Literal["full", "scores", "none"]
"""The values of `llm_mia.records.KeptSignals`, which take too long to import."""
EVIDENCE_OPTIONS = {field.name: f"--{field.name.replace('_', '-')}" for field in fields(EvidenceOptions)}
"""The options of `score` and `audit` that give evidence, which `attacks` explains."""


def score(
    passages: opt.Input,
    models: ModelOptions,
    evidence: EvidenceOptions,
    reading: ReadingOptions,
    run: RunOptions,
    attacks: Annotated[
        list[str] | None,
        typer.Option(
            "-a",
            "--attack",
            metavar="ATTACK",
            help="An attack to score by, also with settings, as in min_k:k=0.1; may be repeated. 'all' is every "
            "possible attack: see 'llm-mia attacks all'.",
            show_default="attacks that the inputs allow and that cost little",
        ),
    ] = None,
    stand_in: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The stand-in: a model that cannot know the passages, in the place of a reference. Its scores are "
            "columns of the table, such as min_k@stand-in.",
            show_default="none",
            rich_help_panel=opt.MODELS,
        ),
    ] = None,
    keep_signals: Annotated[
        Kept | None,
        typer.Option(
            help="What stays of the signals on disk. full: all, about 20 bytes a token, for other attacks, extract and "
            "the colours of the report. scores: what the attacks of this run read; for 'loss' and others that read "
            "likelihoods alone, about 4 bytes. none: as scores while the run lasts, so the disk needs that room; when "
            "the scores are written, only digests of the texts stay. See 'llm-mia guide scale'.",
            show_default="what the folder keeps already, else full",
            rich_help_panel=opt.OUTPUT,
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            metavar="CLUSTER",
            help="Compute with several workers, by Ray: ray (on this machine) or ray://HOST:PORT (on a cluster). "
            "Passages may then be a URL (s3://, gs://, https://). See 'llm-mia guide machines', which also shows "
            "accelerate.",
            show_default="without Ray, in this process",
            rich_help_panel=CLUSTERS,
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="COUNT",
            help="With --on: largest number of workers. Each needs memory for the model.",
            show_default="one for each CUDA device, or for each processor where there is none",
            rich_help_panel=CLUSTERS,
        ),
    ] = None,
) -> None:
    """Score every passage by each attack, and write OUT/scores.parquet; a higher score is more member-like."""
    from ..report.words import counted
    from ..scoring import score_to_disk
    from ..signals import report_activity

    with (
        only_estimating(run.dry_run, as_json=run.as_json),
        progress_bars(run.quiet) as progress,
        computing_on(on, processes, progress),
    ):
        report_activity(progress, "reading the passages")
        source = reading.read_anywhere(passages, "passages")
        say_input_notes(source)
        trained = evidence.shadow_models()
        supplies = evidence.supplies(reading, models.device)
        done = score_to_disk(
            source,
            models.target_model(),
            models.reference_models(),
            stand_in=None if stand_in is None else models.stand_in_model(stand_in),
            attacks=attacks or (),
            models=None if trained is None else trained.models(trust_remote_code=models.trust_remote_code),
            supplies=supplies if trained is None else replace(supplies, shadows=trained.supply()),
            out=run.out,
            keep_signals=keep_signals,
            window_tokens=models.window_tokens,
            progress=progress,
        )
        if trained is not None and not run.dry_run:
            trained.refuse_other_weights(run.out)
    for note in done.notes:
        say(f"note: {note}")
    table = run.out / "scores.parquet"
    if run.as_json:
        counts = ("passages", "members", "nonmembers", "candidates", "attacks", "unscored", "left_out")
        show_json({**{name: getattr(done, name) for name in counts}, "scores": str(table)})
    else:
        if short := max(0, done.unscored - done.left_out):
            say(f"note: {counted(short, 'passage')} {'is' if short == 1 else 'are'} too short to have a score")
        show(f"{counted(done.passages, 'passage')} scored by {', '.join(done.attacks)}: {table}")


def frequencies(
    corpus: opt.Input,
    target: opt.TargetName,
    out: opt.Out = Path("frequencies.parquet"),
    text_column: opt.TextColumn = None,
    delimiter: opt.Delimiter = None,
    skip_empty: opt.SkipEmpty = False,
    revision: opt.Revision = None,
    trust_remote_code: opt.TrustRemoteCode = False,
    pre_tokenizer: opt.PreTokenizer = None,
    templated: opt.Templated = False,
    as_json: opt.Json = False,
) -> None:
    """Count how often each token of the target's tokenizer occurs in a corpus; the attack dc_pdd needs the counts."""
    from ..backends import ModelSpec
    from ..signals import count_frequencies
    from ..store import write_frequencies

    reading = ReadingOptions(
        text_column=None if text_column is None else [text_column],
        id_column=[""],  # a corpus needs no ids
        document_column=[""],
        delimiter=delimiter,
        skip_empty=skip_empty,
        passage_tokens=1024,
    )
    model = ModelSpec(
        target, revision, trust_remote_code=trust_remote_code, pre_tokenizer=pre_tokenizer, templated=templated
    )
    with working("counting tokens"):
        texts = reading.read_unlabelled(corpus, "corpus")
        counted = count_frequencies(texts, model.tokenizer())
    say_skipped(texts)
    write_frequencies(out, counted)
    total, distinct = int(counted.counts.sum()), int((counted.counts > 0).sum())
    if as_json:
        show_json({"tokens": total, "distinct": distinct, "vocabulary": len(counted.counts), "frequencies": str(out)})
    else:
        vocabulary = len(counted.counts)
        show(f"{total:,} tokens counted; {distinct:,} of the {vocabulary:,} tokens of the vocabulary occur: {out}")


def attacks(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Explain only this attack, or a word that is typed like an attack: auto, stack, default, all."
        ),
    ] = None,
    as_json: opt.Json = False,
) -> None:
    """List the attacks: what each needs, how often a model reads all passages for it (passes), and its paper."""
    from ..attacks import all_attacks, parse_attack
    from ..report import CHOICES, attack_details, attacks_table, choice_details

    if name is not None and name in CHOICES:
        if as_json:
            show_json({name: asdict(CHOICES[name])})
        else:
            show(choice_details(CHOICES[name]))
        return
    chosen = [parse_attack(name)] if name else list(all_attacks().values())
    if as_json:
        show_json(
            {
                attack.name: {
                    "evidence": list(attack.evidence),
                    "passes": list(attack.passes),
                    "settings": dict(attack.settings),
                    "formula": attack.formula,
                    "paper": attack.paper,
                    "summary": attack.summary,
                }
                for attack in chosen
            }
        )
    else:
        with running(EVIDENCE_OPTIONS):
            show(attack_details(chosen[0], spelled) if name else attacks_table(chosen))
