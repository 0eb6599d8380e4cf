"""Narrow and wide, light and dark, printed: pictures for people, and what a program can check of them.
The pictures lie in ATTNLAB_PICTURES."""

import base64
import json
import subprocess

import browser
import make_results

TALLEST = 12000  # of a picture


class Appearance(browser.PageTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.runs = cls.folder / "runs"
        cls.results = browser.report(make_results.ordinary(), cls.runs / "kv-and-cache" / "1")
        browser.report(make_results.large(4, 5), cls.runs / "few" / "1")
        damaged = cls.runs / "damaged" / "1"
        make_results.large(2, 1).write(damaged)
        (damaged / "trials" / "00000.json").write_text("{")
        subprocess.run([browser.PROGRAM, "report", "--index", str(cls.runs)], check=True, stdout=subprocess.DEVNULL)
        browser.PICTURES.mkdir(parents=True, exist_ok=True)

    def picture(self, name, width):
        height = min(self.run_script("return document.documentElement.scrollHeight"), TALLEST)
        answer = self.browser.execute_cdp_cmd("Page.captureScreenshot", {
            "captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}})
        (browser.PICTURES / f"{name}.png").write_bytes(base64.b64decode(answer["data"]))

    def test_phone_and_desk_light_and_dark(self):
        for page, file in (("report", self.results / "report.html"), ("index", self.runs / "index.html")):
            surfaces = set()
            for width in (390, 1400):
                for theme in ("light", "dark"):
                    self.show(width, theme)
                    self.open(file)
                    self.draw_all()
                    content = self.run_script("return document.documentElement.scrollWidth")
                    self.assertLessEqual(content, width, (page, width))
                    for svg in self.all(".plot svg"):
                        self.assertLessEqual(svg.rect["x"] + svg.rect["width"], width, (page, width))
                    surfaces.add((theme, self.run_script("return getComputedStyle(document.body).backgroundColor")))
                    self.picture(f"{page}-{width}-{theme}", width)
            self.assertEqual(len(surfaces), 2, surfaces)

    def test_the_button_changes_the_colours_and_the_choice_stays(self):
        self.show(1400, "light")
        self.open(self.results / "report.html")
        colour = lambda: self.run_script("return getComputedStyle(document.body).backgroundColor")
        light = colour()
        self.one("#theme").click()
        self.assertEqual(colour(), light, "light, as the system")
        self.one("#theme").click()
        self.assertNotEqual(colour(), light)
        self.browser.refresh()
        self.assertNotEqual(colour(), light)
        self.one("#theme").click()
        self.assertEqual(colour(), light)

    def test_it_prints_with_every_chart(self):
        self.show(1400, "dark")
        self.open(self.results / "report.html")
        before = self.run_script("return document.querySelectorAll('.plot svg').length")
        answer = self.browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
        (browser.PICTURES / "report.pdf").write_bytes(base64.b64decode(answer["data"]))
        drawn = self.run_script("return document.querySelectorAll('.plot svg').length")
        empty = self.run_script("""return [...document.querySelectorAll('figure')]
            .filter((one) => one.checkVisibility() && !one.querySelector('.plot svg')).length""")
        self.assertEqual(empty, 0)
        self.assertGreater(drawn, before)

    def test_charts_are_drawn_only_when_they_come_near(self):
        self.show(1400, "light")
        self.open(self.results / "report.html")
        drawn = lambda: self.run_script("return document.querySelectorAll('.plot svg').length")
        self.wait(lambda: drawn() > 0, "a first chart")
        self.assertLess(drawn(), len(self.all("figure")))
        self.run_script("document.querySelector('#latencies').scrollIntoView()")
        self.wait(lambda: self.all("#latency svg"), "the chart that was scrolled to")

    def test_static_charts_and_their_links(self):
        charts = sorted((self.results / "charts").glob("*.svg"))
        text = (self.results / "report.md").read_text(encoding="utf-8")
        self.assertGreater(len(charts), 8)
        for chart in charts:
            self.assertIn(f"](charts/{chart.name})", text)
        self.show(800, "dark")
        named = {chart.stem: chart for chart in charts}
        points = named["perplexity-perplexity-against-perplexity-kv_bytes_mean"]
        arms = {row["arm"] for row in browser.summary(self.results) if row["metric"] == "perplexity"}
        printed = subprocess.run([browser.PROGRAM, "report", str(self.results), "--format", "json"], check=True,
                                 capture_output=True).stdout
        keys = {arm["series"] for arm in json.loads(printed)["arms"] if arm["name"] in arms}
        for chart, marks in ((points, len(arms) + len(keys)),
                             (named["speed-q1s4096-decode_tokens_per_second"], len(arms))):
            self.open(chart)
            surface = 1
            self.assertEqual(len(self.all("circle, polygon")), marks + surface, chart.name)
            self.picture(chart.stem, 800)

    def test_the_index_lists_runs_and_damaged_folders(self):
        self.open(self.runs / "index.html")
        text = self.one(".runs").text
        self.assertEqual(len(self.all(".runs tbody tr")), 3)
        for words in ("kv-and-cache", "What do fewer kv heads", "2 failed", "1 refused", "hundred", "damaged",
                      "00000.json"):
            self.assertIn(words, text)
        printed = subprocess.run([browser.PROGRAM, "report", str(self.results), "--format", "json"], check=True,
                                 capture_output=True).stdout
        self.assertIn(json.loads(printed)["verdict"][0], text)
        self.one(".runs a[href*=kv-and-cache]").click()
        self.assertEqual(self.one("#name").text, "kv-and-cache")


if __name__ == "__main__":
    browser.main()
