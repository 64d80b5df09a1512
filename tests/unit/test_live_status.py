import json

import pytest

from humanseg.live.status import WINDOW, Counts, Gauge, LiveStatus, percentile


def counts(now, frames, **more):
    return Counts(
        now=now,
        received=frames,
        finished=frames,
        sent=2 * frames,
        processor_seconds=now / 4,
        stage_seconds={"infer": frames * 0.010, "dress": frames * 0.005},
        **more,
    )


def test_rates_are_those_of_the_last_seconds_only():
    gauge = Gauge()
    for tenth in range(100):
        gauge.note(counts(tenth / 10, tenth))
    for tenth in range(100, 150):
        gauge.note(counts(tenth / 10, 100 + 3 * (tenth - 100)))
    assert gauge.rate("received") == pytest.approx(30, rel=0.05)
    assert gauge.rate("sent") == pytest.approx(60, rel=0.05)
    assert gauge.rate("processor_seconds") == pytest.approx(0.25)
    assert gauge.stage_ms() == pytest.approx({"infer": 10, "dress": 5})
    assert WINDOW <= gauge.span < WINDOW + 1


def test_before_anything_was_counted_all_figures_are_nothing():
    gauge = Gauge()
    assert gauge.rate("received") == 0
    assert gauge.stage_ms() == {}
    gauge.note(counts(5.0, 0))
    assert gauge.rate("received") == 0
    assert gauge.stage_ms() == {"infer": 0, "dress": 0}


def test_a_gauge_that_runs_for_long_stays_small():
    gauge = Gauge()
    for at in range(100_000):
        gauge.note(counts(at / 30, at))
    assert len(gauge._samples) < 20


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.95, 5.0),
        (range(1, 101), 0.5, 50),
        (range(1, 101), 0.95, 95),
        (range(100, 0, -1), 0.95, 95),
        ([1, 2], 0.5, 1),
        ([], 0.5, None),
    ],
)
def test_percentiles_are_values_that_were_seen(values, share, expected):
    assert percentile(values, share) == expected


def status(**figures):
    usual = {
        "seconds": 1.23456789,
        "frames": 37,
        "camera": "walk.mp4",
        "camera_state": "live",
        "camera_problem": None,
        "virtual_camera": None,
        "virtual_camera_state": None,
        "width": 1280,
        "height": 720,
        "rate_in": 29.97002997,
        "rate_out": 29.97002997,
        "delay_p50": None,
        "delay_p95": 0.0301234,
        "dropped": {"busy": 2},
        "repeated": 0,
        "stage_ms": {"infer": 9.87654},
        "cores": 0.71234,
        "memory_bytes": 1,
        "preset": "fast",
        "engine": "brightness",
        "effort": "preset fast on every frame",
        "warnings": ("the disk is full",),
    }
    return LiveStatus(**{**usual, **figures})


def test_a_status_can_be_told_as_json():
    told = json.loads(json.dumps(status().fields()))
    assert told["rate_in"] == 29.97
    assert told["delay_p50"] is None
    assert told["stage_ms"] == {"infer": 9.88}
    assert told["dropped"] == {"busy": 2}
    assert told["warnings"] == ["the disk is full"]


def test_the_summary_is_one_line_with_the_figures_that_matter():
    shown = status(rate_in=29.97, rate_out=30.0, delay_p50=0.0278, cores=0.84).summary()
    assert shown == (
        "30.0 in, 30.0 out a second, delay 28 ms, 2 dropped, 84 % of a core, "
        "preset fast on every frame"
    )
    assert "delay" not in status(delay_p50=None).summary()
