"""What the page takes in: kinds of files, their names, pictures, temporary folders."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from humanseg.errors import SettingsError, SourceError

pytest.importorskip("starlette", reason="the extra 'ui' is not installed")

from humanseg.web import gallery as gallery_module
from humanseg.web.file_kinds import HEAD_BYTES, is_video, picture_header
from humanseg.web.gallery import LARGEST, MOST_BYTES, Gallery
from humanseg.web.names import LONGEST_STEM, clean_stem, suffix_of
from humanseg.web.scratch import PREFIX, Scratch

SAMPLES = Path(__file__).parent.parent.parent / "samples"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def encoded(suffix: str, height: int = 30, width: int = 50, options: tuple[int, ...] = ()) -> bytes:
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([rows % 256, columns % 256, (rows + columns) % 256], axis=2)
    return cv2.imencode(suffix, pixels.astype(np.uint8), list(options))[1].tobytes()


def bomb(height: int = 30_000, width: int = 30_000) -> bytes:
    """A PNG of a few kilobytes that unpacks to gigabytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(200_000), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    return Gallery(tmp_path / "backgrounds")


@pytest.mark.parametrize(
    ("suffix", "kind", "options"),
    [
        (".png", "png", ()),
        (".jpg", "jpeg", ()),
        (".jpg", "jpeg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
        (".webp", "webp", (cv2.IMWRITE_WEBP_QUALITY, 80)),
        (".webp", "webp", (cv2.IMWRITE_WEBP_QUALITY, 101)),
    ],
)
def test_sizes_are_read_from_headers(suffix: str, kind: str, options: tuple[int, ...]) -> None:
    header = picture_header(encoded(suffix, 37, 301, options))
    assert header is not None
    assert (header.kind, header.height, header.width) == (kind, 37, 301)


def test_size_of_a_jpeg_is_not_that_of_the_thumbnail_in_its_exif() -> None:
    jpeg, small = encoded(".jpg", 400, 600), encoded(".jpg", 8, 8)
    exif = b"\xff\xe1" + struct.pack(">H", len(small) + 8) + b"Exif\0\0" + small
    header = picture_header(jpeg[:2] + exif + jpeg[2:])
    assert header is not None
    assert (header.height, header.width) == (400, 600)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        SVG,
        b"GIF89a" + bytes(40),
        b"II*\0" + bytes(40),
        b"BM" + bytes(60),
        b"\xff\xd8\xff\xe0\0",
    ],
    ids=["empty", "svg", "gif", "tiff", "bmp", "cut jpeg"],
)
def test_other_kinds_have_no_header(data: bytes) -> None:
    assert picture_header(data) is None


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_no_cut_header_raises(suffix: str) -> None:
    data = encoded(suffix)
    for end in range(80):
        picture_header(data[:end])


def test_videos_are_known_by_their_first_bytes() -> None:
    assert is_video((SAMPLES / "walk.mp4").read_bytes()[:HEAD_BYTES])
    assert is_video((SAMPLES / "alpha" / "walk.mkv").read_bytes()[:HEAD_BYTES])
    for other in (
        b"",
        b"#EXTM3U\nhttp://example.org/a.ts",
        SVG,
        b"ffconcat version 1.0",
        b"%PDF-1.7",
    ):
        assert not is_video(other[:HEAD_BYTES])


@pytest.mark.parametrize(
    "name", ["../beach.jpg", "a/b.png", "a\\b.png", "/etc/passwd", "..", ".", "", " ", "x" * 300]
)
def test_names_with_a_path_are_refused(name: str) -> None:
    with pytest.raises(SettingsError):
        clean_stem(name)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("beach.jpg", "beach"),
        (".hidden.png", "hidden"),
        ("Büro 3.webp", "Büro 3"),
        ("a\n<b>|c?.jpg", "abc"),
        ("NUL.png", "NUL_"),
        ("???.png", "unnamed"),
        ("no suffix", "no suffix"),
        ("dots...jpg", "dots"),
        ("y" * 150 + ".jpg", "y" * LONGEST_STEM),
    ],
)
def test_names_are_cleaned(name: str, stem: str) -> None:
    assert clean_stem(name) == stem


def test_suffixes_are_plain() -> None:
    assert [suffix_of(name) for name in ("a.MP4", "a", "a.b c", "a.toolongone")] == [
        ".mp4",
        "",
        "",
        "",
    ]


def test_a_picture_is_taken_in_and_found_again(gallery: Gallery) -> None:
    path = gallery.add("Beach.png", encoded(".png", 300, 400))
    assert path.parent == gallery.folder
    assert path.name == "Beach.jpg"
    assert gallery.pictures() == [path]
    assert cv2.imread(str(path)).shape == (300, 400, 3)


def test_nothing_of_the_file_but_its_pixels_is_kept(gallery: Gallery) -> None:
    secret = b"where it was taken"
    comment = b"\xff\xfe" + struct.pack(">H", len(secret) + 2) + secret
    jpeg = encoded(".jpg")
    path = gallery.add("a.jpg", jpeg[:2] + comment + jpeg[2:])
    assert secret not in path.read_bytes()


def test_two_pictures_of_one_name_are_both_kept(gallery: Gallery) -> None:
    names = [gallery.add(name, encoded(".png")).name for name in ("sea.png", "SEA.jpg", "sea.webp")]
    assert names == ["sea.jpg", "SEA 2.jpg", "sea 3.jpg"]
    assert len(gallery.pictures()) == 3


def test_large_pictures_are_scaled_down(gallery: Gallery) -> None:
    path = gallery.add("large.jpg", encoded(".jpg", 3000, 4000))
    assert cv2.imread(str(path)).shape[:2] == (LARGEST[0], 1920)


def test_small_pictures_are_left_as_they_are(gallery: Gallery) -> None:
    assert cv2.imread(str(gallery.add("s.png", encoded(".png", 90, 40)))).shape[:2] == (90, 40)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.png", bomb(), "30000x30000 pixels"),
        ("a.svg", SVG, "no picture"),
        ("a.png", SVG, "no picture"),
        ("a.jpg", b"MZ" + bytes(5000), "no picture"),
        ("a.jpg", bytes(MOST_BYTES + 1), "20 MB"),
        ("../a.png", encoded(".png"), "path"),
    ],
    ids=["bomb", "svg", "svg called png", "program", "too many bytes", "path"],
)
def test_what_is_no_picture_for_it_is_refused(
    gallery: Gallery, name: str, data: bytes, told: str
) -> None:
    with pytest.raises(SettingsError, match=told):
        gallery.add(name, data)
    assert not gallery.folder.exists()


def test_a_bomb_is_refused_before_it_is_decoded(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise AssertionError("the bomb was decoded")

    monkeypatch.setattr(gallery_module, "read_image", fail)
    with pytest.raises(SettingsError, match="pixels"):
        gallery.add("a.png", bomb())


def test_a_damaged_picture_is_refused_by_its_own_name(gallery: Gallery) -> None:
    with pytest.raises(SourceError, match=r"^half\.png: "):
        gallery.add("half.png", encoded(".png", 300, 300)[:60] + bytes(30))
    assert gallery.pictures() == []


def test_the_number_of_pictures_is_limited(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_module, "MOST_PICTURES", 2)
    for _ in range(2):
        gallery.add("a.png", encoded(".png"))
    with pytest.raises(SettingsError, match="2 pictures already"):
        gallery.add("a.png", encoded(".png"))


def test_only_the_gallerys_own_pictures_can_be_removed(gallery: Gallery, tmp_path: Path) -> None:
    other = tmp_path / "mine.jpg"
    other.write_bytes(encoded(".jpg"))
    path = gallery.add("a.png", encoded(".png"))
    for wrong in (other, gallery.folder / ".." / "mine.jpg"):
        with pytest.raises(SettingsError):
            gallery.remove(wrong)
    gallery.remove(path)
    assert other.exists()
    assert not path.exists()


def test_thumbnails_show_pictures_and_videos(gallery: Gallery) -> None:
    red = np.full((50, 90, 3), (0, 0, 255), np.uint8)
    path = gallery.add("red.png", cv2.imencode(".png", red)[1].tobytes())
    small = cv2.imdecode(np.frombuffer(gallery.thumbnail(path), np.uint8), cv2.IMREAD_COLOR)
    assert small.shape == (135, 240, 3)
    assert np.abs(small.astype(int) - (0, 0, 255)).max() < 12
    film = gallery.thumbnail(SAMPLES / "walk.mp4")
    assert film.startswith(b"\xff\xd8")


def test_a_scratch_folder_is_gone_after_its_run(tmp_path: Path) -> None:
    with Scratch(tmp_path) as scratch:
        (scratch.path / "film.mp4").write_bytes(b"x")
        if os.name == "posix":
            assert scratch.path.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []


def test_a_killed_runs_folder_is_swept_up_and_a_running_ones_is_not(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from humanseg.web.scratch import Scratch\n"
        "scratch = Scratch(pathlib.Path(sys.argv[1]))\n"
        "print(scratch.path, flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        left = Path(run.stdout.readline().strip())
        foreign = tmp_path / f"{PREFIX}foreign"
        foreign.mkdir()  # without a lock, it is nobody's we know
        with Scratch(tmp_path):
            assert left.exists()
        run.kill()
    with Scratch(tmp_path) as scratch:
        assert sorted(tmp_path.iterdir()) == sorted([foreign, scratch.path])
