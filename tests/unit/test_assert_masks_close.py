"""`assert_masks_close` as a function, and as the fixture that users of pytest meet."""

import os
import subprocess
import sys
import textwrap

import cv2
import numpy as np
import pytest

from humanseg.testing import assert_masks_close


def disk(radius, size=64):
    rows, columns = np.mgrid[:size, :size] - size / 2
    return (rows**2 + columns**2 < radius**2).astype(np.float32)


def test_masks_of_either_kind_are_compared():
    assert_masks_close(disk(20), disk(20))
    assert_masks_close(disk(20), (disk(20) * 255).astype(np.uint8))
    assert_masks_close(disk(0), disk(0))


@pytest.mark.parametrize(
    ("found", "limits", "words"),
    [
        (disk(18), {}, "IoU 0.8.* is below 0.98"),
        (disk(18), {"min_iou": 0.5}, "differ by 0.0.*, more than 0.01"),
        (disk(20, 32), {}, r"a mask of \(32, 32\)"),
        (disk(20) * np.float32(0.9), {"max_difference": 0.02}, "more than 0.02"),
    ],
)
def test_masks_apart_fail(found, limits, words):
    with pytest.raises(AssertionError, match=words):
        assert_masks_close(found, disk(20), **limits)


def test_numbers_of_unknown_range_are_refused():
    with pytest.raises(TypeError, match="give floats"):
        assert_masks_close(disk(20).astype(int), disk(20))


TEST = """
    import numpy as np

    def test_product(assert_masks_close):
        mask = np.zeros((40, 60), np.float32)
        mask[10:30, 20:{right}] = 1
        assert_masks_close(mask, "golden/person.png")
"""


def run_pytest(folder, right, *options):
    (folder / "test_product.py").write_text(textwrap.dedent(TEST.format(right=right)))
    # Found by name, so that this tests the code at hand whatever is installed.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "humanseg.pytest_plugin", *options]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", f"--basetemp={folder / 'temporary'}"],
        cwd=folder,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_fixture_compares_with_a_file_beside_the_test(tmp_path):
    missing = run_pytest(tmp_path, 40)
    assert missing.returncode == 1
    assert "is missing; write it with pytest --write-masks" in missing.stdout
    assert run_pytest(tmp_path, 40, "--write-masks").returncode == 0
    golden = cv2.imread(str(tmp_path / "golden" / "person.png"), cv2.IMREAD_UNCHANGED)
    assert golden.shape == (40, 60)
    assert golden[20, 30] == 255
    assert run_pytest(tmp_path, 40).returncode == 0
    moved = run_pytest(tmp_path, 45)
    assert moved.returncode == 1
    assert "IoU 0.8000 is below 0.98" in moved.stdout
    [kept] = {path.resolve() for path in tmp_path.glob("temporary/*/found-person.png")}
    assert cv2.imread(str(kept), cv2.IMREAD_UNCHANGED)[20, 44] == 255


def test_pytest_starts_without_anything_heavy():
    code = (
        "import sys, humanseg.pytest_plugin\n"
        "print(sorted({'numpy', 'cv2', 'av', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
