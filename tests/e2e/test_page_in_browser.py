"""The page as a user meets it: headless Chromium beside a live run on the sample clip.

Needs Chromium and its driver (Debian: `chromium chromium-driver`) and selenium; skipped without.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="the extra 'ui' is not installed")
pytest.importorskip("selenium", reason="selenium is not installed")

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="there is no Chromium with its driver (Debian: chromium chromium-driver)",
)

SAMPLES = Path(__file__).parent.parent.parent / "samples"
PATIENCE = 60.0
SWITCHES = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--disable-dev-shm-usage --force-color-profile=srgb"
)
GREEN = (0, 177, 64)
MAGENTA = (220, 20, 180)

CORNER = """
const canvas = document.getElementById("preview");
const side = Math.round(canvas.height / 6);
const data = canvas.getContext("2d").getImageData(canvas.width - side - 4, 4, side, side).data;
const sums = [0, 0, 0];
for (let at = 0; at < data.length; at += 4) for (const c of [0, 1, 2]) sums[c] += data[at + c];
return sums.map((sum) => sum * 4 / data.length);
"""
"""Mean red, green, blue of the preview's upper right corner, where nobody stands at first."""


class Run:
    """A `humanseg` process that serves the page."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        folders = {"RUNTIME_DIR": "run", "CONFIG_HOME": "config", "DATA_HOME": "data"}
        for name in folders.values():
            (folder / name).mkdir(mode=0o700)
        (folder / "tmp").mkdir()
        environment = {f"XDG_{key}": str(folder / name) for key, name in folders.items()}
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "humanseg_cli", *arguments, "--no-open"],
                env={**os.environ, **environment, "TMPDIR": str(folder / "tmp")},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        wait_for(lambda: "#token=" in self.told() or self.process.poll() is not None)
        found = re.search(r"http://127\.0\.0\.1:\d+/#token=\S+", self.told())
        assert found is not None, self.told()
        self.address = found[0]
        self.base = self.address.partition("#")[0]

    def told(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()


class Page:
    """A browser's window with the page."""

    def __init__(self, browser: webdriver.Chrome, downloads: Path) -> None:
        self.browser = browser
        self.downloads = downloads

    def open(self, address: str) -> None:
        self.browser.get("about:blank")
        self.browser.get(address)

    def get(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def run(self, script: str, *arguments: object) -> Any:
        return self.browser.execute_script(script, *arguments)

    def wait(self, truth: Callable[[], object]) -> None:
        wait_for(truth)

    def wait_for_text(self, selector: str, text: str) -> None:
        wait_for(lambda: text in self.get(selector).text)

    def wait_for_pictures(self, count: int = 1) -> None:
        """Until so many new pictures were drawn."""
        number = "return Number(document.getElementById('preview').dataset.picture ?? -1)"
        before = self.run(number)
        wait_for(lambda: self.run(number) >= max(0, before) + count)

    def corner(self) -> tuple[float, float, float]:
        red, green, blue = self.run(CORNER)
        return red, green, blue

    def wait_for_corner(self, rgb: tuple[int, int, int]) -> None:
        wait_for(lambda: np.abs(np.subtract(self.corner(), rgb)).max() < 16)

    def choose(self, background: str) -> None:
        self.run(
            "[...document.querySelectorAll('#gallery input')]"
            ".find((tile) => tile.value === arguments[0]).click()",
            background,
        )

    def severe(self) -> list[str]:
        return [
            entry["message"]
            for entry in self.browser.get_log("browser")
            if entry["level"] == "SEVERE"
        ]


def wait_for(truth: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds(truth):
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.05)


def holds(truth: Callable[[], object]) -> bool:
    """Whether it is true now; of an element that the page just drew anew it is not, yet."""
    try:
        return bool(truth())
    except StaleElementReferenceException:
        return False


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("browser")
    options = Options()
    options.binary_location = str(CHROMIUM)
    for switch in SWITCHES.split():
        options.add_argument(switch)
    options.add_argument(f"--user-data-dir={folder / 'profile'}")
    options.add_argument("--window-size=1280,900")
    options.add_experimental_option(
        "prefs", {"download.default_directory": str(folder), "download.prompt_for_download": False}
    )
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options=options, service=Service(str(DRIVER))) as browser:
        yield Page(browser, folder)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    clip = str(SAMPLES / "walk.mp4")
    arguments = ("--ui", "--camera", clip, "--no-virtual-camera", "--preset", "fast")
    run = Run(tmp_path_factory.mktemp("live"), "live", *arguments)
    yield run
    run.end()


@pytest.fixture
def opened(page: Page, live: Run) -> Iterator[Page]:
    """The page of the live run, with the settings it begins with."""
    page.open(live.address)
    page.wait(lambda: not page.get("#curtain").is_displayed())
    page.wait(lambda: page.browser.find_elements(By.ID, "add-picture"))
    yield page
    assert page.severe() == []


def picture(path: Path, rgb: tuple[int, int, int] = MAGENTA) -> Path:
    cv2.imwrite(str(path), np.full((90, 160, 3), rgb[::-1], np.uint8))
    return path


def test_the_token_leaves_the_address_and_survives_a_reload(opened: Page, live: Run) -> None:
    assert opened.browser.current_url == live.base
    opened.browser.refresh()
    opened.wait_for_pictures()


def test_changing_the_effect_changes_the_preview(opened: Page) -> None:
    opened.choose("green")
    opened.wait_for_corner(GREEN)
    opened.get("[data-switch=effect]").click()
    opened.wait(lambda: np.abs(np.subtract(opened.corner(), GREEN)).max() > 60)
    opened.get("[data-switch=effect]").click()
    opened.wait_for_corner(GREEN)
    opened.choose("blur")
    opened.wait(lambda: np.abs(np.subtract(opened.corner(), GREEN)).max() > 60)


def test_the_mask_is_black_and_white(opened: Page) -> None:
    opened.get("#view input[value=mask]").click()
    opened.wait_for_corner((0, 0, 0))
    opened.get("#view input[value=composite]").click()
    opened.wait(lambda: max(opened.corner()) > 40)


def test_an_own_background_is_added_seen_and_removed(opened: Page, tmp_path: Path) -> None:
    field = opened.get("#add-picture")
    field.send_keys(str(picture(tmp_path / "Magenta wall.png")))
    opened.wait_for_corner(MAGENTA)
    tile = opened.get("#gallery label[title='Magenta wall']")
    assert opened.run("return arguments[0].querySelector('input').checked", tile)
    opened.wait(lambda: opened.run("return arguments[0].querySelector('img')?.naturalWidth", tile))
    opened.get("button[aria-label='Remove Magenta wall']").click()
    opened.wait_for_text("#message", "Magenta wall was removed")
    opened.wait(
        lambda: opened.run("return document.querySelector('[title=\"Magenta wall\"]')") is None
    )
    opened.wait(lambda: opened.get("#gallery input[value=blur]").is_selected())


@pytest.mark.parametrize("kind", ["large", "text", "svg", "bomb"])
def test_what_is_no_background_is_refused_with_the_reason(
    opened: Page, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"{kind}.{'svg' if kind == 'svg' else 'png'}"
    if kind == "large":
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50_000_000))
    elif kind == "bomb":
        header = b"IHDR" + (40_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
        path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + header + bytes(4))
    elif kind == "svg":
        path.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    else:
        path.write_text("not a picture")
    before = len(opened.browser.find_elements(By.CSS_SELECTOR, "#gallery .tile"))
    opened.get("#add-picture").send_keys(str(path))
    told = {"large": "more than the 20 MB", "bomb": "40000x40000"}.get(kind, "no picture")
    opened.wait_for_text("#problem", told)
    assert len(opened.browser.find_elements(By.CSS_SELECTOR, "#gallery .tile")) == before
    if kind != "large":  # that one is not even sent
        assert [line for line in opened.severe() if "400" in line]


def test_the_server_refuses_what_a_script_in_the_page_could_send(opened: Page) -> None:
    script = """
    const [name, size, done] = arguments;
    import("/static/connection.js").then(async (connection) => {
      await connection.findToken();
      const body = new Blob([new Uint8Array(size)]);
      connection.ask(`/api/backgrounds?name=${encodeURIComponent(name)}`, { method: "POST", body })
        .then(() => done("taken"), (error) => done(error.message));
    });
    """
    opened.browser.set_script_timeout(PATIENCE)
    assert "path" in opened.browser.execute_async_script(script, "../../beach.png", 100)
    # The server hangs up while the rest is still on its way; Chromium may tell just that.
    told = opened.browser.execute_async_script(script, "beach.png", 50_000_000)
    assert "50 MB" in told or "does not answer" in told
    opened.severe()


def test_switches_work_by_keyboard_and_tell_what_happened(opened: Page) -> None:
    mirror = opened.get("[data-switch=mirror]")
    mirror.send_keys(Keys.SPACE)
    opened.wait_for_text("#message", "Mirror is on")
    opened.browser.refresh()
    opened.wait(lambda: opened.get("[data-switch=mirror]").is_selected())
    opened.get("[data-switch=mirror]").send_keys(Keys.SPACE)
    opened.wait_for_text("#message", "Mirror is off")


def test_sliders_and_choices_work_by_keyboard(opened: Page) -> None:
    strength = opened.get("input[data-number=strength]")
    strength.send_keys(Keys.END)
    opened.wait(lambda: opened.get("input[data-number=strength] + output").text == "100 %")
    opened.get("#keep input[value=all]").send_keys(Keys.ARROW_RIGHT)
    opened.wait_for_text("#message", "largest person")
    opened.browser.refresh()
    opened.wait(lambda: opened.get("#keep input[value=largest]").is_selected())
    assert opened.get("input[data-number=strength]").get_attribute("value") == "1"
    opened.get("#keep input[value=all]").click()


def test_focus_goes_through_the_page_in_its_order(opened: Page) -> None:
    name = """
    const e = document.activeElement;
    return e.id || e.dataset.switch || e.dataset.number || e.name || e.className || e.tagName;
    """
    seen = []
    for _ in range(40):
        ActionChains(opened.browser).send_keys(Keys.TAB).perform()
        seen.append(opened.run(name))
    order = ["skip", "tab-live", "quit", "view", "freeze", "effect", "background", "add-picture"]
    order += ["strength", "keep", "mirror", "auto-frame", "camera", "virtual-camera", "preset"]
    assert set(order) <= set(seen), seen
    places = [seen.index(name) for name in order]
    assert places == sorted(places)


SOUGHT = {
    "live": {"switch", "slider", "radio", "combobox", "image", "textbox"},
    "files": {"slider", "combobox"},
}
"""Roles of the controls of each tab."""


@pytest.mark.parametrize("tab", SOUGHT)
def test_every_control_has_a_name_and_a_role(opened: Page, tab: str) -> None:
    opened.get(f"#tab-{tab}").click()
    opened.run("for (const part of document.querySelectorAll('details')) part.open = true")
    sought = SOUGHT[tab] | {"button", "tab"}
    tree = opened.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    seen = [role_and_name(node) for node in tree if not node["ignored"]]
    roles = {role for role, _ in seen}
    assert sought <= roles
    assert [role for role, name in seen if role in sought | {"ColorWell"} and not name] == []
    # A screen reader follows only regions that were there before their text.
    assert opened.get("#message").text == ""
    assert "alert" in roles
    # Of the camera's state and of messages: sliders tell their values themselves.
    assert [role for role, _ in seen].count("status") == 2


def role_and_name(node: dict[str, Any]) -> tuple[str, str]:
    return node.get("role", {}).get("value", ""), node.get("name", {}).get("value", "")


def test_the_figures_are_those_of_the_session(opened: Page) -> None:
    opened.wait(lambda: re.fullmatch(r"\d+\.\d", opened.get("#figure-rate").text))
    opened.wait(lambda: float(opened.get("#figure-rate").text) > 1)
    assert re.fullmatch(r"\d+ %", opened.get("#figure-cpu").text)
    assert "rame" in opened.get("#figure-drops").text
    opened.get(".figures summary").click()
    opened.wait_for_text("#figure-list", "Networks")
    assert "walk.mp4" in opened.get("#figure-list").text


def test_a_profile_is_saved_and_used(opened: Page) -> None:
    opened.choose("grey")
    opened.wait_for_corner((128, 128, 128))
    opened.get("#profile-name").send_keys("Quiet" + Keys.ENTER)
    opened.wait(lambda: opened.run("return document.getElementById('profile').options.length") == 2)
    opened.choose("blur")
    opened.wait(lambda: np.abs(np.subtract(opened.corner(), 128)).max() > 16)
    opened.get("#profile").send_keys("Quiet")
    opened.wait_for_corner((128, 128, 128))
    opened.choose("blur")


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_width_and_can_be_read(opened: Page, width: int, scheme: str) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    feature = {"name": "prefers-color-scheme", "value": scheme}
    try:
        opened.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        opened.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        assert opened.run("return document.documentElement.scrollWidth") <= width
        for selector in (".row span", ".hint", ".group h2", "#state-text", ".segments span", "dd"):
            assert opened.run(CONTRAST, selector) >= 4.5, selector
    finally:
        opened.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        opened.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


CONTRAST = """
const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
const luminance = (color) => {
  const [r, g, b] = numbers(color).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const element = document.querySelector(arguments[0]);
let behind = element;
const isClear = (e) => (numbers(getComputedStyle(e).backgroundColor)[3] ?? 1) < 1;
while (isClear(behind)) behind = behind.parentElement;
const pair = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor];
const [low, high] = pair.map(luminance).sort((a, b) => a - b);
return (high + 0.05) / (low + 0.05);
"""
"""WCAG's contrast of a text with what is behind it."""


def test_nothing_outside_is_asked(opened: Page, live: Run) -> None:
    opened.browser.get_log("performance")
    opened.browser.refresh()
    opened.wait_for_pictures()
    asked = []
    for entry in opened.browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
        elif message["method"] == "Network.webSocketCreated":
            asked.append(message["params"]["url"].replace("ws://", "http://"))
    assert len(asked) > 8
    assert [url for url in asked if not url.startswith((live.base, "blob:", "data:"))] == []


def test_a_hidden_page_takes_no_pictures(opened: Page, live: Run) -> None:
    opened.get("#tab-files").click()
    time.sleep(0.5)
    number = opened.run("return document.getElementById('preview').dataset.picture")
    time.sleep(1)
    assert opened.run("return document.getElementById('preview').dataset.picture") == number
    opened.get("#tab-files").send_keys(Keys.ARROW_LEFT)
    opened.wait_for_pictures(3)


def test_a_video_is_handed_in_followed_and_saved(
    opened: Page, make_video: Callable[..., Path], read_video: Callable[[Path], Any]
) -> None:
    opened.get("#tab-files").click()
    opened.wait(
        lambda: len(opened.browser.find_elements(By.CSS_SELECTOR, "#file-effect option")) > 4
    )
    opened.run("document.getElementById('file-preset').value = 'fast'")
    opened.get("#file-effect").send_keys("Green")
    opened.get("#file-input").send_keys(str(make_video("holiday.mp4", frames=20)))
    opened.wait_for_text("#jobs", "Finished: holiday new background.mp4")
    opened.get("button[aria-label='Save holiday.mp4']").click()
    saved = opened.downloads / "holiday new background.mp4"
    opened.wait(saved.exists)
    assert len(read_video(saved).times) == 20
    opened.get("button[aria-label='Remove holiday.mp4']").click()
    opened.wait(lambda: not opened.browser.find_elements(By.CSS_SELECTOR, ".job"))


def test_what_is_dropped_and_no_video_stays_in_the_list_with_its_reason(opened: Page) -> None:
    opened.get("#tab-files").click()
    opened.run(
        "const transfer = new DataTransfer();"
        "transfer.items.add(new File(['Dear reader'], 'letter.mp4'));"
        "const drop = new DragEvent('drop', { dataTransfer: transfer, cancelable: true });"
        "document.getElementById('drop').dispatchEvent(drop);"
    )
    opened.wait_for_text(".job .told", "is no video that can be read")
    opened.get("button[aria-label='Remove letter.mp4']").click()
    assert [line for line in opened.severe() if "400" in line]


@pytest.mark.parametrize("address", ["", "#token=wrong", "#once=wrong"])
def test_without_the_token_the_page_says_what_to_do(page: Page, live: Run, address: str) -> None:
    page.open(live.base)
    page.run("sessionStorage.clear()")
    page.open(live.base + address)
    page.wait_for_text("#notice", "Open the address that humanseg printed")
    assert not page.get("#live").is_displayed()
    assert not page.get("#files").is_displayed()
    page.severe()


def test_a_run_that_dies_is_noticed(page: Page, tmp_path: Path) -> None:
    run = Run(tmp_path, "ui")
    page.open(run.address)
    page.wait_for_text("#state-text", "Ready")
    run.process.kill()
    run.process.wait()
    page.wait_for_text("#state-text", "Connection lost")
    page.severe()


def test_quit_ends_the_run_and_says_so(page: Page, tmp_path: Path) -> None:
    run = Run(tmp_path, "ui")
    try:
        page.open(run.address)
        page.wait(lambda: page.get("#quit").is_displayed())
        assert not page.get("#tabs").is_displayed()
        page.get("#quit").click()
        page.get("#quit-dialog button[value=quit]").click()
        page.wait_for_text("#notice", "humanseg has ended")
        assert run.process.wait(PATIENCE) == 0
        assert list((tmp_path / "tmp").glob("humanseg-*")) == []
    finally:
        run.end()
    page.severe()
