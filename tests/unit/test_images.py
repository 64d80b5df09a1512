"""Pictures in and out: every kind, every name, and nothing half written."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from humanseg.errors import SettingsError, SinkError, SourceError
from humanseg.sinks.images import write_image
from humanseg.sources.images import list_images, read_image


def colours(height: int = 40, width: int = 60) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [20 + 200 * rows // height, 20 + 200 * columns // width, 220 - 200 * rows // height]
    return np.stack(planes, axis=-1).astype(np.uint8)


def store(path: Path, pixels: np.ndarray, suffix: str | None = None) -> Path:
    path.write_bytes(cv2.imencode(suffix or path.suffix, pixels)[1].tobytes())
    return path


class TestReading:
    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tiff"])
    def test_kinds(self, suffix, tmp_path):
        pixels = read_image(store(tmp_path / f"in{suffix}", colours()))
        assert (pixels.shape, pixels.dtype) == ((40, 60, 3), np.uint8)
        assert np.abs(pixels.astype(int) - colours()).mean() < 3

    @pytest.mark.parametrize("suffix", [".png", ".tiff"])
    def test_16_bit_is_reduced(self, suffix, tmp_path):
        deep = colours().astype(np.uint16) * 257
        pixels = read_image(store(tmp_path / f"in{suffix}", deep))
        assert pixels.dtype == np.uint8
        assert np.abs(pixels.astype(int) - colours()).max() <= 1

    def test_grey_is_spread(self, tmp_path):
        grey = colours()[..., 0]
        pixels = read_image(store(tmp_path / "in.png", grey))
        np.testing.assert_array_equal(pixels, np.repeat(grey[..., None], 3, axis=2))

    def test_alpha_is_dropped(self, tmp_path):
        pixels = np.dstack([colours(), np.full((40, 60), 7, np.uint8)])
        np.testing.assert_array_equal(read_image(store(tmp_path / "in.png", pixels)), colours())

    @pytest.mark.parametrize(
        ("orientation", "turned"),
        [
            (1, lambda p: p),
            (2, lambda p: p[:, ::-1]),
            (3, lambda p: p[::-1, ::-1]),
            (4, lambda p: p[::-1]),
            (5, lambda p: p.transpose(1, 0, 2)),
            (6, lambda p: np.rot90(p, -1)),
            (7, lambda p: p.transpose(1, 0, 2)[::-1, ::-1]),
            (8, lambda p: np.rot90(p)),
        ],
    )
    def test_exif_orientation(self, orientation, turned, tmp_path):
        exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(
            ">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0
        )
        data = cv2.imencode(".jpg", colours(), [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
        path = tmp_path / "in.jpg"
        path.write_bytes(
            data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
        )
        expected = turned(colours())
        pixels = read_image(path)
        assert pixels.shape == expected.shape
        assert np.abs(pixels.astype(int) - expected).mean() < 3

    def test_names_of_every_script(self, tmp_path):
        path = store(tmp_path / "größe 映像 фото.png", colours())
        assert read_image(path).shape == (40, 60, 3)

    @pytest.mark.parametrize(
        ("content", "words"),
        [(None, "there is no such file"), (b"", "is empty"), (b"no picture" * 9, "is no picture")],
    )
    def test_what_is_no_picture(self, content, words, tmp_path):
        path = tmp_path / "in.png"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(SourceError, match=words) as caught:
            read_image(path)
        assert caught.value.subject == str(path)
        assert caught.value.hint

    def test_a_folder(self, tmp_path):
        with pytest.raises(SourceError, match="is a folder"):
            read_image(tmp_path)

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tiff"])
    def test_a_broken_file_prints_nothing(self, suffix, tmp_path, capfd):
        path = store(tmp_path / f"in{suffix}", colours())
        whole = path.read_bytes()
        for damaged in (whole[: len(whole) // 2], whole[:-4], spoiled(whole)):
            path.write_bytes(damaged)
            try:
                read_image(path)
            except SourceError as error:
                assert error.hint  # noqa: PT017
        assert capfd.readouterr() == ("", "")

    def test_the_terminal_works_again_after_a_broken_file(self, tmp_path, capfd):
        path = tmp_path / "in.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"nothing" * 9)
        with pytest.raises(SourceError):
            read_image(path)
        os.write(2, b"still here")
        assert capfd.readouterr().err == "still here"

    def test_a_picture_beyond_the_limits_of_opencv(self, tmp_path):
        header = struct.pack(">IIBBBBB", 1 << 20, 1 << 20, 8, 2, 0, 0, 0)
        chunk = b"IHDR" + header
        path = tmp_path / "huge.png"
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + struct.pack(">I", len(header))
            + chunk
            + struct.pack(">I", zlib.crc32(chunk))
        )
        with pytest.raises(SourceError, match="is no picture"):
            read_image(path)


def spoiled(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + b"\x55" * 40 + data[middle + 40 :]


class TestListing:
    def test_a_file_is_itself(self, tmp_path):
        path = store(tmp_path / "in.jpg", colours())
        assert list_images(path) == [path]

    def test_numbers_by_value_and_nothing_else(self, tmp_path):
        names = ["10.png", "2.PNG", "1.jpg", "b12.webp", "b3.webp", "a.tif"]
        for name in [*names, "notes.txt", ".hidden.png"]:
            (tmp_path / name).write_bytes(b"x")
        (tmp_path / "folder.png").mkdir()
        assert [path.name for path in list_images(tmp_path)] == [
            "1.jpg",
            "2.PNG",
            "10.png",
            "a.tif",
            "b3.webp",
            "b12.webp",
        ]

    def test_none(self, tmp_path):
        (tmp_path / "notes.txt").write_text("x")
        with pytest.raises(SourceError, match="holds no pictures"):
            list_images(tmp_path)
        with pytest.raises(SourceError, match="there is no such file"):
            list_images(tmp_path / "nowhere")


class TestWriting:
    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp", ".PNG"])
    @pytest.mark.parametrize("channels", [None, 3])
    def test_kinds(self, suffix, channels, tmp_path):
        pixels = colours() if channels else colours()[..., 0]
        write_image(tmp_path / f"out{suffix}", pixels)
        made = read_image(tmp_path / f"out{suffix}")
        expected = pixels if channels else np.repeat(pixels[..., None], 3, axis=2)
        assert np.abs(made.astype(int) - expected).mean() < 3
        assert [path.name for path in tmp_path.iterdir()] == [f"out{suffix}"]

    @pytest.mark.parametrize("suffix", [".png", ".webp"])
    def test_a_mask_is_exact(self, suffix, tmp_path):
        mask = np.random.default_rng(0).integers(0, 256, (31, 17), dtype=np.uint8)
        write_image(tmp_path / f"out{suffix}", mask)
        np.testing.assert_array_equal(read_image(tmp_path / f"out{suffix}")[..., 0], mask)

    @pytest.mark.parametrize("suffix", [".png", ".webp"])
    def test_alpha_is_kept(self, suffix, tmp_path):
        pixels = np.dstack([colours(), np.full((40, 60), 99, np.uint8)])
        write_image(tmp_path / f"out{suffix}", pixels)
        data = np.fromfile(tmp_path / f"out{suffix}", np.uint8)
        made = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        assert made.shape == (40, 60, 4)
        assert np.abs(made[..., 3].astype(int) - 99).max() <= 1

    @pytest.mark.parametrize(
        ("name", "channels", "words"),
        [
            ("out.jpg", 4, "a JPEG cannot hold transparency"),
            ("out.xyz", 3, "no kind of picture"),
            ("out", 3, "has no suffix"),
            ("none/out.png", 3, "its folder does not exist"),
        ],
    )
    def test_what_cannot_work_is_refused(self, name, channels, words, tmp_path):
        with pytest.raises(SettingsError, match=words):
            write_image(tmp_path / name, np.zeros((4, 4, channels), np.uint8))
        assert list(tmp_path.iterdir()) == []

    def test_an_existing_file(self, tmp_path):
        path = tmp_path / "out.png"
        path.write_bytes(b"precious")
        with pytest.raises(SettingsError, match="exists already"):
            write_image(path, colours())
        assert path.read_bytes() == b"precious"
        write_image(path, colours(), overwrite=True)
        np.testing.assert_array_equal(read_image(path), colours())

    def test_a_picture_too_large_for_its_kind(self, tmp_path):
        with pytest.raises(SettingsError, match="cannot hold a picture of 20000x2"):
            write_image(tmp_path / "out.webp", np.zeros((2, 20_000, 3), np.uint8))
        assert list(tmp_path.iterdir()) == []

    def test_a_failing_disk_leaves_nothing(self, tmp_path, monkeypatch):
        def refuse(*_):
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("os.replace", refuse)
        with pytest.raises(SinkError, match="the disk reports a fault"):
            write_image(tmp_path / "out.png", colours())
        assert list(tmp_path.iterdir()) == []
