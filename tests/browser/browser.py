"""A real browser on pages that the program wrote. Where it or its driver is missing, tests are skipped by name (77)."""

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SKIPPED = 77
PROGRAM = os.environ.get("ATTNLAB_PROGRAM", "")
PICTURES = Path(os.environ.get("ATTNLAB_PICTURES", tempfile.gettempdir()))


def missing():
    """What is not there, or nothing."""
    if not PROGRAM:
        return "ATTNLAB_PROGRAM names no program"
    for program in ("chromium", "chromedriver"):
        if not shutil.which(program):
            return f"{program} is not installed"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "python3-selenium is not installed"
    return None


def start(download_folder=None):
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    # As root, as in a container, there is no sandbox.
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--window-size=1400,900"):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if download_folder:
        options.add_experimental_option("prefs", {"download.default_directory": str(download_folder)})
    driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
    driver.set_script_timeout(60)
    return driver


def report(study, folder):
    """Writes the study's folder and lets the program write its reports."""
    study.write(folder)
    subprocess.run([PROGRAM, "report", str(folder)], check=True, stdout=subprocess.DEVNULL)
    return folder


def summary(folder):
    with open(folder / "summary.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class PageTest(unittest.TestCase):
    """One browser for a class; no page may leave an error on the console."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="attnlab-browser-"))
        cls.downloads = cls.folder / "downloads"
        cls.browser = start(cls.downloads)
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.addClassCleanup(cls.browser.quit)

    def tearDown(self):
        errors = [entry for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]
        self.assertEqual(errors, [], "the console has errors")

    def run_script(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def all(self, selector):
        return self.browser.find_elements("css selector", selector)

    def one(self, selector):
        return self.browser.find_element("css selector", selector)

    def wait(self, condition, what):
        for _ in range(300):
            value = condition()
            if value:
                return value
            time.sleep(0.05)
        self.fail(f"waited in vain for {what}")

    def open(self, file):
        self.browser.get(Path(file).as_uri())

    def draw_all(self):
        """As before printing: every chart that has room is drawn at once."""
        self.run_script("dispatchEvent(new Event('beforeprint'))")

    def show(self, width, theme):
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": 844 if width < 600 else 900, "deviceScaleFactor": 1, "mobile": width < 600})
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": theme}]})

    def about(self, figure):
        return json.loads(figure.get_attribute("data-about") or "{}")

    def marks(self, figure, what, tag):
        return len(figure.find_elements("css selector", f'svg g[aria-description="{what}"] > {tag}'))

    def choose(self, figure, label, index):
        """Chooses an option of one of the figure's controls; the chart is drawn anew."""
        self.run_script("""
            const controls = [...arguments[0].querySelectorAll('label')];
            const control = controls.find((one) => one.textContent.startsWith(arguments[1]));
            const list = control.querySelector('select');
            list.selectedIndex = arguments[2];
            list.dispatchEvent(new Event('change'));
            arguments[0].scrollIntoView();""", figure, label, index)
        self.draw_all()

    def options(self, figure, label):
        return self.run_script("""
            const controls = [...arguments[0].querySelectorAll('label')];
            const control = controls.find((one) => one.textContent.startsWith(arguments[1]));
            return control ? [...control.querySelectorAll('option')].map((one) => one.textContent) : [];""",
                               figure, label)


def main():
    reason = missing()
    if reason:
        print(f"SKIPPED: {reason}")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
