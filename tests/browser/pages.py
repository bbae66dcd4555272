"""What is asked of every page: that it is drawn, in both themes, on a phone and on paper, and asks nobody for anything."""

import http.server
import json
import os
import pathlib
import re
import subprocess
import threading
import unittest

from webdriver import Browser

RESULTS = pathlib.Path(os.environ["VETHTRACE_RESULTS"])
SCREENSHOTS = pathlib.Path(os.environ["VETHTRACE_SCREENSHOTS"])
BINARY = os.environ["VETHTRACE_BINARY"]

PHONE = 360

# How many colours a canvas has, of those that more than a few pixels have.
COLOURS = """
    const canvas = arguments[0];
    const pixels = new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    const counts = new Map();
    for (const pixel of pixels)
        counts.set(pixel, (counts.get(pixel) || 0) + 1);
    return [...counts.values()].filter(count => count > 20).length;
"""

# Pairs of texts of one picture that lie upon one another, and texts that reach out of it.
OVERLAPS = """
    const found = [];
    for (const picture of document.querySelectorAll('svg.way, svg.moments')) {
        if (picture.getBoundingClientRect().width === 0)
            continue; // the other size is shown
        const frame = picture.getBoundingClientRect();
        const texts = [...picture.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
        const slack = 1.5; // of the letters' own height, which no letter fills
        texts.forEach(([name, box], i) => {
            if (box.left < frame.left - slack || box.right > frame.right + slack || box.bottom > frame.bottom + slack)
                found.push(name + ' reaches out');
            for (const [other, its] of texts.slice(i + 1))
                if (box.left < its.right - slack && its.left < box.right - slack
                    && box.top < its.bottom - slack && its.top < box.bottom - slack)
                    found.push(name + ' and ' + other);
        });
    }
    return found;
"""


def time_text(ns):
    """As the page writes it: three digits, a space that does not break, a real minus."""
    size = abs(ns)
    sign = "\u2212" if ns <= -0.5 else ""
    if size < 999.5:
        return f"{sign}{size:.0f}\u00a0ns"
    for unit, name in ((1e3, "µs"), (1e6, "ms"), (1e9, "s")):
        if size < 999.5 * unit or name == "s":
            value = size / unit
            break
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{sign}{value:.{digits}f}\u00a0{name}"


def change_text(ns):
    return ("+" if ns >= 0.5 else "") + time_text(ns)


def load(name):
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def vethtrace(*words, status=0):
    finished = subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, timeout=60, check=False)
    if finished.returncode != status:
        raise AssertionError(f"{words}: status {finished.returncode}\n{finished.stdout}{finished.stderr}")
    return finished


class Stranger:
    """A server on loopback that counts who comes."""

    def __init__(self):
        self.visits = []
        stranger = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                stranger.visits.append(self.path)
                self.send_response(200)
                self.end_headers()

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class BrowserTest(unittest.TestCase):
    """One browser for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        if not (RESULTS / "run.json").exists():
            raise unittest.SkipTest("there are no results: making them needs root")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def open(self, page, theme="light", width=1280):
        self.browser.look(theme, width, scale=2 if width == PHONE else 1)
        self.browser.log("browser")
        self.browser.log("performance")
        self.browser.open(page)

    def run_in_page(self, script, *arguments):
        return self.browser.run(script, *arguments)

    def table(self, selector):
        """The rows of a table: for each cell its text and, where it has one, its exact value."""
        return self.browser.run("""
            return [...document.querySelectorAll(arguments[0] + ' tbody tr')].map(row =>
                [...row.children].map(cell => ({text: cell.textContent.trim(), values: [...cell.querySelectorAll('data')].map(
                    data => [Number(data.value), data.textContent])})));""", selector)

    def assert_figure(self, cell, ns, text=time_text):
        """A cell says what the JSON says, exactly and in words."""
        if ns is None:
            self.assertEqual(cell["text"], "\u2013")
            return
        value, shown = cell["values"][0]
        self.assertAlmostEqual(value, ns, delta=max(0.0011, abs(ns) * 1e-9))
        self.assertEqual(shown, text(value))

    def chart(self, name):
        """What a chart was given: labels, and for each set of data its label, values, whiskers and marks."""
        return self.browser.run("""
            const chart = Chart.getChart(arguments[0]);
            return {labels: chart.data.labels, datasets: chart.data.datasets.map(set => (
                {label: set.label, data: set.data, whiskers: set.whiskers, marks: set.marks, numbers: set.numbers}))};""",
                                name)


class EveryPage:
    """Mixed into a class for each page: `page` is its path, `charts` what it draws."""

    page = None
    charts = ()

    def test_is_drawn_without_a_complaint(self):
        self.open(self.page)
        self.assertEqual(self.browser.log("browser"), [])
        names = self.run_in_page("return [...document.querySelectorAll('canvas')].map(canvas => canvas.id)")
        self.assertEqual(sorted(names), sorted(self.charts))
        for name in names:
            with self.subTest(chart=name):
                self.assertTrue(self.run_in_page("return Chart.getChart(arguments[0]) !== undefined", name))
                colours = self.run_in_page(COLOURS.replace("arguments[0]", "document.getElementById(arguments[0])"), name)
                self.assertGreaterEqual(colours, 3, "it is blank")

    def test_has_room_in_both_themes_and_on_a_phone(self):
        grounds = {}
        for theme, width in (("light", 1280), ("dark", 1280), ("light", PHONE), ("dark", PHONE)):
            with self.subTest(theme=theme, width=width):
                self.open(self.page, theme, width)
                self.assertEqual(self.browser.log("browser"), [])
                self.assertEqual(self.run_in_page(OVERLAPS), [])
                self.assertLessEqual(self.run_in_page("return document.documentElement.scrollWidth"), width,
                                     "it must not be pushed from side to side")
                grounds[theme] = self.run_in_page("return getComputedStyle(document.body).backgroundColor")
                self.browser.screenshot(SCREENSHOTS / f"{pathlib.Path(self.page).stem}-{theme}-{width}.png")
        self.assertNotEqual(grounds["light"], grounds["dark"])

    def test_follows_when_the_theme_changes(self):
        if not self.charts:
            return
        self.open(self.page, "light")
        before = self.run_in_page("return Chart.defaults.color")
        self.browser.look("dark")
        after = self.browser.run_until_called("requestAnimationFrame(() => arguments[0](Chart.defaults.color))")
        self.assertNotEqual(before, after)

    def test_is_printed(self):
        self.open(self.page, "dark")
        self.run_in_page("window.wide = []; addEventListener('beforeprint', () => window.wide.push("
                         "getComputedStyle(document.body).backgroundColor))")
        pdf = self.browser.print(SCREENSHOTS / f"{pathlib.Path(self.page).stem}.pdf")
        self.assertTrue(pdf.startswith(b"%PDF-"))
        self.assertGreaterEqual(len(re.findall(rb"/Type\s*/Page\b", pdf)), 1)
        self.assertIn(b"%%EOF", pdf[-32:])
        if self.charts:
            # On paper it is white, whatever the screen is; then the screen has its colours again.
            self.assertEqual(self.run_in_page("return window.wide"), ["rgb(255, 255, 255)"])
        self.assertNotEqual(self.run_in_page("return getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)")
        self.assertEqual(self.browser.log("browser"), [])

    def test_asks_nobody_for_anything(self):
        self.open(self.page)
        asked = [url for url in self.browser.requests() if not url.startswith("data:")]
        self.assertEqual(asked, ["file://" + os.path.abspath(self.page)])
        stranger = Stranger()
        self.addCleanup(stranger.close)
        # Nor does its policy let it, were a script to try.
        outcome = self.browser.run_until_called("""
            const [address, done] = arguments;
            const image = new Image();
            image.src = address + '/image';
            const script = document.createElement('script');
            script.src = address + '/script';
            document.head.append(script);
            const style = document.createElement('link');
            style.rel = 'stylesheet';
            style.href = address + '/style';
            document.head.append(style);
            const frame = document.createElement('iframe');
            frame.src = address + '/frame';
            document.body.append(frame);
            let beacon = false;
            try { beacon = navigator.sendBeacon(address + '/beacon', 'x'); } catch (error) {}
            let socket = 'refused';
            try { const opened = new WebSocket(address.replace('http', 'ws')); opened.onopen = () => socket = 'open'; } catch (error) {}
            const inline = document.createElement('script');
            inline.textContent = 'window.ran = true';
            document.head.append(inline);
            fetch(address + '/fetch').then(() => 'fetched', () => 'refused').then(fetched =>
                setTimeout(() => done([fetched, socket, window.ran === true]), 300));""", stranger.address)
        self.assertEqual(outcome, ["refused", "refused", False])
        self.assertEqual(stranger.visits, [])

    def test_is_of_use_without_scripts(self):
        self.browser.devtools("Emulation.setScriptExecutionDisabled", value=True)
        try:
            self.open(self.page)
            self.assertFalse(self.run_in_page("return document.documentElement.classList.contains('has-scripts')"))
            shown = self.run_in_page("""
                return {tables: [...document.querySelectorAll('table, dl')].filter(one => one.offsetHeight > 0).length,
                        charts: [...document.querySelectorAll('canvas, select, button')].filter(one => one.offsetHeight > 0).length};""")
            self.assertGreaterEqual(shown["tables"], 1)
            self.assertEqual(shown["charts"], 0)
            self.browser.screenshot(SCREENSHOTS / f"{pathlib.Path(self.page).stem}-without-scripts.png")
        finally:
            self.browser.devtools("Emulation.setScriptExecutionDisabled", value=False)
