"""The page of a run shows what its JSON says."""

import csv
import io
import json
import math
import unittest

from pages import OVERLAPS, PHONE, RESULTS, SCREENSHOTS, BrowserTest, EveryPage, change_text, load, time_text, vethtrace


def shown_hops(run):
    return [hop for hop in run["hops"] if hop["count"] > 0 or hop["stage"] not in ("segments", "unforeseen")]


class RunPage(EveryPage, BrowserTest):
    page = RESULTS / "run.html"
    charts = ("waterfall", "spread", "histogram", "contexts")

    def setUp(self):
        self.result = load("run.json")
        self.transactions = self.result["load"]["followed"]["transactions"]

    def test_shows_every_hop_with_the_numbers_of_the_json(self):
        self.open(self.page)
        rows = self.table("#hops")
        hops = shown_hops(self.result)
        self.assertEqual(len(rows), len(hops))
        for number, (row, hop) in enumerate(zip(rows, hops), 1):
            self.assertEqual(row[0]["text"], str(number))
            self.assertEqual(row[1]["text"], f"{hop['from']} \u2192 {hop['to']}")
            self.assertEqual(row[2]["text"], hop["stage"])
            self.assertEqual(row[3]["values"], [[hop["count"], f"{hop['count']:,}"]])
            for cell, key in zip(row[4:9], ("mean_ns", "p50_ns", "p99_ns", "max_ns", "corrected_mean_ns")):
                self.assert_figure(cell, hop[key])

    def test_closes_the_ledger_as_the_json_does(self):
        self.open(self.page)
        ledger = self.result["ledger"]
        cells = [row[1] for row in self.table("#ledger")]
        for cell, ns in zip(cells, (ledger["explained_mean_ns"], ledger["unexplained_mean_ns"], ledger["rtt_mean_ns"],
                                    ledger["corrected_sum_ns"], ledger["corrected_residual_ns"],
                                    self.result["observer"]["untraced_rtt_mean_ns"]), strict=True):
            self.assert_figure(cell, ns)

    def test_draws_the_way_with_the_time_on_each_hop(self):
        for width, size in ((1280, "wide"), (360, "narrow")):
            with self.subTest(size=size):
                self.open(self.page, width=width)
                labels = self.run_in_page("""
                    return [...document.querySelectorAll('svg.way.' + arguments[0] + ' .hop')].map(hop =>
                        [...hop.querySelectorAll('text')].map(text => text.textContent).join(' '));""", size)
                expected = [f"{i} {hop['stage']} {time_text(hop['sum_ns'] / self.transactions)}"
                            for i, hop in enumerate(shown_hops(self.result), 1)]
                # The server's own time is told where the way turns.
                turn = next(i for i, hop in enumerate(shown_hops(self.result)) if hop["stage"] == "application")
                self.assertEqual(labels[turn], "")
                told = self.run_in_page("return document.querySelector('svg.way.' + arguments[0] + ' .turn').textContent", size)
                self.assertEqual(told, "server: " + expected[turn])
                self.assertEqual([label for label in labels if label], expected[:turn] + expected[turn + 1:])

    def test_sums_stages_up(self):
        self.open(self.page)
        shown = self.run_in_page("""
            return Object.fromEntries([...document.querySelectorAll('.stages [data-stage]')].map(
                one => [one.dataset.stage, Number(one.querySelector('data').value)]));""")
        expected = {}
        for hop in shown_hops(self.result):
            expected[hop["stage"]] = expected.get(hop["stage"], 0) + hop["sum_ns"] / self.transactions
        self.assertEqual(shown.keys(), expected.keys())
        for stage, ns in expected.items():
            self.assertAlmostEqual(shown[stage], ns, delta=0.001)

    def test_draws_the_ledger_as_a_waterfall(self):
        self.open(self.page)
        chart = self.chart("waterfall")
        hops = shown_hops(self.result)
        self.assertEqual(chart["labels"], [f"{i} {hop['stage']}" for i, hop in enumerate(hops, 1)] + ["unexplained", "round trip"])
        ranges = chart["datasets"][0]["data"]
        end = 0
        for hop, (low, high) in zip(hops, ranges):
            self.assertAlmostEqual(low, end, delta=0.01, msg="it begins where the one before it ends")
            self.assertAlmostEqual(high - low, hop["sum_ns"] / self.transactions, delta=0.01)
            end = high
        self.assertAlmostEqual(max(ranges[-2]), max(end, self.result["ledger"]["rtt_mean_ns"]), delta=0.01)
        self.assertEqual(ranges[-1], [0, self.result["ledger"]["rtt_mean_ns"]])

    def test_draws_distributions_from_the_fastest_to_the_slowest(self):
        self.open(self.page)
        chart = self.chart("spread")
        for hop, data, whiskers, mark in zip(shown_hops(self.result), *(chart["datasets"][0][key] for key in ("data", "whiskers", "marks"))):
            self.assertEqual(data, [hop["p50_ns"], hop["p99_ns"]])
            self.assertEqual(whiskers, [hop["min_ns"], hop["max_ns"]])
            self.assertEqual(mark, hop["mean_ns"])

    def test_shows_any_distribution_in_full(self):
        self.open(self.page)
        hops = shown_hops(self.result)
        net_rx = self.result["softirq"]["net_rx"]
        for choice, distribution in [("rtt", self.result["load"]["rtt"]), ("4", hops[3]), (str(len(hops)), hops[-1]),
                                     ("wait", net_rx["wait"])]:
            with self.subTest(choice=choice):
                columns = self.run_in_page("""
                    const which = document.getElementById('which');
                    which.value = arguments[0];
                    which.dispatchEvent(new Event('change'));
                    const chart = Chart.getChart('histogram');
                    return chart.data.datasets[0].data.filter(point => point.column).map(point => point.column);""", choice)
                self.assertAlmostEqual(sum(column["count"] for column in columns), distribution["count"],
                                       delta=distribution["count"] * 1e-6)
                self.assertLessEqual(columns[0]["low"], distribution["min_ns"])
                self.assertGreaterEqual(columns[-1]["high"] * 1.001, min(distribution["max_ns"], distribution["histogram"][-1][0]))
                # Counts above the mean of the whole: not only their sum is right, but their place.
                middle = math.sqrt(columns[0]["low"] * columns[-1]["high"])
                above = sum(count for low, _, count in distribution["histogram"] if low > middle * 1.13)
                shown = sum(column["count"] for column in columns if column["low"] > middle)
                self.assertGreaterEqual(shown + 1e-6, above)

    def test_counts_softirqs_and_packets(self):
        self.open(self.page)
        net_rx = self.result["softirq"]["net_rx"]
        rows = self.table("#softirq table:nth-of-type(1)")
        self.assertEqual([row[2]["values"][0][0] for row in rows],
                         [net_rx["context"][key] for key in ("inline", "irq_exit", "ksoftirqd", "other_cpu", "other")])
        bars = self.chart("contexts")["datasets"]
        self.assertAlmostEqual(sum(bar["data"][0] for bar in bars) * self.transactions, sum(net_rx["context"].values()), delta=1e-6)
        stations = self.table("#hooks")
        self.assertEqual([(row[0]["text"], row[1]["text"], row[2]["values"][0][0]) for row in stations],
                         [(station["id"], station["hook"], station["hits"]) for station in self.result["stations"]])

    def test_shows_single_transactions(self):
        self.open(self.page)
        self.assertEqual(len(self.result["timelines"]), 2)
        for picture, timeline in enumerate(self.result["timelines"]):
            pieces = self.run_in_page("""
                return [...document.querySelectorAll('#timelines svg')[arguments[0]].querySelectorAll('.piece')].map(
                    piece => [parseFloat(piece.getAttribute('x')), parseFloat(piece.getAttribute('width'))]);""", picture)
            times = [mark["since_send_ns"] for mark in timeline["marks"]]
            self.assertEqual(len(pieces), len(times) - 1)
            for (begin, width), before, after in zip(pieces, times, times[1:]):
                self.assertAlmostEqual(begin, before / times[-1] * 100, delta=0.31)
                self.assertAlmostEqual(width, max((after - before) / times[-1] * 100, 0.3), delta=0.002)

    def test_says_what_tracing_cost(self):
        self.open(self.page)
        tiles = self.run_in_page("return [...document.querySelectorAll('.tiles > div')].map(tile => [...tile.children].map(one => one.textContent))")
        tiles = {name: (value, below) for name, value, below in tiles}
        observer = self.result["observer"]
        self.assertEqual(tiles["round trip, untraced"][0], time_text(observer["untraced_rtt_mean_ns"]))
        self.assertEqual(tiles["round trip, traced"][0], time_text(self.result["ledger"]["rtt_mean_ns"]))
        self.assertEqual(tiles["cost of tracing"][0], change_text(observer["added_ns"]))
        self.assertEqual(tiles["transactions"][0], f"{self.result['load']['transactions']:,}")

    def test_gives_its_data_back(self):
        self.open(self.page)
        self.assertEqual(self.run_in_page("return JSON.parse(document.getElementById('result').textContent)"), self.result)
        name, text = self.browser.run_until_called("""
            const done = arguments[0];
            const make = URL.createObjectURL;
            let name = '';
            HTMLAnchorElement.prototype.click = function() { name = this.download; };
            URL.createObjectURL = blob => { blob.text().then(text => done([name, text])); return make(blob); };
            document.getElementById('save').click();""")
        self.assertEqual(name, "veth-wire.json")
        saved = RESULTS / "saved.json"
        saved.write_text(text, encoding="utf-8")
        self.assertIn("veth, wire topology", vethtrace("report", saved).stdout)

    def test_says_first_that_a_result_is_not_valid(self):
        wrong = RESULTS / "wrong.html"
        result = {**self.result, "valid": False, "warnings": ["THE REASON"] + self.result["warnings"]}
        (RESULTS / "wrong.json").write_text(json.dumps(result), encoding="utf-8")
        vethtrace("report", RESULTS / "wrong.json", "--html", wrong)
        self.open(wrong)
        first = self.run_in_page("return document.querySelector('main').firstElementChild.textContent")
        self.assertTrue(first.startswith("This result is not valid."), first)
        self.assertIn("THE REASON", first)
        self.browser.screenshot(SCREENSHOTS / "not-valid.png")


class OtherWays(BrowserTest):
    """Pictures of the other modes; their geometry for every mode is a matter for the unit tests."""

    def test_their_labels_lie_apart(self):
        for name in ("bridge-wire", "macvlan-wire", "macvlan-local", "host-wire"):
            page = RESULTS / f"{name}.html"
            vethtrace("report", RESULTS / f"{name}.json", "--html", page)
            for width in (1280, PHONE):
                with self.subTest(name=name, width=width):
                    self.open(page, width=width)
                    self.assertEqual(self.browser.log("browser"), [])
                    self.assertEqual(self.run_in_page(OVERLAPS), [])
                    self.browser.screenshot(SCREENSHOTS / f"{name}-{width}.png")


class RunAsTables(unittest.TestCase):
    """--csv and --folded of a real run, read by other programs than the one that wrote them."""

    def setUp(self):
        if not (RESULTS / "run.json").exists():
            self.skipTest("there are no results: making them needs root")
        self.result = load("run.json")

    def test_the_table_adds_up(self):
        table = RESULTS / "run.csv"
        finished = vethtrace("report", RESULTS / "run.json", "--csv", table)
        self.assertEqual(finished.stdout, "", "the table is in the file")
        rows = list(csv.DictReader(io.StringIO(table.read_bytes().decode(), newline="")))
        hops = self.result["hops"]
        self.assertEqual([row["stage"] for row in rows], [hop["stage"] for hop in hops] + ["unexplained", "rtt"])
        for row, hop in zip(rows, hops):
            self.assertEqual(int(row["sum_ns"]), hop["sum_ns"])
            self.assertEqual(int(row["count"]), hop["count"])
            if hop["p99_ns"] is not None:
                self.assertAlmostEqual(float(row["p99_ns"]), hop["p99_ns"], delta=0.001)
        total = sum(float(row["per_transaction_ns"]) for row in rows[:-1])
        self.assertAlmostEqual(total, float(rows[-1]["per_transaction_ns"]), delta=0.05)

    def test_the_stacks_add_up(self):
        stacks = RESULTS / "run.folded"
        vethtrace("report", RESULTS / "run.json", "--folded", stacks)
        total = 0
        for line in stacks.read_text().splitlines():
            stack, _, ns = line.rpartition(" ")
            total += int(ns)
            self.assertEqual(stack.split(";")[:2], ["vethtrace", "veth"])
        ledger = self.result["ledger"]
        self.assertAlmostEqual(total, max(ledger["rtt_mean_ns"], ledger["explained_mean_ns"]), delta=15)


if __name__ == "__main__":
    unittest.main()
