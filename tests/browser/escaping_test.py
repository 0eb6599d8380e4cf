"""Markup in every string that comes from YAML, a plugin or a model is text on the page, and no script of it runs."""

import subprocess
import xml.dom.minidom

import browser
import make_results

NASTY = make_results.NASTY
# Where a string of the study must be read as it is.
PLACES = {
    "name": "#name", "question": "#question", "warning": ".warnings", "one": "#arms-table", "two": "#arms-table",
    "note": "#arms-table", "trial note": "#arms-table", "metric": "#metrics", "case 1": "#metrics",
    "prompt": "#generated", "text": "#generated", "reason": "#failures", "refused": "#failures", "refusal": "#failures",
    "cpu": "#environment", "kernel": "#environment", "flag": "#environment", "target": "#environment",
    "compiler": "#environment", "file": "#environment", "hash": "#environment", "key": "#environment", "tag": "#arms",
    "attention": "#arms", "position": "#arms", "cache": "#arms",
}


class Escaping(browser.PageTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.results = browser.report(make_results.nasty(), cls.folder / "nasty")

    def open_all(self):
        self.run_script("for (const one of document.querySelectorAll('details')) one.open = true")
        self.draw_all()

    def expect_harmless(self, scripts):
        self.assertIsNone(self.run_script("return window.hacked ?? null"))
        self.assertEqual(self.all("img"), [])
        self.assertEqual(len(self.all("script")), scripts)
        self.assertEqual(self.run_script("return document.querySelectorAll('[onerror]').length"), 0)

    def test_the_page_shows_every_string_literally(self):
        self.open(self.results / "report.html")
        scripts = self.run_script("return document.scripts.length")
        self.open_all()
        self.assertEqual(scripts, 4, "the data, two libraries, the page")
        self.wait(lambda: self.run_script("return document.querySelector('#environment pre').textContent"), "details")
        as_json = self.run_script("return JSON.stringify(arguments[0]).slice(1, -1)", NASTY)
        for prefix, place in PLACES.items():
            text = self.run_script("return document.querySelector(arguments[0]).textContent", place)
            self.assertTrue(f"{prefix} {NASTY}" in text or f"{prefix} {as_json}" in text, f"{prefix} is not in {place}")
        self.assertIn("name <script>", self.browser.title)
        self.expect_harmless(scripts)

    def test_axes_and_filters_and_sorting_run_nothing(self):
        self.open(self.results / "report.html")
        self.open_all()
        self.one("#filter").send_keys("</script>")
        self.wait(lambda: len(self.all("#arms-table tbody tr:not(.why)")) == 3, "the filter")
        for kind in (".sort", ".swatch"):  # every click draws the table anew
            for index in range(len(self.all("#arms-table " + kind))):
                self.run_script("document.querySelectorAll('#arms-table ' + arguments[0])[arguments[1]].click()",
                                kind, index)
        figure = self.one("#axis")
        for index in range(len(self.options(figure, "Along"))):
            self.choose(figure, "Along", index)
        self.draw_all()
        self.expect_harmless(4)

    def test_the_data_holds_no_character_that_could_end_the_script(self):
        page = (self.results / "report.html").read_text(encoding="utf-8")
        start = page.index('id="data">') + len('id="data">')
        data = page[start:page.index("</script>", start)]
        for letter in "<>&\u2028\u2029":
            self.assertNotIn(letter, data)

    def test_static_charts_are_xml_without_scripts(self):
        charts = list((self.results / "charts").glob("*.svg"))
        self.assertGreater(len(charts), 0)
        for chart in charts:
            document = xml.dom.minidom.parse(str(chart))
            self.assertEqual(document.getElementsByTagName("script"), [])
            self.assertEqual(document.getElementsByTagName("img"), [])
            self.open(chart)
            self.assertIsNone(self.run_script("return window.hacked ?? null"))

    def test_the_index_shows_names_literally(self):
        subprocess.run([browser.PROGRAM, "report", "--index", str(self.folder)], check=True, stdout=subprocess.DEVNULL)
        self.open(self.folder / "index.html")
        self.assertIn("<script>window.hacked", self.one(".runs").text)
        self.expect_harmless(1)


if __name__ == "__main__":
    browser.main()
