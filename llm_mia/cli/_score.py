"""Commands about scores: score, frequencies, attacks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import _options as opt
from ._options import PassageOptions
from ._output import progress_bars, say, show, show_json

__all__ = ["attacks", "frequencies", "score"]


def score(
    passages: Annotated[str, typer.Argument(help="File, folder, hf://…, or - for standard input.", show_default=False)],
    model: opt.Model,
    out: opt.RunOut,
    reference: opt.Reference = None,
    attack: opt.Attacks = None,
    shots: opt.Shots = None,
    population: opt.Population = None,
    frequencies: opt.Frequencies = None,
    neighbours: opt.Neighbours = 10,
    neighbour_model: opt.NeighbourModel = None,
    text_column: opt.TextColumn = None,
    id_column: opt.IdColumn = None,
    label_column: opt.LabelColumn = None,
    document_column: opt.DocumentColumn = None,
    passage_tokens: opt.PassageTokens = 128,
    revision: opt.Revision = None,
    reference_revision: opt.ReferenceRevision = None,
    dtype: opt.DType = "auto",
    device: opt.Device = "auto",
    trust_remote_code: opt.TrustRemoteCode = False,
    tokens_per_batch: opt.TokensPerBatch = None,
    window_tokens: opt.WindowTokens = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Score passages by every attack; the scores lie in OUT/scores.parquet."""
    from ..backends import ModelSpec
    from ..passages import check_inputs
    from ..scoring import score_to_disk

    files = PassageOptions(text_column, id_column, label_column, document_column, passage_tokens)
    source = files.read(passages)
    how = (dtype, device, trust_remote_code, tokens_per_batch)
    check = check_inputs([source])
    for note in check.notes:
        say(f"note: {note}")
    with progress_bars(quiet) as progress:
        done = score_to_disk(
            source,
            ModelSpec(model, revision, *how),
            ModelSpec(reference, reference_revision, *how) if reference else None,
            attacks=attack or (),
            supplies=opt.supplies(files, shots, population, frequencies, neighbours, neighbour_model, device),
            out=out,
            window_tokens=window_tokens,
            check=check,
            progress=progress,
        )
    for note in done.notes:
        say(f"note: {note}")
    table = out / "scores.parquet"
    if as_json:
        counts = ("passages", "members", "nonmembers", "candidates", "attacks", "unscored")
        show_json({**{name: getattr(done, name) for name in counts}, "scores": str(table)})
    else:
        if done.unscored:
            say(f"note: {done.unscored} passages are too short to have a score")
        show(f"{done.passages:,} passages scored by {', '.join(done.attacks)}: {table}")


def frequencies(
    corpus: Annotated[str, typer.Argument(help="File, folder, hf://…, or - for standard input.", show_default=False)],
    model: opt.Model,
    out: Annotated[Path, typer.Option("-o", "--out", help="Where to write.")] = Path("frequencies.parquet"),
    text_column: opt.TextColumn = None,
    revision: opt.Revision = None,
    trust_remote_code: opt.TrustRemoteCode = False,
    as_json: opt.Json = False,
) -> None:
    """Count how often each token of a model's tokenizer stands in a corpus, for the attacks that weigh tokens by it."""
    from ..backends import ModelSpec
    from ..signals import count_frequencies
    from ..store import write_frequencies

    texts = PassageOptions(text_column, None, "", None, 1024).read_unlabelled(corpus)
    counted = count_frequencies(texts, ModelSpec(model, revision, trust_remote_code=trust_remote_code).tokenizer())
    write_frequencies(out, counted)
    total, distinct = int(counted.counts.sum()), int((counted.counts > 0).sum())
    if as_json:
        show_json({"tokens": total, "distinct": distinct, "vocabulary": len(counted.counts), "frequencies": str(out)})
    else:
        show(f"{total:,} tokens counted, {distinct:,} of {len(counted.counts):,} in the vocabulary among them: {out}")


def attacks(
    name: Annotated[str | None, typer.Argument(help="One attack, for all there is to say of it.")] = None,
    as_json: opt.Json = False,
) -> None:
    """List the attacks: what each needs, the passes it costs, its paper."""
    from ..attacks import all_attacks, parse_attack
    from ..report import attack_details, attacks_table

    chosen = [parse_attack(name)] if name else list(all_attacks().values())
    if as_json:
        show_json(
            {
                one.name: {
                    "evidence": list(one.evidence),
                    "passes": list(one.passes),
                    "settings": dict(one.settings),
                    "formula": one.formula,
                    "paper": one.paper,
                    "summary": one.summary,
                }
                for one in chosen
            }
        )
    else:
        show(attack_details(chosen[0]) if name else attacks_table(chosen))
