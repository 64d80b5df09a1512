"""`humanseg bench`."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from typer import Argument, Option

import humanseg
from humanseg.errors import HumansegError, InputError, SettingsError
from humanseg_cli import draw
from humanseg_cli.bench_stability import bench_stability
from humanseg_cli.options import SPEED, Debug, Device, Json, Threads

MEASURE = "What is measured"
STABILITY = "Steadiness"
CODEC = "codec"
PLAIN = "plain"
SAMPLE = Path(humanseg.__file__).parent.parent / "samples" / "walk.mp4"

Run = dict[str, Any]
"""What a child prints, see bench_child.measure."""

Medians = dict[str, float | None]


LEGEND = """\
Medians. codec: PyAV decodes and encodes, no more; plain: the same through humanseg's own
reader and writer. start: imports and networks, once a file, not part of the run.
peak: of the process; first, last: resident MB, mean over that third of the run."""


class BenchError(HumansegError):
    """A run that was to be measured failed."""


def bench(
    clip: Annotated[
        Path | None,
        Argument(metavar="[CLIP]", help="Its pictures; else the sample's.", show_default=False),
    ] = None,
    size: Annotated[
        str, Option("--size", metavar="WxH", help="Of the frames.", rich_help_panel=MEASURE)
    ] = "1280x720",
    frames: Annotated[
        int, Option("--frames", metavar="N", min=1, help="In a run.", rich_help_panel=MEASURE)
    ] = 300,
    runs: Annotated[
        int, Option("--runs", metavar="N", min=1, help="Of each kind.", rich_help_panel=MEASURE)
    ] = 3,
    encoder_preset: Annotated[
        str,
        Option(
            "--encoder-preset",
            metavar="NAME",
            help="Of x264, for all kinds.",
            rich_help_panel=MEASURE,
        ),
    ] = "veryfast",
    presets: Annotated[
        str,
        Option("--presets", metavar="A,B,...", help="One kind each.", rich_help_panel=MEASURE),
    ] = "fast,balanced,best",
    stability: Annotated[
        bool,
        Option(
            "--stability",
            metavar="",
            help="How steady masks are instead.",
            rich_help_panel=STABILITY,
        ),
    ] = False,
    data: Annotated[
        Path | None,
        Option(
            "--data",
            metavar="FOLDER",
            help="Makes clips of mil/valid, too.",
            rich_help_panel=STABILITY,
            show_default=False,
        ),
    ] = None,
    clips: Annotated[
        int, Option("--clips", metavar="N", min=1, help="To make.", rich_help_panel=STABILITY)
    ] = 12,
    device: Device = "auto",
    engine: Annotated[
        Literal["auto", "torch", "openvino", "int8", "all"],
        Option("--engine", help="all compares engines.", rich_help_panel=SPEED),
    ] = "auto",
    threads: Threads = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure speed and memory against plain decoding and encoding.

    [bold]humanseg bench --presets balanced --frames 3000[/bold]
    """
    if engine == "all":
        _compare_engines(_presets(presets), device, threads, as_json=as_json)
        return
    if stability:
        bench_stability(
            data,
            clips,
            _presets(presets),
            device=device,
            engine=engine,
            threads=threads,
            as_json=as_json,
        )
        return
    kinds = (CODEC, PLAIN, *_presets(presets))
    height, width = _size(size)
    job = {
        "device": device,
        "engine": engine,
        "threads": threads,
        "encoder_preset": encoder_preset,
    }
    measured: dict[str, list[Run]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory(prefix="humanseg-bench-") as folder:
        source = Path(folder) / "clip.mp4"
        wanted = {"target": str(source), "height": height, "width": width, "frames": frames}
        _run_child({"kind": "clip", "source": _clip(clip), **wanted})
        for number, kind in _rounds(kinds, runs):
            target = Path(folder) / f"{kind}.mp4"
            paths = {"source": str(source), "target": str(target)}
            began = time.perf_counter()
            run = _run_child({"kind": kind, **paths, **job})
            run["start_seconds"] = time.perf_counter() - began - run["seconds"]
            measured[kind].append(run)
            target.unlink()
            if not as_json:
                _say(f"run {number} of {runs}, {kind}: {run['seconds']:.1f} s")
    references = {kind: measured[kind] for kind in (CODEC, PLAIN)}
    table = {kind: summarise(measured[kind], references) for kind in kinds}
    if as_json:
        draw.print_json({"size": size, "frames": frames, "runs": measured, "medians": table})
    else:
        _draw(table)


def _compare_engines(
    presets: Sequence[str], device: str, threads: int | None, *, as_json: bool
) -> None:
    """Print what the networks alone take on every engine of this machine, and which is taken."""
    from humanseg.engines.choose import candidates, choose_device
    from humanseg.engines.self_test import Candidate, measure, quickest
    from humanseg.settings import find_preset
    from humanseg.threads import share

    chosen = choose_device(device)
    count = share(threads).infer
    found: dict[str, Engines] = {}
    for preset in presets:
        if not as_json:
            _say(f"the networks of {preset}")
        options = find_preset(preset)
        models = options.models
        able = candidates("cpu", models)
        able += [Candidate(one.library, one.device, "f32") for one in able if one.is_exact]
        if chosen != "cpu":
            able += candidates(chosen, models)
        offered = candidates(chosen, models, exact=options.exact)
        taken = quickest(offered, models, threads=count, goal="throughput")
        times = measure(able, models, threads=count, goal="throughput")
        found[preset] = engines_of(times, taken.name)
    if as_json:
        draw.print_json(found)
        return
    names = list(dict.fromkeys(name for one in found.values() for name in one["milliseconds"]))
    titles = [title for preset in found for title in (preset, "x best")]
    rows = [
        (name, *(c for one in found.values() for c in _engine_cells(one, name))) for name in names
    ]
    draw.show(draw.table(("ms a picture", *titles), rows))
    for preset, one in found.items():
        ratio = one["default_times_best"]
        beside = "could not be measured" if ratio is None else f"{ratio:.2f} times the quickest"
        print(f"--engine auto takes {one['default']} for {preset}: {beside}")


class Engines(TypedDict):
    """How the engines of this machine run one preset's networks.

    Attributes:
        milliseconds: a picture, by the engine's name.
        times_best: those over the least of them.
        default: the engine that "auto" takes.
        default_times_best: its ratio; None where it did not run.
    """

    milliseconds: dict[str, float]
    times_best: dict[str, float]
    default: str
    default_times_best: float | None


def engines_of(times: Mapping[str, float], default: str) -> Engines:
    """Ratios of measured engines to the quickest of them.

    Args:
        times: milliseconds a picture by the engine's name; may be empty.
        default: name of the engine that "auto" takes.
    """
    best = min(times.values(), default=0.0)
    ratios = {name: spent / best for name, spent in times.items()}
    return {
        "milliseconds": dict(times),
        "times_best": ratios,
        "default": default,
        "default_times_best": ratios.get(default),
    }


def _engine_cells(engines: Engines, name: str) -> tuple[str, str]:
    if name not in engines["milliseconds"]:
        return "-", "-"
    return f"{engines['milliseconds'][name]:.1f}", f"{engines['times_best'][name]:.2f}"


def summarise(runs: Sequence[Run], references: Mapping[str, Sequence[Run]]) -> Medians:
    """Medians of the runs of one kind.

    Args:
        runs: of this kind, in order.
        references: runs of the kinds to compare with, in the same order: each run is compared
            with its neighbour in time, so that a machine that slows down does not spoil the ratio.
    """
    return {
        "seconds": statistics.median(run["seconds"] for run in runs),
        "start_seconds": statistics.median(run["start_seconds"] for run in runs),
        "frames_per_second": statistics.median(run["frames"] / run["seconds"] for run in runs),
        **{f"times_{name}": _ratio(runs, others) for name, others in references.items()},
        "peak_megabytes": statistics.median(run["peak_megabytes"] for run in runs),
        "first_third_megabytes": _median_if_known(runs, "first_third_megabytes"),
        "last_third_megabytes": _median_if_known(runs, "last_third_megabytes"),
    }


def _ratio(runs: Sequence[Run], others: Sequence[Run]) -> float:
    pairs = zip(runs, others, strict=True)
    return statistics.median(float(run["seconds"] / other["seconds"]) for run, other in pairs)


def _median_if_known(runs: Sequence[Run], name: str) -> float | None:
    known = [run[name] for run in runs if run[name] is not None]
    return statistics.median(known) if known else None


def _rounds(kinds: Sequence[str], runs: int) -> Iterator[tuple[int, str]]:
    for number in range(1, runs + 1):
        for kind in kinds:
            yield number, kind


def _run_child(job: Mapping[str, object]) -> Run:
    """Do one job in a process of its own, whose peak memory is its own, too."""
    # -P: the folder the user stands in must not lend its modules to the child.
    command = [sys.executable, "-P", "-m", "humanseg_cli.bench_child", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        result: Run = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise RuntimeError(f"a measured run ended with {done.returncode}:\n{done.stderr}") from None
    if "error" in result:
        kind = InputError if result["exit_code"] == InputError.exit_code else BenchError
        raise kind(**result["error"])
    return result


def _clip(given: Path | None) -> str | None:
    """What the pictures come from; None lets the child paint its own."""
    if given is not None:
        return str(given)
    return str(SAMPLE) if SAMPLE.exists() else None


def _presets(text: str) -> list[str]:
    from humanseg.settings import find_preset

    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        find_preset(name)
    return names


def _size(text: str) -> tuple[int, int]:
    """Height and width of "1280x720"."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise SettingsError(f"'{text}' is no size", hint="write it like 1280x720")
    return int(height), int(width)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _draw(table: Mapping[str, Medians]) -> None:
    titles = ("", "start", "run", "fps", "x codec", "x plain", "peak MB", "first", "last")
    rows = [
        (
            kind,
            f"{row['start_seconds']:.1f} s",
            f"{row['seconds']:.1f} s",
            f"{row['frames_per_second']:.1f}",
            f"{row['times_codec']:.2f}",
            f"{row['times_plain']:.2f}",
            f"{row['peak_megabytes']:.0f}",
            _megabytes(row["first_third_megabytes"]),
            _megabytes(row["last_third_megabytes"]),
        )
        for kind, row in table.items()
    ]
    draw.show(draw.table(titles, rows))
    print(LEGEND)


def _megabytes(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
