"""Charts leave the page as SVG and as PDF, curves and bands are those of the JSON, and what failed can be read."""

import base64
import json
import re
import xml.etree.ElementTree

import browser
import make_results


class Figures(browser.PageTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.results = browser.report(make_results.policies(), cls.folder / "policies")

    def setUp(self):
        self.open(self.results / "report.html")
        self.draw_all()
        self.data = json.loads(self.run_script("return document.getElementById('data').textContent"))

    def test_a_curve_and_a_band_for_every_policy_over_its_bytes(self):
        figure = self.one("#quality-bytes")
        tradeoff, = [one for one in self.data["tradeoffs"] if one["cost"]["unit"] == "bytes"]
        arms = {arm["name"]: arm for arm in self.data["arms"]}
        curves = {curve["series"]: [arms[tradeoff["points"][index]["arm"]]["point"] for index in curve["points"]]
                  for curve in tradeoff["curves"]}
        self.assertEqual(curves, {"h2o": ["32,32", "64,64", "128,128", "256,256"],
                                  "snapkv · f32": ["64", "128", "256", "512"], "snapkv · int8": ["128", "512"],
                                  "window": ["64", "128", "256", "512"]})
        self.assertEqual(self.marks(figure, "curves", "path"), len(curves))
        self.assertEqual(self.marks(figure, "bands", "path"), len(curves))
        colours = self.run_script("""return [...arguments[0].querySelectorAll('g[aria-description="curves"]')]
            .map((one) => [one.getAttribute('stroke'), one.getAttribute('stroke-dasharray')].join());""", figure)
        self.assertEqual(len(set(colours)), len(curves), "two curves look the same")
        self.assertEqual(len({colour.split(",")[0] for colour in colours}), 3, "a colour for each policy")

    def test_names_beside_rows_are_whole_and_different(self):
        labels = {arm["label"] for arm in self.data["arms"]}
        self.assertEqual(len(labels), len(self.data["arms"]))
        for figure in self.all("#metrics figure"):
            names = self.run_script("""return [...arguments[0].querySelectorAll('g[aria-description="names"] text')]
                .map((one) => [...one.childNodes].filter((node) => node.nodeName !== 'title')
                  .map((node) => node.textContent).join(' ').replace(/\\s+/g, ' '));""", figure)
            self.assertGreater(len(names), 2)
            self.assertEqual(len(set(names)), len(names))
            whole = {re.sub(r"\s+", "", label) for label in labels}
            for name in names:
                self.assertIn(re.sub(r"\s+", "", name), whole)

    def test_a_chart_leaves_as_svg_that_needs_no_page(self):
        self.run_script("document.querySelector('#quality-bytes [data-file=SVG]').click()")
        file = self.wait(lambda: next(iter(self.downloads.glob("*quality-bytes*.svg")), None), "the download")
        text = self.wait(lambda: file.read_text(encoding="utf-8"), "the file")
        root = xml.etree.ElementTree.fromstring(text)
        self.assertTrue(root.tag.endswith("svg"))
        self.assertNotIn("var(", text)
        self.assertNotIn("currentColor", text)
        for word in ("Quality against KV bytes", "snapkv · int8, by budget", "128,128"):
            self.assertIn(word, text)
        browser.PICTURES.mkdir(parents=True, exist_ok=True)
        self.browser.get(file.as_uri())
        self.browser.save_screenshot(str(browser.PICTURES / "chart.svg.png"))

    def test_a_chart_leaves_as_one_page_of_pdf(self):
        self.run_script("""window.print = () => {};
            document.querySelector('#quality-bytes [data-file=PDF]').click();""")
        size = self.run_script("""const svg = document.querySelector('#print-sheet svg');
            return [Number(svg.getAttribute('width')), Number(svg.getAttribute('height'))];""")
        pdf = base64.b64decode(self.browser.execute_cdp_cmd(
            "Page.printToPDF", {"preferCSSPageSize": True, "printBackground": True})["data"])
        self.assertTrue(pdf.startswith(b"%PDF-"))
        self.assertEqual(len(re.findall(rb"/Type\s*/Page\b", pdf)), 1)
        box = [float(number) for number in re.search(rb"/MediaBox\s*\[([^\]]*)\]", pdf).group(1).split()]
        for points, pixels in zip(box[2:], size):
            self.assertAlmostEqual(points, pixels * 0.75, delta=1.5)
        self.assertNotIn(b"/Subtype /Image", pdf, "vectors, not a picture")
        self.run_script("dispatchEvent(new Event('afterprint'))")
        self.assertEqual(self.all("#print-sheet"), [])

    def test_what_failed_is_said_on_top_and_in_the_table(self):
        box = self.one("#verdict .troubles").text
        for words in ("gqa/rope/crashing failed in perplexity", "signal 11 (segmentation fault)",
                      "linear/rope/h2o refused", "attention linear keeps a state"):
            self.assertIn(words, box)
        rows = {row.text.split()[0]: row for row in self.all("#arms-table tr.why")}
        self.assertEqual(set(rows), {"failed", "refused"})
        self.assertIn("last line of stderr", rows["failed"].text)
        for row in rows.values():
            self.assertGreater(row.size["height"], 20)
        statuses = [one.text for one in self.all("#arms-table td.number .status")]
        self.assertIn("failed", statuses)
        self.assertIn("refused", statuses)
        self.show(1400, "light")
        browser.PICTURES.mkdir(parents=True, exist_ok=True)
        self.run_script("document.querySelector('#arms-table tr.why').scrollIntoView({block: 'center'})")
        self.browser.save_screenshot(str(browser.PICTURES / "failed-rows.png"))


if __name__ == "__main__":
    browser.main()
