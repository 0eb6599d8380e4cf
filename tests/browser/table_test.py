"""The table of report.html: sorts, filters, leaves as CSV, works by keyboard."""

import csv

import browser
import make_results

CASE = {"workload": "speed", "case": "q1s1024"}
METRIC = "decode_tokens_per_second"


class Table(browser.PageTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.results = browser.report(make_results.ordinary(), cls.folder / "ordinary")
        cls.rows = browser.summary(cls.results)

    def setUp(self):
        self.open(self.results / "report.html")

    def arms(self):
        # In one go: the filter may draw the table anew at any moment.
        return self.run_script("""return [...document.querySelectorAll('#arms-table tbody th .arm-name span')]
            .map((one) => one.textContent);""")

    def sort_button(self):
        return self.run_script("""return [...document.querySelectorAll('#arms-table .sort')]
            .find((one) => one.dataset.key.endsWith(arguments[0]) && one.dataset.key.includes('q1s1024'));""", METRIC)

    def direction(self):
        return self.run_script("return arguments[0].closest('th').getAttribute('aria-sort')", self.sort_button())

    def medians(self):
        return {row["arm"]: float(row["median"]) for row in self.rows
                if row["metric"] == METRIC and row["workload"] == CASE["workload"] and row["case"] == CASE["case"]}

    def test_shows_every_arm_in_the_order_of_the_study(self):
        self.assertEqual(self.arms(), [arm["name"] for arm in make_results.ordinary().arms])

    def show_case(self, case):
        table = self.one("#table")
        self.choose(table, "Case", self.options(table, "Case").index(case))

    def notes(self, case):
        self.show_case(case)
        return self.run_script("""return [...document.querySelectorAll('#arms-table td.notes')]
            .map((one) => one.textContent);""")

    def cells(self, case):
        self.show_case(case)
        return [cell.text for cell in self.all("#arms-table td.number")]

    def test_a_note_stays_with_the_case_that_it_is_of(self):
        self.assertFalse([note for note in self.notes("speed q1s1024") if "longer than" in note])
        self.assertIn("longer than the 8192 positions", self.notes("speed q1s16384")[0])

    def test_cells_without_a_verdict_say_so(self):
        study = make_results.ordinary()
        for trial in study.trials:
            if trial["workload"] == "perplexity" and "h2o" in trial["arm"]:
                trial["details"]["no_verdict"] = "no token read the cache"
        self.open(browser.report(study, self.folder / "unread") / "report.html")
        self.assertEqual(sum("no verdict" in cell for cell in self.cells("perplexity")), 3 * 3)
        self.assertEqual(sum("no verdict" in cell for cell in self.cells("speed q1s1024")), 0)
        axis = self.one("#axis")
        self.choose(axis, "Along", self.options(axis, "Along").index("cache: budget (perplexity)"))
        self.choose(axis, "Metric", self.options(axis, "Metric").index("perplexity"))
        self.assertEqual(self.marks(axis, "medians", "circle"), 3, "the windows' alone")

    def test_a_note_names_the_case_that_it_is_of(self):
        notes = self.notes("all cases")
        self.assertIn("speed q1s16384: longer than the 8192 positions", notes[0])
        for note in notes:
            self.assertEqual(note.count("longer than the 8192"), note.count("speed q1s16384: longer than the 8192"))

    def test_sorts_both_ways_with_missing_values_last(self):
        medians = self.medians()
        known = sorted(medians, key=medians.get, reverse=True)
        self.sort_button().click()
        self.assertEqual(self.direction(), "descending")
        self.assertEqual(self.arms()[:len(known)], known)
        self.sort_button().click()
        self.assertEqual(self.direction(), "ascending")
        self.assertEqual(self.arms()[:len(known)], known[::-1])
        self.assertEqual(set(self.arms()[len(known):]), {"gqa/slow", "linear/h2o"})

    def test_sorts_by_keyboard_and_keeps_the_focus(self):
        from selenium.webdriver.common.keys import Keys
        button = self.sort_button()
        self.run_script("arguments[0].focus()", button)
        button.send_keys(Keys.ENTER)
        self.assertEqual(self.direction(), "descending")
        self.assertTrue(self.run_script("return document.activeElement.dataset.key.endsWith(arguments[0])", METRIC))

    def test_the_skip_link_comes_first_and_leads_to_the_table(self):
        from selenium.webdriver.common.keys import Keys
        self.one("body").send_keys(Keys.TAB)
        self.assertEqual(self.run_script("return document.activeElement.className"), "skip")
        self.assertGreaterEqual(self.run_script("return document.activeElement.getBoundingClientRect().top"), 0)
        self.assertIsNotNone(self.one(self.run_script("return document.activeElement.getAttribute('href')")))

    def test_filters_the_table_and_the_charts(self):
        expected = [arm["name"] for arm in make_results.ordinary().arms if "window" in arm["cache"]]
        self.one("#filter").send_keys("window")
        self.wait(lambda: self.arms() == expected, "the filtered table")
        self.assertIn("3 of 12", self.one("#row-count").text)
        self.draw_all()
        for figure in self.all("#metrics figure"):
            about = self.about(figure)
            if about:
                self.assertLessEqual(self.marks(figure, "medians", "circle"), len(expected), about)
        self.one("#filter").send_keys(" nothing-is-called-so")
        self.wait(lambda: self.arms() == [], "an empty table")

    def test_highlighting_an_arm_keeps_its_colour_and_greys_the_others(self):
        self.all("#arms-table .swatch")[1].click()
        self.assertEqual(self.all("#arms-table .swatch")[1].get_attribute("aria-pressed"), "true")
        self.draw_all()
        colours = self.run_script("""
            const figure = document.querySelector('#metrics figure');
            const marks = figure.querySelectorAll('g[aria-description="medians"] circle');
            return [...new Set([...marks].map((one) => one.getAttribute('stroke')))];""")
        self.assertEqual(sorted(colours), ["var(--c0)", "var(--muted-mark)"])

    def test_too_few_rounds_give_ranges_and_no_marks(self):
        few = self.folder / "few"
        if not few.exists():
            browser.report(make_results.large(4, 5), few)
        self.open(few / "report.html")
        ratios = [cell.text for cell in self.all("#arms-table .ratio")]
        self.assertTrue(any("to" in text for text in ratios), ratios)
        self.assertFalse(any("[" in text or "✓" in text or "✗" in text for text in ratios), ratios)
        self.assertIn("Nothing can be marked", self.run_script("return document.querySelector('#metrics').textContent"))

    def test_rounds_count_by_their_last_attempt(self):
        tile = next(one for one in self.all(".tile") if "Quiet machine" in one.text)
        self.assertIn("6 of 7", tile.text)

    def test_the_csv_has_the_figures_of_summary_csv(self):
        self.one("#download-csv").click()
        files = self.wait(lambda: list(self.downloads.glob("*.csv")), "the download")
        with open(files[0], newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(list(rows[0]), list(self.rows[0]))
        key = lambda row: (row["arm"], row["workload"], row["case"], row["metric"], row["status"])
        expected = {key(row): row for row in self.rows}
        self.assertEqual({row["case"] for row in rows if row["metric"]}, {CASE["case"]})
        for row in rows:
            for column, value in row.items():
                theirs = expected[key(row)][column]
                if value and column in ("median", "ci_low", "ci_high", "baseline_ratio", "ratio_low", "ratio_high"):
                    self.assertEqual(float(value), float(theirs), (key(row), column))
                else:
                    self.assertEqual(value, theirs, (key(row), column))
        self.assertEqual(len([row for row in rows if row["metric"] == METRIC]), len(self.medians()))


if __name__ == "__main__":
    browser.main()
