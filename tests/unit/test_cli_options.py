from __future__ import annotations

import pytest

from humanseg.errors import SettingsError
from humanseg_cli.command import complete_blur
from humanseg_cli.options import choose_background


@pytest.mark.parametrize(
    ("given", "completed"),
    [
        (["in", "out"], ["in", "out"]),
        (["in", "out", "--blur-background"], ["in", "out", "--blur-background=usual"]),
        (["in", "out", "--blur-background", "0.8"], ["in", "out", "--blur-background=0.8"]),
        (["in", "out", "--blur-background", "1"], ["in", "out", "--blur-background=1"]),
        (["in", "out", "--blur-background", ".25"], ["in", "out", "--blur-background=.25"]),
        (["in", "out", "--blur-background", "-1"], ["in", "out", "--blur-background=-1"]),
        (["in", "out", "--blur-background=0.8"], ["in", "out", "--blur-background=0.8"]),
        (["--blur-background", "in", "out"], ["--blur-background=usual", "in", "out"]),
        (["in", "--blur-background", "out"], ["in", "--blur-background=usual", "out"]),
        (
            ["in", "--blur-background", "0.8", "out"],
            ["in", "--blur-background=0.8", "out"],
        ),
        (["--blur-background", "--json"], ["--blur-background=usual", "--json"]),
        (["--blur-background", "./0.8", "out"], ["--blur-background=usual", "./0.8", "out"]),
        (["--blur-background", "inf", "nan"], ["--blur-background=usual", "inf", "nan"]),
        (["--", "--blur-background", "0.8"], ["--", "--blur-background", "0.8"]),
        ([], []),
    ],
)
def test_blur_takes_a_number_that_follows_and_nothing_else(
    given: list[str], completed: list[str]
) -> None:
    assert complete_blur(given) == completed


def test_completing_leaves_the_arguments_alone() -> None:
    given = ["--blur-background", "0.8"]
    complete_blur(given)
    assert given == ["--blur-background", "0.8"]


@pytest.mark.parametrize(
    ("blur", "background", "chosen"),
    [
        (None, None, "blur"),
        ("usual", None, "blur"),
        ("0.5", None, "blur:0.5"),
        ("0", None, "blur:0"),
        ("1.0", None, "blur:1"),
        (None, "green", "green"),
        (None, "blur:0.3", "blur:0.3"),
    ],
)
def test_background(blur: str | None, background: str | None, chosen: str) -> None:
    assert choose_background(blur, background) == chosen


def test_two_backgrounds_are_refused() -> None:
    with pytest.raises(SettingsError, match="exclude each other"):
        choose_background("0", "green")


@pytest.mark.parametrize("blur", ["-0.1", "1.01", "80", "nan", "inf"])
def test_blur_outside_its_range_is_refused(blur: str) -> None:
    with pytest.raises(SettingsError, match="from 0 to 1"):
        choose_background(blur, None)
