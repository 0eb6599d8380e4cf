"""Tables of colours by two numbers of the cases: a cell for every figure, and what has no verdict apart."""

import browser
import make_results

LENGTHS, DEPTHS = (128, 256, 512), (0.0, 0.5, 1.0)


def needles():
    """Three arms; the full cache fails at the largest length, one case is missing."""
    study = make_results.Study("needles", "What does a window forget of what was hidden?", 1)
    study.add_arm("full", "gqa", "full", but_for_cache="gqa")
    study.add_arm("window", "gqa", '{"window": {"window": 64}}', but_for_cache="gqa")
    study.add_arm("sink", "gqa", '{"sink": {"sinks": 4, "window": 60}}', but_for_cache="gqa")
    cases = [study.add_case("answers", f"needle_length{length}_depth{depth}", length=length, depth=depth)
             for length in LENGTHS for depth in DEPTHS if (length, depth) != (128, 0.5)]
    for case in cases:
        length, depth = case["numbers"]["length"], case["numbers"]["depth"]
        for arm in study.arms:
            share = (0.5 if length == 512 else 1.0) if arm["name"] == "full" else 0.25 + 0.5 * depth
            study.add_trial(arm, case, 0, [
                make_results.sample("answer_accuracy", "share", "higher", share, True)],
                            details={"keeps_every_row": arm["name"] == "full"})
    return study


class Maps(browser.PageTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.results = browser.report(needles(), cls.folder / "needles")

    @staticmethod
    def count(figure, what, tag):
        """Marks in all tables: each is a group of its own."""
        return len(figure.find_elements("css selector", f'svg g[aria-description="{what}"] {tag}'))

    def test_a_cell_for_every_figure_of_every_arm(self):
        self.open(self.results / "report.html")
        self.draw_all()
        figure = self.one("#map")
        self.assertEqual(self.about(figure)["map"], ["length", "depth"])
        without_verdict = 2 * 3
        self.assertEqual(self.count(figure, "cells", "rect"), 3 * 8 - without_verdict)
        self.assertEqual(self.count(figure, "no verdict", "rect"), without_verdict)
        texts = self.run_script("""return [...arguments[0].querySelectorAll(
            'g[aria-description="values"] text')].map((one) => one.textContent)""", figure)
        self.assertEqual(len(texts), 3 * 8)
        self.assertEqual(sorted(set(texts)), ["100.0 %", "25.0 %", "50.0 %", "75.0 %"])
        self.assertEqual(self.count(figure, "arms", "text"), 3)

    def test_a_filter_leaves_the_tables_of_its_arms(self):
        self.open(self.results / "report.html")
        self.one("#filter").send_keys("sinks")

        def is_drawn():
            self.draw_all()
            return self.count(self.one("#map"), "arms", "text") == 1

        self.wait(is_drawn, "the filter")


if __name__ == "__main__":
    browser.main()
