"""`humanseg bench --stability`: how steady the masks are, on clips whose truth is known."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import humanseg
from humanseg.errors import SettingsError
from humanseg_cli import draw

if TYPE_CHECKING:
    from humanseg_training.stability import Figures, Score, Treatment

SAMPLES = Path(humanseg.__file__).parent.parent / "samples"

LEGEND = """\
Means over the clips. dt: 100 times the root mean square of what masks change otherwise than the
truth. fast F: boundary F where a hand waves. networks: share of the frames they had to see.
single: each mask for itself; smoothed: as live; look-ahead: with 2 later frames, as files with
`best`; gated: smoothed, and the networks left out while nothing moves."""


def bench_stability(
    data: Path | None,
    clips: int,
    presets: Sequence[str],
    *,
    device: str,
    engine: str,
    threads: int | None,
    as_json: bool,
    treatments: Callable[[str], Mapping[str, Treatment]] | None = None,
) -> None:
    """Make the clips, score them, and print the table.

    Args:
        data: folder of all training data; None leaves only the project's own sample.
        clips: how many are made from stills.
        presets: names.
        device: as of the networks everywhere.
        engine: as of the networks everywhere.
        threads: of the processor; None takes all cores.
        as_json: print every clip's figures as JSON.
        treatments: of a preset's masks; the usual ones when None.

    Raises:
        SettingsError: there is neither data nor a sample.
        TrainingDataError: the data is missing or damaged.
    """
    samples = SAMPLES if (SAMPLES / "alpha").is_dir() else None
    if data is None and samples is None:
        raise SettingsError("there is nothing to make clips from", hint="name a folder by --data")
    import cv2

    from humanseg.segmenter import Segmenter
    from humanseg.threads import share
    from humanseg_training import stability

    cv2.setNumThreads(share(threads).picture)
    scores: list[Score] = []
    with ExitStack() as stack:
        opened = {
            preset: stack.enter_context(
                Segmenter(preset, device=device, engine=engine, threads=threads)
            )
            for preset in presets
        }
        for clip in stability.all_clips(data, clips, samples):
            for preset, segmenter in opened.items():
                chosen = (treatments or stability.usual_treatments)(preset)
                scores += stability.score(clip, preset, segmenter, chosen)
            if not as_json:
                print(f"{clip.kind}, {clip.name}", file=sys.stderr, flush=True)
    if as_json:
        draw.print_json([asdict(score) for score in scores])
    else:
        _draw(scores)


def _draw(scores: Sequence[Score]) -> None:
    from humanseg_training.stability import mean_figures

    groups: dict[tuple[str, str], list[Score]] = {}
    for each in scores:
        groups.setdefault((each.preset, each.treatment), []).append(each)
    rows = [
        (*names, *_cells(mean_figures([each.figures for each in group])))
        for names, group in groups.items()
    ]
    titles = ("preset", "masks", "Dice", "boundary F", "fast F", "dt", "networks")
    draw.show(draw.table(titles, rows, left=2))
    treatments = list(dict.fromkeys(each.treatment for each in scores))
    errors = []
    for preset, kind in dict.fromkeys((each.preset, each.kind) for each in scores):
        means = [
            mean_figures([each.figures for each in groups[preset, name] if each.kind == kind])
            for name in treatments
        ]
        errors.append((preset, kind, *(f"{mean.temporal_error:.2f}" for mean in means)))
    draw.show(draw.table(("preset", "dt of", *treatments), errors, left=2))
    print(LEGEND)


def _cells(figures: Figures) -> tuple[str, ...]:
    fast = figures.fast_boundary_f
    return (
        f"{figures.dice:.4f}",
        f"{figures.boundary_f:.3f}",
        "-" if fast is None else f"{fast:.3f}",
        f"{figures.temporal_error:.2f}",
        f"{figures.inferred:.0%}",
    )
