"""Every chart shows as many marks as the trials have: counted from summary.csv and trials/*.json, not from the page."""

import json

import browser
import make_results


class Charts(browser.PageTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.results = browser.report(make_results.ordinary(), cls.folder / "ordinary")
        cls.rows = [row for row in browser.summary(cls.results) if row["status"] == "ok"]
        cls.trials = [json.loads(path.read_text()) for path in sorted((cls.results / "trials").glob("*.json"))]
        cls.study = json.loads((cls.results / "environment.json").read_text())["study"]

    def setUp(self):
        self.open(self.results / "report.html")
        self.run_script("for (const one of document.querySelectorAll('details')) one.open = true")
        self.draw_all()

    def rows_of(self, workload, case, metric):
        return [row for row in self.rows
                if (row["workload"], row["case"], row["metric"]) == (workload, case, metric)]

    def arms_of(self, measure):
        return {row["arm"] for row in self.rows_of(measure["workload"], measure["case"], measure["metric"])}

    def test_every_metric_of_every_case_by_arm(self):
        seen = set()
        for figure in self.all("#metrics figure"):
            about = self.about(figure)
            rows = self.rows_of(about["workload"], about["case"], about["metric"])
            seen.add((about["workload"], about["case"], about["metric"]))
            self.assertEqual(self.marks(figure, "medians", "circle"), len(rows), about)
            widths = [row for row in rows if row["ci_low"] and float(row["ci_low"]) != float(row["ci_high"])]
            self.assertEqual(self.marks(figure, "intervals", "line"), len(widths), about)
        self.assertEqual(seen, {(row["workload"], row["case"], row["metric"]) for row in self.rows})

    def test_ratios_by_arm(self):
        self.run_script("""const list = document.querySelector('#metrics .controls select');
            list.value = 'ratio'; list.dispatchEvent(new Event('change'));""")
        self.draw_all()
        for figure in self.all("#metrics figure"):
            about = self.about(figure)
            if not about:
                continue
            rows = [row for row in self.rows_of(about["workload"], about["case"], about["metric"])
                    if row["baseline_ratio"]]
            self.assertTrue(about["asRatio"])
            self.assertEqual(self.marks(figure, "medians", "circle"), len(rows), about)
            widths = [row for row in rows if row["ratio_low"] and float(row["ratio_low"]) != float(row["ratio_high"])]
            self.assertEqual(self.marks(figure, "intervals", "line"), len(widths), about)

    def front_of(self, about):
        """The Pareto front, found the slow way."""
        def median(arm, measure):
            rows = self.rows_of(measure["workload"], measure["case"], measure["metric"])
            row = next(row for row in rows if row["arm"] == arm)
            return float(row["median"]) * (-1 if row["better"] == "lower" else 1)
        points = {arm: (median(arm, about["quality"]), median(arm, about["cost"]))
                  for arm in self.arms_of(about["quality"]) & self.arms_of(about["cost"])}
        return {arm for arm, mine in points.items()
                if not any(other[0] >= mine[0] and other[1] >= mine[1] and other != mine for other in points.values())}

    def test_quality_against_cost_with_the_pareto_front(self):
        checked = 0
        for figure in self.all("#tradeoffs figure"):
            for index in range(max(1, len(self.options(figure, "What")))):
                self.choose(figure, "What", index)
                about = self.about(figure)
                arms = self.arms_of(about["quality"]) & self.arms_of(about["cost"])
                self.assertEqual(self.marks(figure, "medians", "circle"), len(arms), about)
                filled = self.run_script("""
                    const circles = arguments[0].querySelectorAll('g[aria-description="medians"] circle');
                    return [...circles].filter((one) => one.getAttribute('fill') !== 'var(--surface)').length""", figure)
                self.assertEqual(filled, len(self.front_of(about)), about)
                checked += 1
        self.assertEqual(checked, 2 + 2 * 3, "perplexity and recall, each against its bytes and three decode cases")

    def test_a_metric_along_a_number(self):
        figure = self.one("#axis")
        arms = {arm["name"]: arm for arm in self.study["arms"]}
        budgets = {name for name, arm in arms.items() if "cache.budget" in arm["numbers"]}
        axes = set()
        for along in range(len(self.options(figure, "Along"))):
            self.choose(figure, "Along", along)
            for metric in range(max(1, len(self.options(figure, "Metric")))):
                if self.options(figure, "Metric"):
                    self.choose(figure, "Metric", metric)
                about = self.about(figure)
                axes.add(about["axis"])
                if about["axis"] == "context":
                    rows = [row for row in self.rows
                            if row["metric"] == about["metric"] and row["case"].startswith("q1s")]
                else:
                    names = budgets if about["axis"] == "cache.budget" else {"mha", "gqa", "mqa"}
                    rows = [row for row in self.rows_of(about["workload"], about["case"], about["metric"])
                            if row["arm"] in names]
                self.assertEqual(self.marks(figure, "medians", "circle"), len(rows), about)
                lines = {"context": len({row["arm"] for row in rows}), "cache.budget": 2, "kv_heads": 1}[about["axis"]]
                self.assertEqual(self.marks(figure, "lines", "path"), lines, about)
        self.assertEqual(axes, {"context", "cache.budget", "kv_heads"})

    def test_every_round(self):
        figure = self.one("#trace")
        for case in range(len(self.options(figure, "Case"))):
            self.choose(figure, "Case", case)
            for metric in range(max(1, len(self.options(figure, "Metric")))):
                if self.options(figure, "Metric"):
                    self.choose(figure, "Metric", metric)
                about = self.about(figure)
                source = {"share_of_fma_peak": "operations_per_second",
                          "share_of_read_bandwidth": "bytes_read_per_second"}.get(about["metric"], about["metric"])
                samples = [trial for trial in self.trials
                           if (trial["workload"], trial["case"]) == (about["workload"], about["case"])
                           and any(one["metric"] == source for one in trial["samples"])]
                self.assertEqual(self.marks(figure, "samples", "circle"), len(samples), about)
                self.assertEqual(self.marks(figure, "disturbed rounds", "rect"), 1)

    def test_latency_of_tokens(self):
        figure = self.one("#latency")
        for case in range(len(self.options(figure, "Case"))):
            self.choose(figure, "Case", case)
            about = self.about(figure)
            arms = {trial["arm"] for trial in self.trials if trial["details"].get("token_latencies_s")
                    and (trial["workload"], trial["case"]) == (about["workload"], about["case"])}
            self.assertEqual(self.marks(figure, "medians", "circle"), len(arms), about)

    def test_predicted_against_measured(self):
        for metric, other in (("decode_tokens_per_second", "bytes_read_per_second"),
                              ("recall_accuracy", "recall_predicted")):
            figure = self.one(f"#predicted-{metric}")
            places = [{(row["arm"], row["workload"], row["case"]) for row in self.rows if row["metric"] == name}
                      for name in (metric, other)]
            self.assertEqual(self.marks(figure, "medians", "circle"), len(places[0] & places[1]), metric)

    def test_every_chart_says_in_words_what_it_shows(self):
        for figure in self.all("figure"):
            label = figure.find_element("css selector", "svg").get_attribute("aria-label")
            self.assertRegex(label, r"\d+ (point|arm|line)", label)
            self.assertGreater(len(figure.find_elements("css selector", "details.data tbody tr")), 0, label)


if __name__ == "__main__":
    browser.main()
