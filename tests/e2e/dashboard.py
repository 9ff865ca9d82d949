#!/usr/bin/env python3
"""The page at / of admin.http, in a browser: it says what /metrics says, shows what it is told as text, and looks as it
should in all states and sizes. CIDLB_SHOTS=DIRECTORY keeps pictures of it."""

import json
import os
import re
import signal
import socket
import statistics
import threading
import time
import urllib.request
from pathlib import Path

import fast
from control import ctl
from crowds import as_if_elsewhere, awake, p99, report, standing
from doors import request
from harness import FULL, PSK, Scene, free_ports, main, release_only, total, wait_all_joined, wait_until
from health import COAPS
from lab.browser import Browser
from lab.dashboard_stand import FILES, WEB, Stand, made_up
from lab.png import with_palette
from tunnel import key_file, tunnel_pool

POLICY = {"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
          "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"}
SIZES = {"wide": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
SHOTS = os.environ.get("CIDLB_SHOTS")
SESSIONS = 40  # so many that one of three servers gets none has a chance of 1 in 2,000,000
ROWS = {"wide": 25, "phone": 10}  # of servers, on a page
CONTRAST = 4.5  # WCAG 2.1, 1.4.3, for text of any size

# Texts of the page whose contrast with what lies behind them is less than it should be.
FAINT = r"""(() => {
	const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
	const light = ([r, g, b]) => {
		const [x, y, z] = [r, g, b].map((c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; });
		return 0.2126 * x + 0.7152 * y + 0.0722 * z;
	};
	const behind = (node) => {
		for (; node; node = node.parentElement) {
			const colour = parse(getComputedStyle(node).backgroundColor);
			if (colour.length < 4 || colour[3] > 0)
				return colour;
		}
		return [255, 255, 255];
	};
	const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	let texts = 0;
	while (walker.nextNode()) {
		const text = walker.currentNode.textContent.trim(), node = walker.currentNode.parentElement;
		if (!text || !node.checkVisibility() || node.closest(".unseen, .skip, button:disabled"))
			continue;
		const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
		texts++;
		if ((a + 0.05) / (b + 0.05) < LEAST)
			found.push(`${text}: ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
	}
	return { texts, found };
})()""".replace("LEAST", str(CONTRAST))

# What sticks out to the right of the page.
WIDE = """[...document.querySelectorAll("main *, header *, footer *")].filter((node) => !node.closest(".unseen") &&
	!(node.closest("thead")?.offsetWidth <= 1) &&
	node.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
	.map((node) => node.tagName + "." + node.className + " " + node.textContent.slice(0, 40))"""


def url(lb):
    return f"http://{lb.config['admin']['http']}/"


def number(text):
    return int(re.sub(r"[^\d]", "", text))


def status_of(lb):
    status, text = lb.get("/status.json")
    assert status == 200, text
    return json.loads(text)


def shows(page):
    """The page has had an answer that is newer than this call."""
    now = time.time() * 1000
    page.wait(f"Date.parse(document.querySelector('#as-of').dateTime) > {now}", what="the page has a newer answer")
    return page


def look(page, name):
    """What must hold of every state: nothing is faint, nothing sticks out, nobody complains."""
    if SHOTS:
        page.screenshot(Path(SHOTS) / f"{name}.png")
    faint = page.run(FAINT)
    assert faint["texts"] > 40 and not faint["found"], (name, faint)
    assert not page.run(WIDE), (name, page.run(WIDE))
    assert page.run("document.documentElement.scrollWidth <= innerWidth"), name
    assert not page.complaints(), (name, page.complaints())


def figures(page):
    """What the page says, as numbers."""
    said = {key: number(page.text(f"#{key}")) for key in ("sessions", "rescued", "accepting", "servers")}
    said["verdicts"] = page.run(
        """Object.fromEntries([...document.querySelectorAll("#verdicts tr")].map((row) =>
		[row.dataset.verdict, Number(row.lastElementChild.textContent.replaceAll(",", ""))]))"""
    )
    said["rows"] = page.run(
        """Object.fromEntries([...document.querySelectorAll("#rows tr")].map((row) => [row.dataset.server, {
		state: row.children[1].firstElementChild.textContent,
		flows: row.children[2].textContent, weight: Number(row.children[3].textContent),
		up: Number(row.children[4].dataset.total), down: Number(row.children[5].dataset.total),
		back: row.children[6].textContent, rebinding: row.children[7].textContent, last: row.children[8].textContent,
		}]))"""
    )
    return said


def figures_of(metrics):
    """The same, of /metrics."""
    verdicts = {dict(labels)["verdict"] for name, labels in metrics if name == "cidlb_datagrams_total"}
    counts = {one: total(metrics, "cidlb_datagrams_total", verdict=one) for one in verdicts}
    shown = {one: count for one, count in counts.items() if count or one == "cid"}
    rows = {}
    for name, labels in metrics:
        if name == "cidlb_backend_up":
            of = dict(labels)
            rows[f"{of['pool']}/{of['backend']}"] = {
                "flows": total(metrics, "cidlb_backend_flows", **of),
                "weight": total(metrics, "cidlb_backend_weight", **of),
                "up": total(metrics, "cidlb_forwarded_total", direction="up", **of),
                "down": total(metrics, "cidlb_forwarded_total", direction="down", **of),
                "is_up": total(metrics, "cidlb_backend_up", **of),
            }
    return {
        "sessions": total(metrics, "cidlb_sessions"), "rescued": total(metrics, "cidlb_sessions_rescued_total"),
        "accepting": total(metrics, "cidlb_pool_accepting_backends"), "servers": len(rows),
        "verdicts": {**shown, "all": total(metrics, "cidlb_received_total")}, "rows": rows,
    }


def case_figures():
    """Once nothing is on its way, each figure is that of /metrics; and the head says which node this is."""
    with Scene() as scene, Browser(scene) as browser:
        backends = [scene.backend(n) for n in (1, 2, 3)]
        tunnelled = scene.backend(4, options=["--tunnel", key_file(scene)])
        pool = scene.pool("p", [*backends[:2], backends[2].entry(weight=90)], health=COAPS, hello_rate={"pool": 20})
        lb = scene.cidlb([pool, tunnel_pool(scene, "t", [tunnelled])])
        page = browser.page(url(lb))
        fleets = [scene.fleet(lb.address("p"), devices=SESSIONS, rebinds=2, rebind_every=1, seed=3),
                  scene.fleet(lb.address("t"), name="tunnelled", devices=5, rebinds=1, rebind_every=1, seed=4)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
            address, port = lb.address("p").split(":")
            for _ in range(7):
                noise.sendto(b"hello?", (address, int(port)))
        for fleet in fleets:
            assert fleet.report()["exit"] == 0
        ctl(lb, "drain", "p/b")
        lb.assert_identities()
        wait_until(lambda: lb.metric("cidlb_backend_rebinding") == 3, 20, "the probes' sessions have moved")

        def same():
            before = figures_of(lb.metrics())
            said = figures(shows(page))
            return (said, before) if figures_of(lb.metrics()) == before else None

        said, metrics = wait_until(same, 60, "nothing changes while the page is read")
        print(f"    {metrics['sessions']} sessions, {metrics['verdicts']}")
        for key in ("sessions", "rescued", "accepting", "servers", "verdicts"):
            assert said[key] == metrics[key], (key, said[key], metrics[key])
        assert said["rescued"] == SESSIONS and said["accepting"] == 3 and said["servers"] == 4, said
        assert {"cid", "hash", "type", "all"} <= set(said["verdicts"]), said["verdicts"]
        assert set(said["rows"]) == set(metrics["rows"]) == {"p/a", "p/b", "p/c", "t/d"}, said["rows"]
        for name, row in metrics["rows"].items():
            shown = said["rows"][name]
            assert {key: shown[key] for key in ("weight", "up", "down")} == {
                key: row[key] for key in ("weight", "up", "down")}, (name, shown, row)
            if name.startswith("p/"):
                assert number(shown["flows"].split("·")[0]) == row["flows"], (name, shown, row)
                assert shown["rebinding"] == "yes" and shown["back"] == "answers", shown
            assert row["is_up"] and shown["state"] == ("drains" if name == "p/b" else "up"), shown
            assert re.fullmatch(r"\d+ (s|min) ago", shown["last"]), shown
        why = page.text("#rows tr[data-server='p/b'] .why")
        assert re.match(r"\d+ sessions? left; may be stopped at .* at the earliest", why), why
        status = status_of(lb)
        assert page.text("#node") == status["node"] == socket.gethostname()
        assert page.text("#fingerprint") == status["fingerprint"] and page.text("#chip") == "ready"
        assert "p/b: drain" in page.text("#events") and "was ready" in page.text("#events")
        # It is the one that sorts first.
        assert page.run("document.querySelector('#rows tr').dataset.server") == "p/b"
        look(page, "figures-light")
        page.prefer(dark=True)
        look(page, "figures-dark")


@release_only
def case_fast_path():
    """What share of the datagrams and replies it takes is what /metrics says; and where it is not, the page says so."""
    with fast.stage() as (scene, net), fast.server_at(net, 1) as server, fast.device_at(net) as device, Browser(
            scene) as browser:
        lb = fast.made(scene, [server.entry()], max_resumable=0)
        fast.warm(lb, device)
        fast.exchange(device, server, fast.CID_A, 200)
        page = browser.page(url(lb))
        page.wait("!document.querySelector('#fast').hidden")
        said = page.text("#fast")
        print(f"    {said}")
        parts = re.fullmatch(r"the fast path takes ([\d.]+) % of them, and of replies ([\d.]+) %", said).groups()
        for part, taken, of in zip(parts, ("fast_datagrams", "fast_replies"), ("received", "replies")):
            share = 100 * lb.metric(f"cidlb_{taken}_total") / lb.metric(f"cidlb_{of}_total")
            assert 50 < share and abs(share - float(part)) <= 0.5, (said, taken, share)
        assert page.run("document.querySelector('#alarms').hidden")
        look(page, "fast-path")
        lb.assert_identities()
        lb.stop()
        lb.config["fast"]["interfaces"].append("lo")
        lb.start()
        page = browser.page(url(lb))
        page.wait("document.querySelector('#alarms').textContent.includes('The fast path is not on lo: ')")


def case_readme():
    """A page with something to see on it, as the README shows it: devices that move, and a server that drains.
    What CIDLB_SHOTS keeps of it is small enough for packaging/guide/pictures/."""
    with Scene() as scene, Browser(scene) as browser:
        devices, seconds = (100, 130) if SHOTS else (60, 3)  # so many that each server has some
        pool = scene.pool("lwm2m", [scene.backend(n) for n in (1, 2, 3)], health=COAPS, hello_rate={"pool": 50})
        lb = scene.cidlb([pool])
        story = scene.dir / "story"
        fleet = scene.fleet(lb.address(), devices=devices, rebind_every=2, interval_ms=1500, duration=600, story=story)
        wait_all_joined(story, devices)
        time.sleep(seconds)
        ctl(lb, "weight", "lwm2m/c", "50")
        ctl(lb, "drain", "lwm2m/b")
        page = browser.page(url(lb))
        page.call("Emulation.setScrollbarsHidden", hidden=True)
        page.wait("/^[1-9]/.test(document.querySelector('#received-rate').textContent)")
        page.wait("document.querySelector('#rows tr').textContent.includes('sessions left')")
        wait_until(lambda: number(page.text("#rescued")) == devices, 60, "every device has moved")
        for dark, name in ((False, "dashboard"), (True, "dashboard-dark")):
            page.prefer(dark)
            look(page, name)
        for picture in Path(SHOTS).glob("dashboard*.png") if SHOTS else ():
            picture.write_bytes(with_palette(picture.read_bytes()))
        fleet.child.send_signal(signal.SIGTERM)
        told = fleet.report()
        assert told["survived"] == told["handshakes"] == devices, told
        lb.assert_identities()


def case_hostile_texts():
    """Markup in any text is shown as it stands, also where no Content-Security-Policy would keep it from running."""
    evil = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>&amp;"\'><b>'
    with Scene() as scene, Stand() as stand, Browser(scene) as browser:
        stand.status = made_up(lambda text: evil + text)
        page = browser.page(stand.url())
        page.wait("document.querySelectorAll('#rows tr').length === 3 && document.querySelector('#events li') !== null")
        assert page.run("window.hit") is None
        assert page.run("document.querySelectorAll('main img, main script, #alarms img, header img').length") == 1
        assert page.run("document.querySelectorAll('#rows b, #events b').length") == 4, "a b of its own for each"
        shown = page.run("document.body.innerText")
        for text in ("s0", "s2", "no answer", "no such name", "needed a handshake", "length 8, configured 6", "lb1",
                     "0.1.0", "0123456789abcdef", "words", "a trace runs", "it is taken"):
            assert evil + text in shown, (text, shown)
        assert evil in page.run("document.title")
        assert not page.complaints() or all("404" in str(one) for one in page.complaints()), page.complaints()


def case_everything_down():
    """Light and dark, wide and phone: no server of one, and none of 200."""
    with Scene() as scene, Browser(scene) as browser:
        for count in (1, 200):
            closed = free_ports()
            entries = [{"name": f"meter-gateway-{n:03}", "id": n, "address": f"127.0.{n >> 8}.{n & 255}:{closed}"}
                       for n in range(1, count + 1)]
            pools = [scene.pool("p", entries, health={"probe": "dtls", "interval_ms": 500, "timeout_ms": 400})]
            lb = scene.cidlb(pools, name=f"down-{count}")
            wait_until(lambda: lb.down() == count, 120, "everything is down")
            for size, dark in (("wide", False), ("wide", True), ("phone", False)):
                page = browser.page(url(lb), dark=dark, **SIZES[size])
                page.wait(f"document.querySelectorAll('#rows tr').length === {min(count, ROWS[size])}")
                assert page.text("#accepting") == "0" and page.text("#servers") == str(count)
                assert "No server of pool p takes new sessions" in page.text("#alarms")
                assert page.run("document.title").startswith(f"{count} down · "), page.run("document.title")
                look(shows(page), f"down-{count}-{size}-{'dark' if dark else 'light'}")
            lb.stop()


def case_many_servers():
    """From three to a thousand, of which each is something else."""
    with Scene() as scene, Stand() as stand, Browser(scene) as browser:
        for count in (3, 200, 1000):
            stand.status = made_up(servers=count)
            for size, dark in (("wide", False), ("phone", True)):
                page = browser.page(stand.url(), dark=dark, **SIZES[size])
                page.wait(f"document.querySelectorAll('#rows tr').length === {min(count, ROWS[size])}")
                assert page.text("#stream-begin") == "4 min ago", "cidlb has told what went before"
                assert page.run("document.querySelector('#stream .by-cid').getAttribute('d').length") > 500
                look(page, f"made-up-{count}-{size}-{'dark' if dark else 'light'}")


def focused(page):
    return page.run("document.activeElement.id || document.activeElement.className || document.activeElement.tagName")


def case_hands():
    """By keyboard alone: everything that can be done is reached, is seen to be, and does what it says. What a screen
    reader goes by is there, too."""
    with Scene() as scene, Stand() as stand, Browser(scene) as browser:
        stand.status = made_up(servers=60)
        page = browser.page(stand.url())
        page.wait(f"document.querySelectorAll('#rows tr').length === {ROWS['wide']}")
        way = []
        while len(way) < 12 and "next" not in way:
            page.key("Tab")
            way.append(focused(page))
            width = page.run("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
            assert width >= 2 and page.run("document.activeElement.matches(':focus-visible')"), (way, width)
        assert way == ["skip", "scroll", "find", "ill", "next"], way  # on the first page nothing goes back
        page.key("Enter", text="\r")
        assert page.text("#page-text") == "26–50 of 60"
        page.run("document.querySelector('#ill').focus()")
        page.key("Enter", text="\r")
        assert page.text("#page-text") == "1–25 of 40", "two of three want a look"
        assert page.run("document.querySelector('#ill').getAttribute('aria-pressed')") == "true"
        page.run("document.querySelector('#find').focus()")
        for letter in "s59":
            page.call("Input.insertText", text=letter)
        assert page.run("[...document.querySelectorAll('#rows tr')].map((row) => row.dataset.server)") == ["p/s59"]
        page.call("Input.insertText", text="x")
        assert page.run("!document.querySelector('#none').hidden && !document.querySelectorAll('#rows tr').length")
        page.run("document.querySelector('#find').value = ''")
        # What it is made of.
        assert page.run("document.documentElement.lang") == "en"
        assert page.run("document.querySelectorAll('h1').length") == 1
        assert page.run("[...document.querySelectorAll('table')].every((table) => table.caption.textContent)")
        assert page.run("[...document.querySelectorAll('th')].every((head) => head.scope)")
        assert page.run("[...document.querySelectorAll('#rows tr')].every((row) => row.children[0].tagName === 'TH')")
        assert page.run("document.querySelector('#news').getAttribute('aria-live')") == "polite"
        assert page.run("document.querySelector('#find').labels[0].textContent.trim()") == "Find servers by name"
        assert page.run("document.getAnimations().length") == 0
        # News is told once it is new.
        assert page.text("#news") == ""
        newer = {"time": "2026-11-29T12:00:09.000Z", "level": "info", "event": "backend_up"}
        now = made_up(servers=60)
        stand.status = {**now, "events": [*now["events"], {**newer, "pool": "p", "backend": "s2"}]}
        page.wait("document.querySelector('#news').textContent === 'p/s2: up'")
        assert not page.complaints(), page.complaints()


def case_gone_and_back():
    """Without an answer the page says so, keeps what it showed, and goes on by itself once there is one."""
    with Scene() as scene, Browser(scene) as browser:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])])
        page = shows(browser.page(url(lb)))
        page.wait("document.querySelector('#received-rate').textContent === '0'")
        lb.kill()
        page.wait("document.querySelector('#chip').textContent === 'no answer'")
        assert "has not answered since" in page.text("#alarms") and page.text("#accepting") == "1"
        if SHOTS:
            page.screenshot(Path(SHOTS) / "gone.png")
        lb.start()
        shows(page)
        assert page.text("#chip") == "ready" and page.run("document.querySelector('#alarms').hidden")
        page.wait("document.querySelector('#received-rate').textContent === '0'")
        shown = page.run("document.body.innerText")
        assert "NaN" not in shown and "undefined" not in shown, shown


def case_says_no_secret():
    """No key, no identity, no address of a device; and nothing can be changed there, or asked by a foreign page."""
    identity = "the-probes-identity"
    with Scene() as scene:
        server = scene.backend(1, options=["--psk", f"{identity}:{PSK[1]}"])
        lb = scene.cidlb([scene.pool("p", [server], health={**COAPS, "psk_identity": identity, "psk_key": PSK[1]})])
        fleet = scene.fleet(lb.address(), devices=3, rebinds=1, rebind_every=1, psk=f"{identity}:{PSK[1]}")
        assert fleet.report(60)["exit"] == 0
        wait_until(lambda: lb.metric("cidlb_backend_rebinding") == 1, 30, "the probe's identity is in use")
        head = "Host: 127.0.0.1\r\n"
        for path in (*FILES, "/status.json"):
            status, answer = request(lb, f"GET {path} HTTP/1.1\r\n{head}\r\n")
            assert status == 200, answer
            for secret in (identity, PSK[1], lb.config["hash_key"], "127.0.0.1"):
                assert secret not in answer, (path, secret)
            policy = re.search(r"\r\nContent-Security-Policy: (.*)\r\n", answer)[1]
            assert set(policy.split("; ")) == POLICY, policy
            for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
                assert request(lb, f"{method} {path} HTTP/1.1\r\n{head}\r\n")[0] == 405
            for foreign in ("Host: evil.example\r\n", f"{head}Origin: http://evil.example\r\n"):
                assert request(lb, f"GET {path} HTTP/1.1\r\n{foreign}\r\n")[0] == 403
        # What it is made of loads nothing from elsewhere.
        for name in FILES.values():
            text = (WEB / name).read_text().replace("http://www.w3.org/2000/svg", "")
            elsewhere = re.findall(r"https?:|//[a-z]|@import|url\(", text)
            elsewhere += re.findall(r"<style|<script>| style=| on\w+=|innerHTML|eval\(", text)
            assert not elsewhere, (name, elsewhere)


class Browsers:
    """So many threads ask for the status as the page does, every two seconds, until it is left."""

    def __init__(self, lb, count):
        self.url, self.over, self.wrong, self.seen, self.took = url(lb) + "status.json", threading.Event(), [], [], []
        self.threads = [threading.Thread(target=self.run, args=(at / count,)) for at in range(count)]

    def run(self, wait_s):
        as_if_elsewhere()
        while not self.over.wait(wait_s):
            wait_s, begin = 2, time.monotonic()
            try:
                with urllib.request.urlopen(self.url, timeout=20) as answer:
                    text = answer.read()
                self.took.append(time.monotonic() - begin)
                self.seen.append((json.loads(text)["at_ms"], len(text)))
            except OSError as error:
                self.wrong.append(error)

    def __enter__(self):
        self.started = time.monotonic()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
        self.lasted_s = time.monotonic() - self.started


@release_only
def case_twenty_browsers():
    """However many ask, at most one answer a second is made, and the devices' datagrams come through. The times of
    these are printed beside those of quiet seconds, in turn: alone on a machine and in full size they say something."""
    rounds, seconds = (15, 10) if FULL else (1, 5)
    rate = {"rate": 5_000, "batch": 4} if FULL else {"rate": 1_000}
    with awake(), Scene() as scene:
        lb, load = standing(scene, **rate)
        quiet, watched, octets, took, made = [], [], 0, [], 0
        for _ in range(rounds):
            quiet.append(p99(load, seconds))
            with Browsers(lb, 20) as browsers:
                watched.append(p99(load, 2 * seconds))
            assert not browsers.wrong, browsers.wrong
            times = {at for at, _ in browsers.seen}
            # The one that was there when they came, and one for each second that began.
            assert len(times) <= browsers.lasted_s + 2, (len(times), browsers.lasted_s)
            assert len(browsers.seen) >= 20
            octets = max(size for _, size in browsers.seen)
            took, made = took + browsers.took, made + len(times)
        load.stop(60)
        counters = load.counters()
        median_ms = 1000 * statistics.median(took)
        print(f"    {len(took)} asked, {made} made, {octets >> 10} KiB at most, median {median_ms:.1f} ms")
        report(quiet, watched)
        assert not load.wrong() and counters["sent"] == counters["returned"], counters
        assert octets < 300 * 1000, "a server costs some hundred octets"
        lb.assert_identities()


main(globals())
