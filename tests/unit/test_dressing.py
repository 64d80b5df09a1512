"""A look, a frame and an alpha: what others see."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from humanseg.blending import BlendOptions
from humanseg.closing import Closing
from humanseg.control.controls import Controls
from humanseg.errors import SettingsError, SourceError
from humanseg.frames import Frame
from humanseg.light import from_light, to_light
from humanseg.look.dressing import Dresser
from humanseg.look.file_cache import FileCache
from humanseg.look.looks import Look
from humanseg.settings import CAREFUL

HEIGHT, WIDTH = 48, 64
PATIENCE = 20.0
INTERVAL = 0.01

RANDOM = np.random.default_rng(5)
ROOM = RANDOM.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
ROOM.flags.writeable = False
PERSON = np.zeros((HEIGHT, WIDTH), np.float32)
PERSON[16:, 8:32] = 1


def frame(index: int = 0, pixels: np.ndarray = ROOM) -> Frame:
    return Frame(pixels, index, Fraction(index, 30), captured_at=index / 30)


def dressed(look: Look, alpha: np.ndarray | None = PERSON) -> np.ndarray:
    with Dresser(Controls(look)) as dresser:
        return dresser.dress(frame(), alpha).pixels


def write(path: Path, pixels: np.ndarray) -> Path:
    # Written beside and renamed, so that a reload never meets half a file.
    done, coded = cv2.imencode(path.suffix, pixels)
    assert done
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(coded.tobytes())
    os.replace(beside, path)
    return path


def plain(path: Path, value: int) -> Path:
    return write(path, np.full((HEIGHT, WIDTH, 3), value, np.uint8))


def wait_for(truth: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not truth():
        assert time.monotonic() < until
        time.sleep(0.002)


def test_people_stand_before_the_background():
    shown = dressed(Look(background="green"))
    assert (shown[PERSON == 1] == ROOM[PERSON == 1]).all()
    assert (shown[PERSON == 0] == (64, 177, 0)).all()


def test_edges_carry_the_old_room_only_if_nothing_is_asked():
    person, room = (np.uint8(colour) for colour in ((40, 60, 90), (250, 230, 210)))
    share = cv2.GaussianBlur(PERSON.repeat(8, 0).repeat(8, 1), (0, 0), 3)
    people = to_light(person) * share[..., None]
    seen = from_light(people + to_light(room) * (1 - share[..., None]))
    edge = (share > 0.1) & (share < 0.9)

    def error(look: Look, blend: BlendOptions | None, true: np.ndarray) -> float:
        with Dresser(Controls(look)) as dresser:
            shown = dresser.dress(frame(0, seen), share, blend).pixels
        return float(np.abs(shown[edge].astype(int) - true[edge]).mean())

    # A room of one colour looks the same when it is blurred, and so does the edge before it.
    for look, true in ((Look(background="black"), from_light(people)), (Look(), seen)):
        assert error(look, CAREFUL, true) < error(look, None, true) / 2
        assert error(look, BlendOptions(), true) == error(look, None, true)


def test_with_the_effect_off_the_cameras_own_frame_is_handed_on():
    with Dresser(Controls(Look(effect_on=False))) as dresser:
        given = frame()
        assert not dresser.needs_mask()
        assert dresser.dress(given, None) is given
        assert dresser.dress(given, PERSON) is given


def test_mask_view():
    shown = dressed(Look(view="mask", effect_on=False))
    assert (shown == np.uint8(PERSON * 255)[..., None]).all()


def test_people_are_mirrored_and_the_background_is_not(tmp_path):
    picture = write(tmp_path / "sign.png", RANDOM.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))
    written = cv2.imread(str(picture))
    shown = dressed(Look(background=str(picture), mirror=True))
    mirrored = PERSON[:, ::-1] == 1
    assert (shown[mirrored] == ROOM[:, ::-1][mirrored]).all()
    assert (shown[~mirrored] == written[~mirrored]).all()
    bare = dressed(Look(effect_on=False, mirror=True), None)
    np.testing.assert_array_equal(bare, ROOM[:, ::-1])


def test_the_blur_follows_its_strength():
    controls = Controls(Look(background="blur:0"))
    with Dresser(controls) as dresser:
        spread = []
        for strength in (0, 0.3, 1):
            assert controls.apply(f"strength {strength}").ok
            spread.append(float(dresser.dress(frame(), PERSON).pixels[PERSON == 0].std()))
    assert spread[0] > spread[1] > spread[2]


def test_a_frozen_picture_stands_and_its_time_goes_on():
    controls = Controls(Look(background="green"))
    with Dresser(controls) as dresser:
        first = dresser.dress(frame(0), PERSON)
        controls.apply("freeze on")
        assert not dresser.needs_mask()
        later = dresser.dress(frame(7, ROOM[::-1]), None)
        assert later.pixels is first.pixels
        assert (later.index, later.time, later.captured_at) == (7, Fraction(7, 30), 7 / 30)
        controls.apply("freeze off")
        assert dresser.needs_mask()
        moved = dresser.dress(frame(8, ROOM[::-1]), PERSON)
        assert (moved.pixels != first.pixels).any()


def test_frozen_from_the_start_shows_the_first_frame():
    with Dresser(Controls(Look(background="green", frozen=True))) as dresser:
        assert dresser.needs_mask()
        first = dresser.dress(frame(0), PERSON)
        assert (first.pixels[0, 0] == (64, 177, 0)).all()
        assert not dresser.needs_mask()


def test_the_room_is_never_shown_by_a_frame_whose_mask_is_missing():
    controls = Controls(Look(background="green"))
    with Dresser(controls) as dresser:
        assert (dresser.dress(frame(), None).pixels == (64, 177, 0)).all()
        before = dresser.dress(frame(1), PERSON)
        assert dresser.dress(frame(2, ROOM[::-1]), None).pixels is before.pixels


def test_edges_are_shaped_as_the_look_says():
    plain_mask, wide, soft = (
        dressed(Look(view="mask", **fields)) for fields in ({}, {"grow": 3}, {"feather": 3})
    )
    assert (wide > 0).sum() > (plain_mask > 0).sum()
    assert len(np.unique(plain_mask)) == 2
    assert len(np.unique(soft)) > 20


def test_one_person_is_chosen_and_the_threshold_moved_before_the_mask_is_refined():
    two = np.zeros((20, 40), np.float32)
    two[5:, 2:14] = 0.9
    two[10:, 25:32] = 0.9
    controls = Controls()
    with Dresser(controls) as dresser:
        assert dresser.choose_people(two) is two
        controls.apply("keep largest")
        alone = dresser.choose_people(two)
        assert alone[12, 28] == 0
        assert alone[12, 8] == np.float32(0.9)
        controls.apply("threshold 0.9")
        assert dresser.choose_people(two)[12, 8] == pytest.approx(0.5)


def test_auto_framing_enlarges_the_person_and_not_the_background():
    far = np.zeros((HEIGHT, WIDTH), np.float32)
    far[20:36, 36:46] = 1
    controls = Controls(Look(background="green", auto_frame=True))
    with Dresser(controls) as dresser:
        for index in range(150):
            shown = dresser.dress(frame(index), far)
        is_green = (shown.pixels == (64, 177, 0)).all(axis=2)
        assert (~is_green).sum() > 3 * far.sum()
        assert shown.pixels.shape == ROOM.shape
        controls.apply("auto-frame off")
        for index in range(150, 330):
            shown = dresser.dress(frame(index), far)
        np.testing.assert_array_equal(shown.pixels[far == 1], ROOM[far == 1])


def test_auto_framing_wants_a_mask_even_without_effect():
    with Dresser(Controls(Look(effect_on=False, auto_frame=True))) as dresser:
        assert dresser.needs_mask()
        np.testing.assert_array_equal(dresser.dress(frame(), None).pixels, ROOM)


def overlay_file(path: Path) -> Path:
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    pixels[4:10, 40:60] = (10, 20, 200, 255)
    pixels[10:16, 40:60] = (200, 100, 0, 128)
    return write(path, pixels)


def test_an_overlay_lies_on_top_with_its_transparency(tmp_path):
    path = overlay_file(tmp_path / "logo.png")
    shown = dressed(Look(effect_on=False, overlay=str(path)), None)
    assert (shown[4:10, 40:60] == (10, 20, 200)).all()
    mixed = ROOM[10:16, 40:60] * (127 / 255) + np.array([200, 100, 0]) * (128 / 255)
    assert np.abs(shown[10:16, 40:60] - mixed).max() <= 1.5
    rest = np.ones((HEIGHT, WIDTH), bool)
    rest[4:16, 40:60] = False
    assert (shown[rest] == ROOM[rest]).all()


def test_an_overlay_is_not_mirrored_and_not_on_the_mask(tmp_path):
    path = str(overlay_file(tmp_path / "logo.png"))
    shown = dressed(Look(background="green", overlay=path, mirror=True))
    assert (shown[4:10, 40:60] == (10, 20, 200)).all()
    np.testing.assert_array_equal(
        dressed(Look(view="mask", overlay=path)), dressed(Look(view="mask"))
    )


@pytest.mark.parametrize("size", [(HEIGHT * 2, WIDTH * 2), (HEIGHT, WIDTH * 3), (7, 5)])
def test_an_overlay_of_any_size_fits_frames_of_any_size(tmp_path, size):
    path = write(tmp_path / "all.png", np.full((*size, 4), 255, np.uint8))
    with Dresser(Controls(Look(effect_on=False, overlay=str(path)))) as dresser:
        for height, width in ((HEIGHT, WIDTH), (31, 17), (1, 1)):
            shown = dresser.dress(frame(0, np.zeros((height, width, 3), np.uint8)), None).pixels
            white = (shown == 255).all(axis=2)
            assert white.any(axis=1).all() or white.any(axis=0).all()
            assert white.sum() == white.any(axis=1).sum() * white.any(axis=0).sum()


def test_an_empty_overlay_changes_nothing(tmp_path):
    path = write(tmp_path / "none.png", np.zeros((HEIGHT, WIDTH, 4), np.uint8))
    shown = dressed(Look(effect_on=False, overlay=str(path)), None)
    np.testing.assert_array_equal(shown, ROOM)


def test_a_picture_without_transparency_is_no_overlay(tmp_path):
    path = plain(tmp_path / "photo.png", 9)
    with pytest.raises(SourceError, match="no transparency"):
        Dresser(Controls(Look(overlay=str(path))))


def test_a_background_that_cannot_be_opened_ends_the_start_and_its_threads(tmp_path):
    (tmp_path / "beach.jpg").write_text("no picture")
    with pytest.raises(SourceError, match=r"beach\.jpg"):
        Dresser(Controls(Look(background=str(tmp_path / "beach.jpg"))))
    with pytest.raises(SettingsError):
        Dresser(Controls(Look(background="blur:3")))
    assert not [each for each in threading.enumerate() if each.name == "humanseg-files"]


def test_a_broken_background_is_refused_by_the_command_and_the_old_one_stays(tmp_path):
    good, bad = plain(tmp_path / "good.png", 70), tmp_path / "bad.png"
    bad.write_text("no picture")
    controls = Controls(Look(background=str(good)))
    with Dresser(controls) as dresser:
        reply = controls.apply(f"background {bad}")
        assert not reply.ok
        assert "bad.png" in reply.text
        assert (dresser.dress(frame(), PERSON).pixels[PERSON == 0] == 70).all()


def test_a_background_is_ready_in_the_first_frame_after_the_command(tmp_path):
    controls = Controls(Look(background=str(plain(tmp_path / "0.png", 0))))
    with Dresser(controls) as dresser:
        for value in (10, 20, 30, 40, 50, 10):
            controls.apply(f"background {plain(tmp_path / f'{value}.png', value)}")
            assert (dresser.dress(frame(), PERSON).pixels[PERSON == 0] == value).all()


def test_a_picture_changed_on_disk_is_shown_soon(tmp_path):
    path = plain(tmp_path / "beach.png", 50)
    with Dresser(Controls(Look(background=str(path))), interval=INTERVAL) as dresser:
        assert dresser.dress(frame(), PERSON).pixels[0, 0, 0] == 50
        plain(path, 90)
        wait_for(lambda: dresser.dress(frame(), PERSON).pixels[0, 0, 0] == 90)
        assert dresser.warnings() == ()


def test_a_broken_change_keeps_the_old_picture_and_says_so_until_it_is_mended(tmp_path):
    path = plain(tmp_path / "beach.png", 50)
    controls = Controls(Look(background=str(path)))
    with Dresser(controls, interval=INTERVAL) as dresser:
        dresser.dress(frame(), PERSON)
        path.write_text("half a picture")
        wait_for(lambda: dresser.warnings() != ())
        assert "beach.png: is no picture" in dresser.warnings()[0]
        assert dresser.dress(frame(), PERSON).pixels[0, 0, 0] == 50
        path.unlink()
        wait_for(lambda: "no such file any more" in dresser.warnings()[0])
        controls.apply("blur on")
        assert dresser.warnings() == ()
        controls.apply(f"background {plain(path, 90)}")
        wait_for(lambda: dresser.dress(frame(), PERSON).pixels[0, 0, 0] == 90)
        wait_for(lambda: dresser.warnings() == ())


def test_a_picture_that_is_written_slowly_is_shown_when_it_is_whole(tmp_path):
    path = plain(tmp_path / "beach.png", 50)
    coded = plain(tmp_path / "next.png", 90).read_bytes()
    seen = set()
    with Dresser(Controls(Look(background=str(path))), interval=0.02) as dresser:

        def look() -> int:
            seen.add(int(dresser.dress(frame(), PERSON).pixels[0, 0, 0]))
            return max(seen)

        with path.open("wb") as writing:
            for start in range(0, len(coded), 16):
                writing.write(coded[start : start + 16])
                writing.flush()
                for _ in range(3):
                    look()
                    time.sleep(0.004)
        wait_for(lambda: look() == 90)
        wait_for(lambda: dresser.warnings() == ())
    assert seen == {50, 90}


def test_a_picture_replaced_while_half_of_it_was_written(tmp_path):
    path = plain(tmp_path / "beach.png", 50)
    with Dresser(Controls(Look(background=str(path))), interval=INTERVAL) as dresser:
        dresser.dress(frame(), PERSON)
        path.write_bytes(path.read_bytes()[:40])
        wait_for(lambda: bool(dresser.dress(frame(), PERSON)) and dresser.warnings() != ())
        plain(path, 90)
        wait_for(lambda: dresser.dress(frame(), PERSON).pixels[0, 0, 0] == 90)
        wait_for(lambda: dresser.warnings() == ())


def test_an_overlay_changed_on_disk_is_shown_soon(tmp_path):
    path = write(tmp_path / "logo.png", np.full((HEIGHT, WIDTH, 4), 255, np.uint8))
    look = Look(effect_on=False, overlay=str(path))
    with Dresser(Controls(look), interval=INTERVAL) as dresser:
        assert (dresser.dress(frame(), None).pixels == 255).all()
        overlay_file(path)
        wait_for(lambda: bool((dresser.dress(frame(), None).pixels[20:] == ROOM[20:]).all()))


def test_a_clip_runs_at_its_own_rate_and_waits_while_it_is_not_shown(make_video, index_of):
    path = make_video("loop.mp4", frames=24)  # 25 a second
    controls = Controls(Look(background=str(path)))
    nobody = np.zeros((HEIGHT, WIDTH), np.float32)
    with Dresser(controls) as dresser:
        # The camera has run for an hour already: the clip begins with its first frame all the same.
        hour = 3600 * 50
        seen = [dresser.dress(at(hour + step), nobody).pixels for step in range(20)]
        assert [index_of(pixels) for pixels in seen] == [step // 2 for step in range(20)]
        controls.apply("effect off")
        dresser.dress(at(hour + 20), None)
        controls.apply("effect on")
        # Ten minutes later it goes on nearly where it was; a quarter of a second may pass.
        later = dresser.dress(at(hour + 30_000), nobody).pixels
        assert 9 <= index_of(later) <= 17


def at(step: int) -> Frame:
    return Frame(ROOM, step, Fraction(step, 50))


def test_a_clip_loops_for_ever(make_video, index_of):
    path = make_video("loop.mp4", frames=10)
    nobody = np.zeros((HEIGHT, WIDTH), np.float32)
    with Dresser(Controls(Look(background=str(path)))) as dresser:
        seen = [index_of(dresser.dress(at(2 * step), nobody).pixels) for step in range(35)]
    assert seen == [step % 10 for step in range(35)]


def test_a_clip_whose_file_vanishes_stands_still_and_says_so(make_video, index_of):
    path = make_video("loop.mp4", frames=6)
    nobody = np.zeros((HEIGHT, WIDTH), np.float32)
    with Dresser(Controls(Look(background=str(path)))) as dresser:
        dresser.dress(at(0), nobody)
        path.unlink()
        seen = [index_of(dresser.dress(at(2 * step), nobody).pixels) for step in range(20)]
        assert seen[-5:] == [5] * 5
        assert "loop.mp4" in dresser.warnings()[0]


def test_frames_may_change_their_size(tmp_path):
    path = plain(tmp_path / "beach.png", 50)
    for look in (Look(), Look(background=str(path)), Look(background="red", feather=2, grow=-1)):
        with Dresser(Controls(look)) as dresser:
            for height, width in ((HEIGHT, WIDTH), (90, 31), (1, 1), (HEIGHT, WIDTH)):
                pixels = np.zeros((height, width, 3), np.uint8)
                alpha = np.full((height, width), 0.5, np.float32)
                assert dresser.dress(frame(0, pixels), alpha).pixels.shape == pixels.shape


def test_a_look_is_swapped_whole_while_frames_are_dressed():
    controls = Controls(Look(background="red"))
    done = threading.Event()

    def command() -> None:
        while not done.is_set():
            controls.replace(Look(background="red", mirror=False))
            controls.replace(Look(background="blue", mirror=True))

    commander = threading.Thread(target=command)
    with Dresser(controls) as dresser:
        commander.start()
        try:
            for index in range(200):
                shown = dresser.dress(frame(index), PERSON).pixels
                person_is_left = bool((shown[40, 10] == ROOM[40, 10]).all())
                expected = (0, 0, 255) if person_is_left else (187, 71, 0)
                assert tuple(shown[0, 0]) == expected
        finally:
            done.set()
            commander.join()


class Opened(Closing):
    """Counts what is open."""

    count = 0

    def __init__(self, path: str) -> None:
        if not Path(path).exists():
            raise SourceError("is missing", subject=path)
        self.text = Path(path).read_text()
        self.is_closed = False
        type(self).count += 1

    def close(self) -> None:
        assert not self.is_closed
        self.is_closed = True
        type(self).count -= 1


@pytest.fixture
def cache():
    Opened.count = 0
    with FileCache(Opened, size=3, interval=INTERVAL) as cache:
        yield cache
    assert Opened.count == 0


def test_only_a_few_files_are_kept_open_and_the_one_in_use_among_them(cache, tmp_path):
    paths = [tmp_path / f"{n}.txt" for n in range(8)]
    for path in paths:
        path.write_text(path.name)
    cache.prepare(str(paths[0]))
    used = cache.get(str(paths[0]))
    for path in paths[1:]:
        cache.prepare(str(path))
    assert cache.get(str(paths[7])).text == "7.txt"
    assert not used.is_closed
    assert cache.get(str(paths[7])).text == "7.txt"
    assert Opened.count <= 3


def test_a_file_that_was_not_prepared_is_opened_beside_the_video(cache, tmp_path):
    path = tmp_path / "new.txt"
    path.write_text("hello")
    assert cache.get(str(path)) is None
    wait_for(lambda: cache.get(str(path)) is not None)
    missing = str(tmp_path / "missing.txt")
    assert cache.get(missing) is None
    wait_for(lambda: cache.warning is not None)
    assert "missing.txt" in cache.warning


def test_what_is_prepared_after_the_end_is_closed(tmp_path):
    path = tmp_path / "late.txt"
    path.write_text("late")
    Opened.count = 0
    cache = FileCache(Opened)
    cache.close()
    cache.prepare(str(path))
    cache.close()
    assert Opened.count == 0
