"""A headless Chromium, driven by the DevTools protocol over a pair of pipes, which needs no client library."""

import base64
import contextlib
import json
import os
import select
import shutil
import time

from harness import Process, Skip, wait_until

PROGRAMS = ("chromium-headless-shell", "chromium")
ANSWER_S = 120


class Browser(Process):
    """with Browser(scene) as browser: page = browser.page("http://…")"""

    def __init__(self, scene):
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if not program:
            raise Skip("needs chromium-headless-shell (Debian's)")
        commands, self.commands = os.pipe()
        self.answers, answers = os.pipe()
        self.given = (commands, answers)
        # Without a sandbox, as it is root, and alone with cidlb in a network of its own.
        argv = [
            "sh", "-c", f'exec "$0" "$@" 3<&{commands} 4>&{answers}', program, "--remote-debugging-pipe",
            f"--user-data-dir={scene.dir}/browser", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
            "--force-device-scale-factor=1", "--font-render-hinting=none", "about:blank",
        ]
        super().__init__(scene, "browser", argv)
        self.pass_fds = self.given
        self.number, self.buffer, self.events = 0, b"", []

    def __enter__(self):
        self.start()
        for fd in self.given:
            os.close(fd)
        return self

    def __exit__(self, *_):
        self.asked = True
        with contextlib.suppress(OSError, AssertionError, TimeoutError):
            self.call("Browser.close")
        with contextlib.suppress(TimeoutError):
            self.wait(20)
        for fd in (self.commands, self.answers):
            os.close(fd)
        self.kill()

    def call(self, method, session=None, **params):
        """The result of a command. What else is heard meanwhile is kept in `events`."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        message |= {"sessionId": session} if session else {}
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + ANSWER_S
        while True:
            heard = self.hear(end - time.monotonic())
            assert heard is not None, f"the browser does not answer {method}\n{self.log_text()[-2000:]}"
            if heard.get("id") == self.number:
                assert "error" not in heard, (method, heard)
                return heard["result"]

    def hear(self, timeout):
        """The next message, or None. Events are kept."""
        while b"\0" not in self.buffer:
            if not select.select([self.answers], [], [], max(0, timeout))[0]:
                return None
            more = os.read(self.answers, 1 << 20)
            assert more, f"the browser has gone\n{self.log_text()[-2000:]}"
            self.buffer += more
        message, _, self.buffer = self.buffer.partition(b"\0")
        heard = json.loads(message)
        if "method" in heard:
            self.events.append(heard)
        return heard

    def page(self, url, **look):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, session, url, **look)


class Page:
    """width and height in CSS pixels; dark: what the user prefers. Nothing moves, as who wants that may have it."""

    def __init__(self, browser, session, url, width=1280, height=800, dark=False):
        self.browser, self.session = browser, session
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)
        self.prefer(dark)
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def prefer(self, dark):
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        motion = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.call("Emulation.setEmulatedMedia", features=[scheme, motion])

    def call(self, method, **params):
        return self.browser.call(method, session=self.session, **params)

    def run(self, script):
        """The value of an expression in the page, as JSON has it."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, script, timeout=90, what=None):
        """The first true value of an expression."""
        return wait_until(lambda: self.run(script), timeout, what or script)

    def text(self, selector):
        return self.run(f"document.querySelector({json.dumps(selector)}).textContent")

    def key(self, key, code=None, text=None):
        event = {"key": key, "code": code or key, "windowsVirtualKeyCode": {"Tab": 9, "Enter": 13}.get(key, 0)}
        event |= {"text": text} if text else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, **event)

    def screenshot(self, file):
        """All of it, however long."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                         clip={"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1})
        file.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self):
        """What the browser found wrong: exceptions, and errors such as a breach of the Content-Security-Policy."""
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            if event["method"] == "Runtime.exceptionThrown":
                found.append(event["params"]["exceptionDetails"])
            elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
                found.append(event["params"]["entry"])
            elif event["method"] == "Page.javascriptDialogOpening":
                found.append(event["params"])
        return found
