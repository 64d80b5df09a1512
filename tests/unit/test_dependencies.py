"""The two OpenCV wheels: only ours may be here, and preview windows must work."""

from importlib import metadata

import cv2
import pytest


def installed(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def test_only_the_opencv_with_windows_is_installed():
    assert installed("opencv-python")
    assert installed("opencv-python-headless") is None


def test_opencv_can_open_windows():
    gui = next(line for line in cv2.getBuildInformation().splitlines() if "GUI:" in line)
    assert "NONE" not in gui


def test_albumentations_works_without_the_second_opencv():
    if installed("albumentations") is None:
        pytest.skip("albumentations is not installed")
    from humanseg_training.colour import colour_changes

    assert installed("albumentations") == "2.0.8"
    assert colour_changes(1.0) is not None
