"""Takes the pictures of the page that docs/ui.md shows: light, dark, narrow, and the one for files.

    python docs/make_page_pictures.py

Needs the extra `ui`, selenium, Chromium and its driver, and about a minute.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
CLIP, BEACH = ROOT / "samples" / "walk.mp4", ROOT / "samples" / "beach.jpg"
WIDE, NARROW = (1240, 820), (390, 844)
QUALITY = 82
SWITCHES = "--headless --no-sandbox --disable-gpu --hide-scrollbars --force-color-profile=srgb"
PATIENCE = 60.0


def serve(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start a session on the sample clip; returns it and the page's address."""
    for name in ("run", "config", "data"):
        (folder / name).mkdir(mode=0o700)
    environment = {
        **os.environ,
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_DATA_HOME": str(folder / "data"),
    }
    live = "live --ui --no-open --no-virtual-camera --preset fast --camera walk.mp4"
    command = [sys.executable, "-m", "humanseg_cli", *live.split()]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=CLIP.parent, env=environment, stderr=log)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = re.search(r"http://\S+#token=\S+", (folder / "log").read_text(encoding="utf-8"))
        if found:
            return process, found[0]
        time.sleep(0.1)
    process.terminate()
    raise SystemExit((folder / "log").read_text(encoding="utf-8"))


def open_browser() -> webdriver.Chrome:
    """A browser without a window."""
    options = Options()
    options.binary_location = shutil.which("chromium") or ""
    for switch in SWITCHES.split():
        options.add_argument(switch)
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver") or ""))


def wait_for_text(browser: webdriver.Chrome, selector: str, text: str) -> None:
    """Until an element holds a text."""
    until = time.monotonic() + PATIENCE
    while text not in browser.find_element(By.CSS_SELECTOR, selector).text:
        if time.monotonic() > until:
            raise SystemExit(f"{selector} does not say {text!r}")
        time.sleep(0.1)


def take(
    browser: webdriver.Chrome, name: str, size: tuple[int, int], scheme: str, *, whole: bool = False
) -> None:
    """Save what the browser shows in a size and a colour scheme."""
    width, height = size
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    for _ in range(2):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        if whole:
            height = browser.execute_script("return document.documentElement.scrollHeight")
    time.sleep(1)
    picture = {"format": "webp", "quality": QUALITY}
    data = browser.execute_cdp_cmd("Page.captureScreenshot", picture)["data"]
    (IMAGES / f"{name}.webp").write_bytes(base64.b64decode(data))


def main() -> None:
    """Take all pictures."""
    with tempfile.TemporaryDirectory() as folder:
        process, address = serve(Path(folder))
        try:
            with open_browser() as browser:
                browser.implicitly_wait(PATIENCE)
                browser.get(address)
                browser.find_element(By.ID, "add-picture").send_keys(str(BEACH))
                browser.find_element(By.CSS_SELECTOR, "#gallery [title=beach] img")
                time.sleep(6)  # until the message is gone and the figures have settled
                if browser.execute_script("return !document.getElementById('warnings').hidden"):
                    print("this machine is too busy: the pictures show a warning")
                take(browser, "page-light", WIDE, "light")
                take(browser, "page-dark", WIDE, "dark")
                take(browser, "page-narrow", NARROW, "light", whole=True)
                browser.find_element(By.ID, "tab-files").click()
                browser.find_element(By.ID, "file-input").send_keys(str(CLIP))
                wait_for_text(browser, ".job .told", " left")
                time.sleep(2)
                take(browser, "page-files", WIDE, "light")
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
