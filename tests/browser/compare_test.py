"""The page of a comparison, and that of a diff, show what their JSON says."""

import csv
import io
import unittest

from pages import RESULTS, BrowserTest, EveryPage, change_text, load, time_text, vethtrace


def mean(values):
    values = list(values)
    return sum(values) / len(values)


class Differences:
    """What both pages have: a chart for each difference."""

    def assert_difference_chart(self, index, delta):
        chart = self.chart(f"difference-{index}")
        rows = [stage for stage in delta["stages"] if stage["mode_ns"] is not None or stage["against_ns"] is not None]
        names = [stage["stage"] for stage in rows] + ["unexplained", "round trip"]
        self.assertEqual(chart["labels"], names)
        rows = rows + [delta["unexplained"], delta["rtt"]]
        data = chart["datasets"][0]
        self.assertEqual(data["data"], [row["delta_ns"] for row in rows])
        self.assertEqual(data["whiskers"], [row["ci95"] for row in rows])
        self.assertEqual(data["numbers"], [change_text(row["delta_ns"]) for row in rows])

    def assert_difference(self, cell, difference):
        self.assert_figure(cell, difference["delta_ns"], change_text)
        if difference["ci95"] is not None:
            low, high = difference["ci95"]
            self.assertIn("±" + time_text((high - low) / 2), cell["text"])


class ComparePage(Differences, EveryPage, BrowserTest):
    page = RESULTS / "compare.html"
    charts = ("sides", "difference-0", "difference-1", "blocks")

    def setUp(self):
        self.result = load("compare.json")
        self.from_baseline = self.result["deltas"][:2]

    def test_begins_with_its_verdicts(self):
        self.open(self.page)
        said = self.run_in_page("return [...document.querySelectorAll('.verdict')].map(one => one.textContent)")
        self.assertEqual(len(said), 3, "each mode against each")
        for text, delta in zip(said, self.result["deltas"]):
            if delta["verdict"] == "indistinguishable":
                self.assertTrue(text.startswith(f"{delta['mode']} and {delta['against']} are indistinguishable"), text)
            else:
                self.assertTrue(text.startswith(f"{delta['mode']} is {delta['verdict']} than {delta['against']}"), text)
            for ns in delta["rtt"]["ci95"]:
                self.assertIn(change_text(ns), text)
        # The same words as on a terminal, in other letters.
        terminal = " ".join(vethtrace("report", RESULTS / "compare.json").stdout.split())
        for text in said:
            self.assertIn(text.split(" by ")[0].split(":")[0], terminal)

    def test_shows_every_stage_of_every_mode(self):
        self.open(self.page)
        rows = {row[0]["text"]: row for row in self.table("#stages")}
        for index, delta in enumerate(self.from_baseline):
            for stage in delta["stages"]:
                row = rows[stage["stage"]]
                if stage["mode_ns"] is None and stage["against_ns"] is None:
                    self.assertEqual(row[2 + index]["text"], "\u2013")
                    continue
                self.assert_difference(row[2 + index], stage)
                if stage["against_ns"] is not None:
                    self.assert_figure(row[1], stage["against_ns"])
            self.assert_difference(rows["= all stages"][2 + index], delta["corrected"])
            self.assert_difference(rows["+ unexplained"][2 + index], delta["unexplained"])
            self.assert_difference(rows["= round trip, untraced"][2 + index], delta["rtt"])
            self.assert_difference(rows["round trip, traced"][2 + index], delta["traced_rtt"])
        self.assert_figure(rows["= round trip, untraced"][1], self.from_baseline[0]["against_rtt_mean_ns"])

    def test_stacks_stages_side_by_side(self):
        self.open(self.page)
        chart = self.chart("sides")
        self.assertEqual(chart["labels"], ["host", "veth", "macvlan"])
        by_stage = {dataset["label"]: dataset for dataset in chart["datasets"]}
        for i, side in enumerate(self.result["samples"]):
            stages = {name for one in side["rounds"] for name in one["stages"]}
            for stage in stages:
                self.assertAlmostEqual(by_stage[stage]["data"][i], mean(one["stages"].get(stage, 0) for one in side["rounds"]), delta=0.01)
            untraced = mean(one["untraced_rtt_mean_ns"] for one in side["rounds"])
            explained = mean(one["corrected_sum_ns"] for one in side["rounds"])
            self.assertAlmostEqual(by_stage["unexplained"]["data"][i], max(untraced - explained, 0), delta=0.01)
            self.assertAlmostEqual(by_stage["unexplained"]["marks"][i], untraced, delta=0.01)
        self.assertIsNone(by_stage["host_forward"]["data"][0], "mode host does not forward")

    def test_draws_differences_with_their_intervals(self):
        self.open(self.page)
        for index, delta in enumerate(self.from_baseline):
            self.assert_difference_chart(index, delta)

    def test_shows_every_round(self):
        self.open(self.page)
        chart = self.chart("blocks")
        for dataset, side in zip(chart["datasets"], self.result["samples"], strict=True):
            self.assertEqual(dataset["label"], side["label"])
            self.assertEqual(dataset["data"], [one["untraced_rtt_mean_ns"] for one in side["rounds"]])

    def test_draws_the_ways_to_one_scale(self):
        self.open(self.page)
        thickest = self.run_in_page("""
            return [...document.querySelectorAll('.way.small')].map(picture =>
                [...picture.querySelectorAll('.stretch')].map(one => Number(one.getAttribute('stroke-width'))));""")
        longest = max(hop["sum_ns"] / run["load"]["followed"]["transactions"] for run in self.result["runs"] for hop in run["hops"])
        for widths, run in zip(thickest, self.result["runs"], strict=True):
            hops = [hop for hop in run["hops"] if hop["count"] > 0 or hop["stage"] != "segments"]
            for width, hop in zip(widths, hops, strict=True):
                share = hop["sum_ns"] / run["load"]["followed"]["transactions"] / longest
                self.assertAlmostEqual(width, 3 + 13 * share, delta=0.06)

    def test_is_a_table_as_well(self):
        table = RESULTS / "compare.csv"
        vethtrace("report", RESULTS / "compare.json", "--csv", table)
        rows = list(csv.DictReader(io.StringIO(table.read_bytes().decode(), newline="")))
        for delta in self.result["deltas"]:
            own = {row["stage"]: row for row in rows if row["mode"] == delta["mode"] and row["against"] == delta["against"]}
            self.assertEqual(own["rtt"]["verdict"], delta["verdict"])
            self.assertAlmostEqual(float(own["rtt"]["ci95_low_ns"]), delta["rtt"]["ci95"][0], delta=0.002)
            for stage in delta["stages"]:
                self.assertAlmostEqual(float(own[stage["stage"]]["delta_ns"]), stage["delta_ns"], delta=0.002)

    def test_is_a_flame_graph_for_each_mode(self):
        stacks = RESULTS / "compare.folded"
        vethtrace("report", RESULTS / "compare.json", "--folded", stacks)
        modes = {line.split(";")[1] for line in stacks.read_text().splitlines()}
        self.assertEqual(modes, {"host", "veth", "macvlan"})


class DiffPage(Differences, EveryPage, BrowserTest):
    page = RESULTS / "diff.html"
    charts = ("difference-0",)

    def setUp(self):
        self.result = load("diff.json")

    def test_shows_what_changed(self):
        self.open(self.page)
        delta = self.result["deltas"][0]
        self.assert_difference_chart(0, delta)
        rows = {row[0]["text"]: row for row in self.table("#stages")}
        for stage in delta["stages"]:
            self.assert_figure(rows[stage["stage"]][1], stage["against_ns"])
            self.assert_figure(rows[stage["stage"]][2], stage["mode_ns"])
            self.assert_difference(rows[stage["stage"]][3], stage)
        self.assert_difference(rows["= round trip, untraced"][3], delta["rtt"])
        first = self.run_in_page("return document.querySelector('main').firstElementChild.textContent")
        self.assertTrue(first.startswith("More than allowed" if self.result["over"] else "No round trip grew"), first)

    def test_comes_back_from_its_file_as_it_was(self):
        again = RESULTS / "diff-again.html"
        stored = RESULTS / "diff-again.json"
        vethtrace("report", RESULTS / "diff.json", "--html", again, "-o", stored)
        self.assertEqual(load("diff-again.json"), self.result)
        self.open(again)
        self.assertEqual(self.browser.log("browser"), [])
        self.assert_difference_chart(0, self.result["deltas"][0])

    def test_is_no_flame_graph_and_says_so(self):
        refused = vethtrace("report", RESULTS / "diff.json", "--folded", RESULTS / "diff.folded", status=2)
        self.assertIn("--folded: is nothing for", refused.stderr)
        self.assertIn("hint:", refused.stderr)
        self.assertFalse((RESULTS / "diff.folded").exists())


if __name__ == "__main__":
    unittest.main()
