"""A headless Chromium under selenium: Debian's packages chromium and chromium-driver, and nothing from a network."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LAYOUT = Path(__file__).with_name("layout.js").read_text()
SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-first-run",
)


class Browser:
    """One page at a time, at a width and in a colour scheme."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(
        self, page: Path, *, width: int, scheme: str = "light", media: str = "screen", anchor: str = ""
    ) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get("about:blank")  # an anchor alone would not load the page again
        self.driver.get(page.as_uri() + (f"#{anchor}" if anchor else ""))

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def inspect(self, kind: str) -> list[str]:
        """What ``layout.js`` finds wrong: ``overflow``, ``clipped``, ``overlaps`` or ``contrast``."""
        found: list[str] = self.run(f"{LAYOUT}\nreturn inspect(arguments[0]);", kind)
        return found

    def open_details(self) -> int:
        """Unfold what is folded, by clicks; how many there were."""
        folded = self.driver.find_elements("css selector", "details:not([open]) > summary")
        for summary in folded:
            self.run("arguments[0].click();", summary)
        return len(folded)

    def errors(self) -> list[str]:
        """What the console says since the last call, whatever its level."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def screenshot(self, path: Path) -> bytes:
        """The whole page as a PNG, kept in ``path``."""
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        data = base64.b64decode(shot["data"])
        path.write_bytes(data)
        return data

    def print(self, path: Path) -> int:
        """The page on A4 as a PDF, kept in ``path``; its number of pages."""
        # An emulated medium would be printed as it is on the screen.
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        paper = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True, "preferCSSPageSize": True}
        data = base64.b64decode(self.driver.execute_cdp_cmd("Page.printToPDF", paper)["data"])
        path.write_bytes(data)
        return len(re.findall(rb"/Type\s*/Page\b", data))


def start(profile: Path) -> Iterator[Browser]:
    """A browser with a profile of its own, closed afterwards; skips the test where there is none."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("the report is looked at in Chromium: install chromium and chromium-driver")
    selenium = pytest.importorskip("selenium.webdriver", reason="the browser is driven by selenium")
    from selenium.webdriver.chrome.service import Service

    options = selenium.ChromeOptions()
    options.binary_location = chromium
    for switch in (*SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = selenium.Chrome(options=options, service=Service(chromedriver))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
