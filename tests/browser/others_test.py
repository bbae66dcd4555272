"""The pages of what is no measurement in a lab, and text from outside on every page."""

import json
import unittest

from pages import RESULTS, SCREENSHOTS, BrowserTest, EveryPage, load, vethtrace

# As a name: elements, an end of the script that holds the data, a comment, an entity, and a line separator of JavaScript.
MARKUP = ("</script><script>window.injected=1</script><img src=x onerror=\"window.injected=1\"><!--<script>"
          "<svg onload=window.injected=1>\"'&lt;\u2028\u2029")


class RrPage(EveryPage, BrowserTest):
    page = RESULTS / "rr.html"
    charts = ("histogram",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        vethtrace("report", RESULTS / "rr.json", "--html", cls.page)

    def test_shows_the_round_trips(self):
        rtt = load("rr.json")["load"]["rtt"]
        self.open(self.page)
        row = self.table("#rtt")[0]
        self.assertEqual(row[1]["values"][0][0], rtt["count"])
        for cell, key in zip(row[2:], ("mean_ns", "p50_ns", "p99_ns", "max_ns"), strict=True):
            self.assert_figure(cell, rtt[key])

    def test_is_no_flame_graph_and_says_so(self):
        refused = vethtrace("report", RESULTS / "rr.json", "--folded", RESULTS / "rr.folded", status=2)
        self.assertIn("knows nothing of stages", refused.stderr)


class FeaturesPage(EveryPage, BrowserTest):
    page = RESULTS / "features.html"

    def test_shows_every_ladder(self):
        ladders = load("features.json")["ladders"]
        self.open(self.page)
        rows = self.table("#hooks")
        self.assertEqual([(row[0]["text"], row[2]["text"]) for row in rows],
                         [(ladder["name"], ladder["hook"] or "no hook") for ladder in ladders])

    def test_comes_back_from_its_file(self):
        again = RESULTS / "features-again.html"
        vethtrace("report", RESULTS / "features.json", "--html", again, "--csv", RESULTS / "features.csv")
        self.assertEqual(again.read_text(encoding="utf-8"), self.page.read_text(encoding="utf-8"))
        refused = vethtrace("report", RESULTS / "features.json", "--folded", RESULTS / "features.folded", status=2)
        self.assertIn("has no times", refused.stderr)


class ExplainPage(EveryPage, BrowserTest):
    page = RESULTS / "explain.html"

    def test_walks_the_way(self):
        self.open(self.page)
        self.assertEqual(len(self.table("#walk")), 21)


def spoiled(value, path=()):
    """The same JSON with markup in every text that is not a word of the format."""
    words = {"schema", "mode", "topology", "stage", "from", "to", "id", "direction", "kind", "station", "last", "grouping",
             "begun", "role", "verdict", "traced_verdict", "label", "hook", "baseline"}
    if isinstance(value, dict):
        keys = {"dropped", "not_followed", "mitigations", "modes"}
        if path and path[-1] in keys:
            return {MARKUP + str(i): spoiled(one, path + (MARKUP,)) for i, one in enumerate(value.values())}
        return {key: spoiled(one, path + (key,)) for key, one in value.items()}
    if isinstance(value, list):
        return [spoiled(one, path) for one in value]
    if isinstance(value, str) and path[-1] not in words:
        return MARKUP + value
    return value


class Injection(BrowserTest):
    """Whatever texts a result has, on its page they are texts."""

    def assert_inert(self, name, page):
        self.open(page)
        self.run_in_page("document.querySelectorAll('details').forEach(one => one.open = true)")
        self.assertEqual(self.browser.log("browser"), [], "not even the policy had anything to stop")
        self.assertEqual([url for url in self.browser.requests() if not url.startswith("data:")], [f"file://{page}"])
        state = self.run_in_page("""
            return {injected: 'injected' in window, images: document.querySelectorAll('img').length,
                    scripts: [...document.scripts].length, frames: document.querySelectorAll('iframe, object, embed').length,
                    handlers: [...document.querySelectorAll('*')].filter(one =>
                        [...one.attributes].some(attribute => attribute.name.startsWith('on'))).length,
                    shown: document.body.innerText};""")
        self.assertFalse(state["injected"])
        self.assertEqual((state["images"], state["frames"], state["handlers"]), (0, 0, 0))
        self.assertIn(state["scripts"], (2, 5))
        self.assertIn("</script><script>window.injected=1</script>", state["shown"], "it is shown as what it is")
        self.browser.screenshot(SCREENSHOTS / f"injected-{name}.png")

    def test_no_text_of_a_result_runs(self):
        for name in ("run", "compare", "diff", "rr", "features"):
            with self.subTest(name=name):
                result = spoiled(load(f"{name}.json"))
                if name in ("run", "rr", "diff"):
                    result["warnings" if name != "rr" else "server"] = [MARKUP] if name != "rr" else MARKUP
                if name == "features":
                    for ladder in result["ladders"]:
                        for attempt in ladder["tried"]:
                            attempt["hook"] = attempt["hook"].removeprefix(MARKUP)
                path = RESULTS / f"injected-{name}.json"
                path.write_text(json.dumps(result), encoding="utf-8")
                page = path.with_suffix(".html")
                vethtrace("report", path, "--html", page)
                self.assert_inert(name, page)

    def test_no_text_of_a_recording_runs(self):
        lines = []
        for line in (RESULTS / "watch.jsonl").read_text(encoding="utf-8").splitlines():
            spoiled_line = spoiled(json.loads(line))
            for packet in spoiled_line.get("slowest", []):
                packet["protocol"] = MARKUP
            for target in spoiled_line.get("arrived", []):
                target["runtime"] = MARKUP
            lines.append(json.dumps(spoiled_line))
        path = RESULTS / "injected-watch.jsonl"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        page = RESULTS / "injected-watch.html"
        vethtrace("report", path, "--html", page)
        self.assert_inert("watch", page)


if __name__ == "__main__":
    unittest.main()
