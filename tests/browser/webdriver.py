"""A headless Chromium, driven through chromedriver on loopback by the WebDriver protocol (https://www.w3.org/TR/webdriver2/)
and the browser's own devtools. Only Python's standard library is needed."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

# It talks to nobody but the page: no updates, no safe browsing, no name of a host is ever looked up.
ARGUMENTS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-default-apps --disable-extensions --disable-dev-shm-usage
    --disable-features=OptimizationHints,MediaRouter,Translate --hide-scrollbars --no-default-browser-check
    --force-device-scale-factor=1 --force-color-profile=srgb --font-render-hinting=none""".split()


class BrowserTrouble(Exception):
    pass


class Browser:
    """One browser with one window; everything of it is gone after close()."""

    def __init__(self, chromium="chromium", chromedriver="chromedriver"):
        self.home = tempfile.mkdtemp(prefix="vethtrace-browser-")
        environment = {**os.environ, "HOME": self.home, "XDG_CONFIG_HOME": self.home, "XDG_CACHE_HOME": self.home}
        # A session of its own, so that whatever it starts ends with it.
        self.driver = subprocess.Popen([chromedriver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       text=True, env=environment, start_new_session=True)
        self.session = None
        try:
            self.port = self._port()
            options = {"binary": shutil.which(chromium),
                       "args": ARGUMENTS + [f"--user-data-dir={self.home}/profile"]}
            answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome", "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}})
            self.session = answer["sessionId"]
        except Exception:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.session is not None:
            try:
                self._call("DELETE", f"/session/{self.session}")
            except (BrowserTrouble, OSError):
                pass
            self.session = None
        if self.driver is not None:
            try:
                os.killpg(self.driver.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.driver.wait()
            self.driver.stdout.close()
            self.driver = None
        shutil.rmtree(self.home, ignore_errors=True)

    def _port(self):
        said = ""
        for line in self.driver.stdout:
            said += line
            found = re.search(r"on port (\d+)", line)
            if found and "success" in line:
                return int(found.group(1))
        raise BrowserTrouble(f"chromedriver did not start: {said}")

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method,
                                         headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise BrowserTrouble(json.load(error)["value"]["message"]) from None

    def call(self, method, path, body=None):
        return self._call(method, f"/session/{self.session}{path}", body)

    # ---- what a page is asked

    def open(self, path):
        self.call("POST", "/url", {"url": "file://" + os.path.abspath(path)})

    def run(self, script, *arguments):
        """The value of a function's body, run in the page."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def run_until_called(self, script, *arguments):
        """The same, of a function that calls its last argument when it has a value."""
        return self.call("POST", "/execute/async", {"script": script, "args": list(arguments)})

    def devtools(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def log(self, kind):
        """What has been logged since it was asked for the last time: "browser" or "performance"."""
        return self.call("POST", "/se/log", {"type": kind})

    def requests(self):
        """Addresses that were asked for since the last time."""
        messages = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [message["params"]["request"]["url"] for message in messages
                if message["method"] == "Network.requestWillBeSent"]

    # ---- how it looks

    def look(self, theme="light", width=1280, height=900, scale=1):
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
                      mobile=width < 600)

    def screenshot(self, path):
        """Of the whole page, and not only of what is in the window."""
        size = self.devtools("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        picture = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture["data"]))

    def print(self, path):
        """To A4 paper; gives the PDF's bytes."""
        printed = self.devtools("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True,
                                preferCSSPageSize=True)
        pdf = base64.b64decode(printed["data"])
        with open(path, "wb") as file:
            file.write(pdf)
        return pdf
