"""What the dashboard is shown in place of a cidlb: its own files, and a status that a test has made up."""

import contextlib
import http.server
import json
import math
import threading
import time
from pathlib import Path

from pages import ROOT

WEB = ROOT / "lb" / "web"
FILES = {"/": "dashboard.html", "/dashboard.css": "dashboard.css", "/dashboard.js": "dashboard.js",
         "/samples.js": "samples.js", "/words.js": "words.js", "/icon.svg": "icon.svg"}


class Stand(http.server.ThreadingHTTPServer):
    """The page's own files, with whatever a test wants for /status.json."""

    daemon_threads = True

    def __init__(self):
        self.status, self.pages = {}, []
        super().__init__(("127.0.0.1", 0), StandHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class StandHandler(http.server.BaseHTTPRequestHandler):
    TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

    def do_GET(self):
        name = FILES.get(self.path)
        body = (WEB / name).read_bytes() if name else json.dumps(self.server.status).encode()
        self.send_response(200)
        self.send_header("Content-Type", self.TYPES[Path(name).suffix] if name else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # the page is closed
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def made_up(text=str, servers=3):
    """A status in which every text is what `text` makes of it."""
    now = time.time()

    def server(at):
        row = {"name": text(f"s{at}"), "weight": 100, "flows": 10 + at, "sent_up": 1000 * at, "sent_down": 900 * at,
               "cid_at_s": int(now) - at, "rebinding": True}
        bad = {"down": True, "down_s": 90, "reason": text("no answer"), "name_reason": text("no such name"),
               "rebinding": False, "rebinding_reason": text("needed a handshake"), "cid": False,
               "cid_reason": text("length 8, configured 6"), "unanswered": 12}
        drain = {"state": "drain", "drain": {"not_before_s": int(now) + 900, "forecast": {
            "half_s": 60, "all_s": 3600, "late": 2, "new": 1, "by_s": 3600}}}
        return row | (bad if at % 3 == 2 else drain if at % 3 == 1 else {})

    past = [[int(1000 * (now - 5 * ago)), 4000 - 60 * ago + int(60 * math.sin(ago / 3)), 900 - 9 * ago, 3, 60 - ago,
             40 - ago // 2] for ago in range(60, 0, -1)]
    event = {"time": "2026-11-29T12:00:00.000Z", "level": "warning", "event": text("backend_down"), "pool": text("p"),
             "backend": text("s2"), "reason": text("no answer"), text("more"): text("words")}
    pool = {"name": text("p"), "accepting": servers, "sessions": 33, "rescued": 4, "moves": 9, "handshakes": 40,
            "hello_rate": True, "verdicts": {"cid": 1000, "hash": 50, "limited": 3, "type": 7},
            "backends": [server(at) for at in range(servers)]}
    return {"at_ms": int(now * 1000), "node": text("lb1"), "version": text("0.1.0"), "started_s": int(now) - 3600,
            "workers": 2, "fingerprint": text("0123456789abcdef"), "ready": False, "unready": text("no backend"),
            "reload_refused": True, "kernel_drops": 2, "forecasts_s": int(now), "events": [event], "history": past,
            "pools": [pool], "fast": {
                "interfaces": [{"name": "ens3", "mode": "native", "reason": ""},
                               {"name": "ens4", "mode": "none", "reason": text("it is taken")}],
                "rests": text("a trace runs"), "datagrams": 970, "of_datagrams": 1000, "replies": 0,
                "of_replies": 0}}
