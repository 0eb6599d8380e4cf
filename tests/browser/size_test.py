"""100 arms x 10 rounds: the file stays below 5 MB; when its first chart stands is measured and printed."""

import json
import subprocess

import browser
import make_results

# Notes when the first drawing stands, in milliseconds since the navigation began.
WATCH = """
new MutationObserver((_, observer) => {
  if (!document.querySelector('.plot svg')) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.firstChart = performance.now(); }));
}).observe(document, { childList: true, subtree: true });
"""


class Size(browser.PageTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.results = browser.report(make_results.large(), cls.folder / "large")

    def test_a_hundred_arms_and_ten_rounds(self):
        size = (self.results / "report.html").stat().st_size
        self.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        times = []
        for _ in range(5):
            self.open(self.results / "report.html")
            times.append(self.wait(lambda: self.run_script("return window.firstChart"), "the first chart"))
        print(f"\nreport.html of 100 arms x 10 rounds: {size / 1e6:.2f} MB; first chart after "
              f"{sorted(times)[2]:.0f} ms (median of {', '.join(f'{one:.0f}' for one in times)})")
        self.assertLess(size, 5e6)
        self.assertEqual(len(self.all("#arms-table tbody tr")), 100)

    def test_environment_is_there_once(self):
        page = (self.results / "report.html").read_text(encoding="utf-8")
        self.assertEqual(page.count(make_results.ENVIRONMENT["cpu"]), 1)
        self.assertEqual(page.count("fma_flops_per_second\\\":") + page.count('fma_flops_per_second":'), 1)

    def test_json_is_the_data_of_the_page(self):
        printed = subprocess.run([browser.PROGRAM, "report", str(self.results), "--format", "json"], check=True,
                                 capture_output=True)
        self.assertEqual(printed.stderr, b"")
        self.open(self.results / "report.html")
        embedded = json.loads(self.run_script("return document.getElementById('data').textContent"))
        self.assertEqual(json.loads(printed.stdout), embedded)


if __name__ == "__main__":
    browser.main()
