"""Learning curves and the search: a line for every seed and median that the folder has, live or ended."""

import csv
import json

import browser
import make_results


class Training(browser.PageTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.results = browser.report(make_results.trained(), cls.folder / "trained")
        cls.live = browser.report(make_results.trained(is_live=True), cls.folder / "live")
        cls.study = json.loads((cls.results / "environment.json").read_text())["study"]
        browser.PICTURES.mkdir(parents=True, exist_ok=True)

    def show_page(self, folder, width=1400, theme="light"):
        self.show(width, theme)
        self.open(folder / "report.html")
        self.run_script("for (const one of document.querySelectorAll('details')) one.open = true")
        self.draw_all()

    def records(self):
        return {training["id"]: json.loads((self.results / "training" / f"{training['id']}.json").read_text())
                for training in self.study["trainings"]}

    def test_a_thin_line_for_every_seed_and_a_thick_one_for_their_median(self):
        self.show_page(self.results)
        figure = self.one("#curves")
        kept = {json.loads(path.read_text())["details"]["training"]["id"]
                for path in (self.results / "trials").glob("*.json")
                if json.loads(path.read_text())["workload"] == "train"}
        for index, shown in ((0, [one for one in self.study["trainings"] if one["id"] in kept]),
                             (1, self.study["trainings"])):
            self.choose(figure, "Learning rates", index)
            groups = {(tuple(one["arms"]), one["learning_rate"]) for one in shown}
            self.assertEqual(self.marks(figure, "seeds", "path"), len(shown))
            self.assertEqual(self.marks(figure, "medians", "path"), len(groups))
            diverged = [one for one in shown if self.records()[one["id"]]["status"] == "diverged"]
            self.assertEqual(self.marks(figure, "diverged", "path"), len(diverged))

    def test_held_out_data_and_logarithmic_axes(self):
        self.show_page(self.results)
        figure = self.one("#curves")
        self.assertEqual(self.options(figure, "What"), ["training loss", "held-out loss", "held-out accuracy"])
        axis = lambda: self.run_script("""
            return [...arguments[0].querySelectorAll('g[aria-label="x-axis tick label"] text')]
              .map((one) => Number(one.textContent));""", figure)
        linear = axis()
        self.assertEqual(len({round(b - a) for a, b in zip(linear, linear[1:])}), 1, linear)
        self.choose(figure, "Steps", 1)
        logarithmic = axis()
        self.assertGreater(logarithmic[-1] - logarithmic[-2], logarithmic[1] - logarithmic[0])
        for what, name in ((1, "held_out"), (2, "accuracy")):
            self.choose(figure, "What", what)
            self.assertEqual(self.about(figure)["metric"], name)
            self.assertGreater(self.marks(figure, "medians", "path"), 0)
        for scale in (1, 2):
            self.choose(figure, "Values", scale)
            self.assertGreater(self.marks(figure, "seeds", "path"), 0)

    def test_points_are_the_means_of_the_steps_they_stand_for(self):
        self.show_page(self.results)
        trainings = json.loads(self.run_script("return document.getElementById('data').textContent"))["trainings"]
        steps_a_point = trainings["steps_a_point"]
        self.assertIn(f"mean of {steps_a_point} steps", self.one("#curves figcaption").text)
        for run in trainings["runs"]:
            with open(self.results / "training" / f"{run['id']}.csv", newline="", encoding="utf-8") as file:
                losses = [float(row["loss"]) for row in csv.DictReader(file)]
            blocks = [losses[at:at + steps_a_point] for at in range(0, len(losses), steps_a_point)]
            self.assertEqual(len(run["curve"]["loss"]), len(blocks))
            for shown, block in zip(run["curve"]["loss"], blocks):
                mean = sum(block) / len(block)
                if shown == "nan":
                    self.assertNotEqual(mean, mean)
                else:
                    self.assertAlmostEqual(shown, mean, delta=1e-5 * abs(mean))

    def test_the_search_as_a_chart_and_a_table(self):
        self.show_page(self.results)
        rates = {(tuple(one["arms"]), one["learning_rate"]) for one in self.study["trainings"]}
        rows = self.all("#search-table tbody tr")
        self.assertEqual(len(rows), len(rates))
        self.assertEqual(len([row for row in rows if "kept" in row.text]), 2)
        self.assertEqual(len([row for row in rows if "1 diverged" in row.text]), 1)
        figure = self.one("#search")
        self.assertEqual(self.marks(figure, "lines", "path"), 2)
        self.assertEqual(self.marks(figure, "rates", "circle"), len(rates))
        self.assertEqual(len(self.all("#every-training tbody tr")), len(self.study["trainings"]))

    def test_the_filter_the_highlight_and_the_export_know_these_charts(self):
        self.show_page(self.results)
        figure = self.one("#curves")
        before = self.marks(figure, "seeds", "path")
        self.run_script("""const filter = document.querySelector('#filter');
            filter.value = 'linear'; filter.dispatchEvent(new Event('input'));""")
        self.wait(lambda: (self.draw_all(), self.marks(figure, "seeds", "path") == before // 2)[1], "the filter")
        self.run_script("document.querySelector('#curves [data-file=SVG]').click()")
        file = self.wait(lambda: next(iter(self.downloads.glob("*curves*.svg")), None), "the download")
        self.assertNotIn("var(", self.wait(lambda: file.read_text(encoding="utf-8"), "the file"))
        label = figure.find_element("css selector", "svg").get_attribute("aria-label")
        self.assertRegex(label, r"At the last step of each curve: \d+ points?; least ")

    def test_a_run_under_way_says_how_far_it_is(self):
        self.show_page(self.live)
        self.assertRegex(self.one("#training-progress").text, r"Trainings: \d+ of 18 have ended; 1 is under way \(")
        self.assertIn("running", self.one("#every-training").text)
        self.assertIn("waiting", self.one("#every-training").text)
        self.assertGreater(self.marks(self.one("#curves"), "seeds", "path"), 0)

    def test_spread_over_seeds_stands_beside_the_intervals(self):
        self.show_page(self.results)
        figure = self.one("#quality-bytes")
        self.assertEqual(self.about(figure)["quality"]["metric"], "validation_loss")
        self.assertEqual(self.marks(figure, "seeds", "line"), 2)

    def test_narrow_and_wide_light_and_dark(self):
        for width in (390, 1400):
            for theme in ("light", "dark"):
                self.show_page(self.results, width, theme)
                self.assertLessEqual(self.run_script("return document.documentElement.scrollWidth"), width)
                self.run_script("document.querySelector('#trainings').scrollIntoView()")
                self.browser.save_screenshot(str(browser.PICTURES / f"training-{width}-{theme}.png"))


if __name__ == "__main__":
    browser.main()
