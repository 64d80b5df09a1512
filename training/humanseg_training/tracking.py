"""What a run leaves for people to look at: logs, TensorBoard, curves and sheets."""

from __future__ import annotations

import csv
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from humanseg.errors import MissingExtraError, SinkError
from humanseg_training.pictures import curves, encoded, write_picture
from humanseg_training.tensorboard import EventFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Line = Mapping[str, Any]
"""One scoring: step, steps, epoch, pixels, learning_rate, loss, scores, seconds."""


class Tracker:
    """Writes every scoring of a run into its folder.

    `log.jsonl` and `log.csv` hold a line each, `tensorboard/` events, `curves.png` the learning
    curves, `sheets/` a picture each. A run that goes on forgets the lines after its checkpoint.
    """

    def __init__(
        self, out: Path, *, begin: int, config: Mapping[str, Any], wandb: str = ""
    ) -> None:
        """Open the logs of a run.

        Args:
            out: folder of the run, made when missing.
            begin: steps that are already done; 0 begins the logs anew.
            config: of the run, for Weights & Biases.
            wandb: its project; "" leaves it alone.

        Raises:
            SinkError: the folder cannot be written.
            MissingExtraError: wandb is asked for and not installed.
        """
        self._out = out
        self._wandb = _start_wandb(wandb, config, out, resumed=begin > 0) if wandb else None
        with _written(out):
            out.mkdir(parents=True, exist_ok=True)
            self._lines = [line for line in read_log(out / "log.jsonl") if line["step"] <= begin]
            self._rewrite()
            self._events = EventFile(out / "tensorboard")

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._wandb is not None:
            self._wandb.finish(exit_code=0 if error is None else 1)

    @property
    def lines(self) -> list[Line]:
        """All scorings of the run so far."""
        return list(self._lines)

    def add(self, line: Line, sheet: NDArray[np.uint8]) -> None:
        """Write one scoring, and a sheet (H, W, 3) BGR of what the network sees now.

        Raises:
            SinkError: something cannot be written.
        """
        self._lines.append(line)
        step = int(line["step"])
        numbers = {key: float(value) for key, value in line.items() if key != "step"}
        with _written(self._out):
            self._rewrite()
            write_picture(curves(self._lines), self._out / "curves.png")
            write_picture(sheet, self._out / "sheets" / f"step-{step:06}.jpg")
            self._events.scalars(numbers, step)
            self._events.image("validation", encoded(sheet), (sheet.shape[0], sheet.shape[1]), step)
        if self._wandb is not None:
            self._wandb.log(numbers, step=step)

    def _rewrite(self) -> None:
        rows = "".join(json.dumps(dict(line)) + "\n" for line in self._lines)
        _replace(self._out / "log.jsonl", rows)
        if self._lines:
            partial = self._out / "log.csv.part"
            with partial.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(self._lines[-1]), restval="")
                writer.writeheader()
                writer.writerows(
                    {k: line.get(k, "") for k in self._lines[-1]} for line in self._lines
                )
            os.replace(partial, self._out / "log.csv")


def read_log(path: Path) -> list[Line]:
    """The scorings in a run's `log.jsonl`; none if there is no such file.

    A last line that a killed run left half written is left out, and lines of older versions get
    the figures they lack.
    """
    lines: list[Line] = []
    if not path.exists():
        return lines
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        lines.append({"epoch": 0.0, **line})
    return lines


@contextmanager
def _written(out: Path) -> Iterator[None]:
    """Turn what the disk says into our error."""
    try:
        yield
    except OSError as error:
        raise SinkError(
            f"the run's files cannot be written: {error.strerror}",
            subject=error.filename or out,
            hint="the checkpoint is untouched; free some space and use --resume",
        ) from error


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _start_wandb(project: str, config: Mapping[str, Any], out: Path, *, resumed: bool) -> Any:
    try:
        import wandb
    except ImportError as error:
        raise MissingExtraError(
            "Weights & Biases is not installed", subject="wandb", hint="pip install wandb"
        ) from error
    # The folder names the run: a resumed one goes on in the same curves.
    return wandb.init(
        project=project,
        name=str(config["name"]),
        id=f"{config['name']}-{zlib.crc32(str(out.resolve()).encode()):08x}",
        config=dict(config),
        dir=str(out),
        resume="allow" if resumed else None,
    )
