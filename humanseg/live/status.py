"""How a live session is doing: figures of the last seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

WINDOW = 2.0
"""Seconds that rates, loads and stage times are averaged over."""


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """The figures of one moment.

    Attributes:
        seconds: since the session began.
        frames: finished so far.
        camera: its name, size, rate and format.
        camera_state: "live", "opening", "lost", "idle" or "ended".
        camera_problem: why the camera is not there; None while it is.
        virtual_camera: its name and size; None without one.
        virtual_camera_state: "ok" or "lost"; None without one.
        width: of the camera's pictures.
        height: of the camera's pictures.
        rate_in: frames a second from the camera.
        rate_out: frames a second to the virtual camera, repeated ones too; without one, finished.
        delay_p50: seconds from capture to sending, the median of the last frames, at most a
            minute's; without a virtual camera, to the preview and the file; None without frames.
        delay_p95: the same, of which one frame in twenty took longer.
        dropped: frames that were never shown, by cause: "busy" (a newer one came before the
            networks were free), "replaced" (a newer one came before it was sent).
        repeated: frames sent again for want of a new one.
        stage_ms: milliseconds a frame by stage.
        cores: of the processor that this process keeps busy.
        memory_bytes: resident; None where the system does not tell.
        preset: networks that run.
        engine: what runs them, and where.
        effort: what is done for each frame.
        wanted: whether somebody looks.
        warnings: what the user should know, a sentence each.
    """

    seconds: float
    frames: int
    camera: str
    camera_state: str
    camera_problem: str | None
    virtual_camera: str | None
    virtual_camera_state: str | None
    width: int
    height: int
    rate_in: float
    rate_out: float
    delay_p50: float | None
    delay_p95: float | None
    dropped: Mapping[str, int]
    repeated: int
    stage_ms: Mapping[str, float]
    cores: float
    memory_bytes: int | None
    preset: str
    engine: str
    effort: str
    wanted: bool = True
    warnings: tuple[str, ...] = ()

    def fields(self) -> dict[str, object]:
        """The status as JSON takes it: numbers rounded to what can be told."""
        rounded = {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }
        rounded["stage_ms"] = {name: round(value, 2) for name, value in self.stage_ms.items()}
        rounded["warnings"] = list(self.warnings)
        return rounded

    def summary(self) -> str:
        """The figures in one line: "30.0 in, 30.0 out a second, delay 28 ms, 84 % of a core"."""
        delay = "" if self.delay_p50 is None else f", delay {1000 * self.delay_p50:.0f} ms"
        lost = sum(self.dropped.values())
        return (
            f"{self.rate_in:.1f} in, {self.rate_out:.1f} out a second{delay}, {lost} dropped, "
            f"{100 * self.cores:.0f} % of a core, {self.effort}"
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """Counters of a session that only grow.

    Attributes:
        now: `time.monotonic()`.
        received: frames the camera gave.
        finished: frames handed to the outputs.
        sent: frames sent to the virtual camera.
        processor_seconds: this process has used.
        stage_seconds: busy time by stage.
    """

    now: float
    received: int
    finished: int
    sent: int
    processor_seconds: float
    stage_seconds: Mapping[str, float] = field(default_factory=dict)


class Gauge:
    """Turns growing counters into figures of the last WINDOW seconds."""

    SAMPLES_A_SECOND = 4

    def __init__(self) -> None:
        self._samples: deque[Counts] = deque()

    def note(self, counts: Counts) -> None:
        """Keep the counters of now, if it is time for it."""
        samples = self._samples
        if samples and counts.now - samples[-1].now < 1 / self.SAMPLES_A_SECOND:
            return
        samples.append(counts)
        while len(samples) > 2 and counts.now - samples[1].now >= WINDOW:
            samples.popleft()

    @property
    def span(self) -> float:
        """Seconds between the first and the last sample; 0 before there are two."""
        return self._samples[-1].now - self._samples[0].now if self._samples else 0.0

    def rate(self, counter: str) -> float:
        """Growth of a counter a second."""
        if self.span == 0:
            return 0.0
        first, last = self._samples[0], self._samples[-1]
        return float(getattr(last, counter) - getattr(first, counter)) / self.span

    def stage_ms(self) -> dict[str, float]:
        """Milliseconds each stage took for a frame."""
        if not self._samples:
            return {}
        first, last = self._samples[0], self._samples[-1]
        frames = max(1, last.finished - first.finished)
        return {
            stage: 1000 * (seconds - first.stage_seconds.get(stage, 0.0)) / frames
            for stage, seconds in last.stage_seconds.items()
        }


def percentile(values: Iterable[float], share: float) -> float | None:
    """The value that a share of the values does not exceed; None without values.

    >>> percentile([3, 1, 2, 4], 0.5), percentile([], 0.5)
    (2, None)
    """
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, -(-round(share * 1000) * len(ordered) // 1000) - 1)]
