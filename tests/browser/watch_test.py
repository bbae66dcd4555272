"""The page of a time of watching shows what was recorded."""

import csv
import io
import json
import re
import unittest

from pages import RESULTS, BrowserTest, EveryPage, load, time_text, vethtrace


def lines_of(name):
    lines = [json.loads(line) for line in (RESULTS / name).read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if not line["final"]], lines[-1]


def by_stage(series, weight):
    """Sums over series of the same direction and stage."""
    sums = {}
    for one in series:
        key = (one["direction"], one["stage"])
        sums[key] = sums.get(key, 0) + weight(one)
    return sums


class WatchPage(EveryPage, BrowserTest):
    page = RESULTS / "watch.html"
    charts = ("times-out", "times-in", "drops-over-time", "busiest", "histogram")

    def setUp(self):
        self.windows, self.final = lines_of("watch.jsonl")

    def test_counts_what_was_recorded(self):
        self.open(self.page)
        tiles = dict(self.run_in_page("return [...document.querySelectorAll('.tiles > div')].map(tile => [tile.children[0].textContent, tile.children[1].textContent])"))
        books = self.final["conservation"]
        self.assertEqual(tiles["packets"], f"{books['entered']:,}")
        self.assertEqual(tiles["dropped"], f"{books['dropped']:,}")
        self.assertEqual(tiles["watched for"], time_text(self.final["duration_ns"]))

    def test_shows_stages_of_every_target(self):
        self.open(self.page)
        expected = {}
        for one in self.final["series"]:
            key = (one["target"], one["direction"], one["stage"])
            count, total, most = expected.get(key, (0, 0, 0))
            expected[key] = (count + one["count"], total + one["sum_ns"], max(most, one["max_ns"]))
        rows = self.table("#targets")
        self.assertEqual({(row[0]["text"], row[1]["text"], row[2]["text"]) for row in rows}, set(expected))
        for row in rows:
            count, total, most = expected[(row[0]["text"], row[1]["text"], row[2]["text"])]
            self.assertEqual(row[4]["values"][0][0], count)
            self.assert_figure(row[5], total / count)
            self.assert_figure(row[8], most)

    def test_draws_each_stage_over_time(self):
        self.open(self.page)
        for measure, key in (("mean_ns", "mean_ns"), ("max_ns", "max_ns"), ("rate", None)):
            self.run_in_page("""const measure = document.getElementById('measure');
                measure.value = arguments[0];
                measure.dispatchEvent(new Event('change'));""", measure)
            for direction in ("out", "in"):
                chart = self.chart("times-" + direction)
                for dataset in chart["datasets"]:
                    self.assertEqual(len(dataset["data"]), len(self.windows), "a point for each window")
                    for point, window in zip(dataset["data"], self.windows):
                        series = [one for one in window["series"] if one["direction"] == direction and one["stage"] == dataset["label"]]
                        if not series:
                            self.assertIsNone(point["y"])
                        elif measure == "rate":
                            packets = sum(one["count"] for one in series) * window["sample"]
                            self.assertAlmostEqual(point["y"], packets / window["duration_ns"] * 1e9, delta=0.01)
                        elif measure == "max_ns":
                            self.assertEqual(point["y"], max(one["max_ns"] for one in series))
                        else:
                            mean = sum(one["sum_ns"] for one in series) / sum(one["count"] for one in series)
                            self.assertAlmostEqual(point["y"], mean, delta=0.01)

    def test_counts_drops_by_reason(self):
        self.open(self.page)
        expected = {}
        for drop in self.final["drops"]:
            key = (drop["target"] or "(nobody\u2019s)", drop["direction"], drop["last"], drop["reason"])
            expected[key] = expected.get(key, 0) + drop["count"]
        rows = {tuple(cell["text"] for cell in row[:4]): row[4]["values"][0][0] for row in self.table("#drops")}
        self.assertEqual(rows, expected)
        self.assertGreaterEqual(sum(expected.values()), 100, "the filter dropped some")
        charted = {dataset["label"]: sum(point["y"] for point in dataset["data"]) for dataset in self.chart("drops-over-time")["datasets"]}
        by_reason = {}
        for (_, _, _, reason), count in expected.items():
            by_reason[reason] = by_reason.get(reason, 0) + count
        self.assertEqual(charted, by_reason)

    def test_names_what_was_not_seen_and_what_came_to_sockets(self):
        self.open(self.page)
        unseen = {(row[0]["text"], row[1]["text"], row[2]["text"]) for row in self.table("#unseen")}
        self.assertEqual(unseen, {(one["target"], one["direction"], one["stage"]) for one in self.final["unseen"]})
        sockets = {row[0]["text"]: (row[1]["values"][0][0], row[2]["values"][0][0]) for row in self.table("#sockets")}
        self.assertEqual(sockets, {one["target"]: (one["delivered"], one["read"]) for one in self.final["sockets"]})

    def test_shows_where_targets_spend_their_time(self):
        self.open(self.page)
        chart = self.chart("busiest")
        seconds = self.final["duration_ns"] / 1e9
        shown = {(label, dataset["label"]): dataset["data"][i] for dataset in chart["datasets"] for i, label in enumerate(chart["labels"])}
        expected = {}
        for one in self.final["series"]:
            key = (one["target"], one["stage"])
            expected[key] = expected.get(key, 0) + one["mean_ns"] * one["packets"] / seconds
        for key, ns in expected.items():
            self.assertAlmostEqual(shown[key], ns, delta=max(0.1, ns * 1e-5))

    def test_shows_a_stage_of_all_targets_in_full(self):
        self.open(self.page)
        counts = by_stage(self.final["series"], lambda one: one["count"])
        options = self.run_in_page("return [...document.getElementById('which').options].map(option => option.text)")
        self.assertEqual(set(options), {" ".join(key) for key in counts})
        for index in (0, len(options) - 1):
            total = self.run_in_page("""
                const which = document.getElementById('which');
                which.value = String(arguments[0]);
                which.dispatchEvent(new Event('change'));
                return Chart.getChart('histogram').data.datasets[0].data.reduce((sum, point) => sum + (point.column ? point.column.count : 0), 0);""", index)
            count = counts[tuple(options[index].split(" "))]
            self.assertAlmostEqual(total, count, delta=count * 1e-6)

    def test_shows_the_slowest_packets_of_all(self):
        self.open(self.page)
        seen = {}
        for window in self.windows:
            for packet in window["slowest"]:
                seen[(packet["total_ns"], packet["source"], packet["destination"])] = packet
        slowest = sorted(seen.values(), key=lambda packet: -packet["total_ns"])[:10]
        shown = self.run_in_page("""
            return [...document.querySelectorAll('#slowest .packet')].map(one => ({total: Number(one.querySelector('data').value),
                pieces: one.querySelectorAll('.piece').length, text: one.textContent}));""")
        # Packets that were told on their own may be slower than any of a window's few.
        self.assertGreaterEqual(len(shown), min(len(slowest), 10))
        self.assertGreaterEqual([one["total"] for one in shown], [packet["total_ns"] for packet in slowest])
        for one in shown:
            for packet in slowest:
                if packet["total_ns"] == one["total"] and packet["source"] in one["text"]:
                    self.assertEqual(one["pieces"], len(packet["marks"]) - 1)
                    self.assertIn(packet["destination"], one["text"])

    def test_the_recording_gives_the_same_page(self):
        again = RESULTS / "watch-again.html"
        vethtrace("report", RESULTS / "watch.jsonl", "--html", again)
        live, recorded = ((path.read_text(encoding="utf-8")) for path in (self.page, again))
        data = re.compile(r'<script type="application/json" id="result">(.*?)</script>')
        self.assertEqual(json.loads(data.search(live).group(1)), json.loads(data.search(recorded).group(1)))

    def test_the_summary_is_a_file_of_its_own(self):
        self.assertEqual(load("watch.json"), self.final)
        self.assertIn("balanced", vethtrace("report", RESULTS / "watch.json").stdout)

    def test_is_a_table_of_all_windows(self):
        table = RESULTS / "watch.csv"
        vethtrace("report", RESULTS / "watch.jsonl", "--csv", table)
        rows = list(csv.DictReader(io.StringIO(table.read_bytes().decode(), newline="")))
        hops = [row for row in rows if row["kind"] == "hop"]
        self.assertEqual(len(hops), sum(len(window["series"]) for window in self.windows))
        self.assertEqual(sum(int(row["sum_ns"]) for row in hops), sum(one["sum_ns"] for one in self.final["series"]))
        self.assertEqual(sum(int(row["packets"]) for row in rows if row["kind"] == "drop"), sum(drop["count"] for drop in self.final["drops"]))

    def test_is_a_flame_graph_of_all_packets(self):
        stacks = RESULTS / "watch.folded"
        vethtrace("report", RESULTS / "watch.jsonl", "--folded", stacks)
        total = sum(int(line.rpartition(" ")[2]) for line in stacks.read_text().splitlines())
        expected = sum(one["mean_ns"] * one["packets"] for one in self.final["series"])
        self.assertAlmostEqual(total, expected, delta=expected * 1e-4)


class LabPage(EveryPage, BrowserTest):
    """Of a command in a lab: the same, with what ran there."""

    page = RESULTS / "lab.html"
    charts = ("times-out", "times-in", "busiest", "histogram")

    def setUp(self):
        # Nothing need have been dropped, and something may.
        if load("lab.json")["drops"]:
            self.charts = self.charts + ("drops-over-time",)

    def test_tells_the_command_and_lets_it_do_nothing(self):
        self.open(self.page)
        command = load("lab.json")["lab"]["cmd"]
        self.assertIn("</script>", command)
        facts = self.run_in_page("return [...document.querySelectorAll('.facts li')].map(fact => fact.textContent)")
        self.assertIn("--cmd " + command, facts)
        self.assertFalse(self.run_in_page("return 'injected' in window || document.querySelector('img') !== null"))

    def test_the_stored_result_can_be_shown_once_more(self):
        for form in ("html", "csv", "folded"):
            vethtrace("report", RESULTS / "lab.json", "--" + form, RESULTS / f"lab-again.{form}")
        self.open(RESULTS / "lab-again.html")
        self.assertEqual(self.browser.log("browser"), [])
        final = load("lab.json")
        rows = list(csv.DictReader(io.StringIO((RESULTS / "lab-again.csv").read_bytes().decode(), newline="")))
        self.assertEqual(sum(int(row["sum_ns"]) for row in rows if row["kind"] == "hop"), sum(one["sum_ns"] for one in final["series"]))
        said = vethtrace("report", RESULTS / "lab.json").stdout
        self.assertIn("no ledger", said)


if __name__ == "__main__":
    unittest.main()
