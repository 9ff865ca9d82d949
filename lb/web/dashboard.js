/* Asks for /status.json and shows it. All that comes from there is put in as text, never as markup. */
import {
	begun, groups, history, newest, oldest, perSecond, received, take, total, verdicts,
} from "/samples.js";
import { GROUPS, VERDICTS, drainWords, eventWords, fastWords, moment, number, percent, plural, rate, span } from "/words.js";

/* How often it asks; how soon again at first, so that there are rates; and how long it waits. */
const EVERY_MS = 2000, SOON_MS = 1100, LIMIT_MS = 10000;
const PHONE = matchMedia("(max-width: 50rem)");

/* Servers on a page. */
const rowsShown = () => (PHONE.matches ? 10 : 25);

const byId = (id) => document.getElementById(id);

let page = 0, onlyIll = false, answered = 0, lastEvent = "";

function setText(node, text) {
	if (node.textContent !== text)
		node.textContent = text;
}

function setClass(node, name) {
	if (node.className !== name)
		node.className = name;
}

function make(tag, className, text) {
	const node = document.createElement(tag);

	if (className)
		node.className = className;
	if (text !== undefined)
		node.textContent = text;
	return node;
}

/* Exactly so many children. */
function resize(parent, count, makeChild) {
	while (parent.children.length > count)
		parent.lastElementChild.remove();
	while (parent.children.length < count)
		parent.append(makeChild());
}

/* Pictures: 300 wide, now on the right. They begin with the last minute, and grow with what is known. */
const shownMs = () => Math.max(60000, history.length ? newest().at_ms - history[0].at : 0);
const across = (at) => Math.max(0, 300 - (300 * (newest().at_ms - at)) / shownMs()).toFixed(1);

function drawLine(path, key) {
	const top = Math.max(1, ...history.map((one) => one[key]));
	const points = history.map((one) => `${across(one.at)},${(38 - (36 * one[key]) / top).toFixed(1)}`);

	path.setAttribute("d", points.length > 1 ? `M${points.join("L")}` : "");
}

/* A round number at or above. */
function roundUp(value) {
	const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));

	return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

function drawStream() {
	const top = roundUp(Math.max(...history.map((one) => one.received), 1));
	const below = history.map(() => 0);

	for (const group of GROUPS) {
		const lower = history.map((one, i) => `${across(one.at)},${(100 - (100 * below[i]) / top).toFixed(1)}`);

		history.forEach((one, i) => { below[i] += one.groups[group]; });
		const upper = history.map((one, i) => `${across(one.at)},${(100 - (100 * below[i]) / top).toFixed(1)}`);
		const outline = [...upper, ...lower.reverse()].join("L");

		byId("stream").querySelector(`.${group}`).setAttribute("d", history.length > 1 ? `M${outline}Z` : "");
	}
	setText(byId("stream-top"), `${number(top)} a second`);
	setText(byId("stream-begin"), `${span(shownMs() / 1000)} ago`);
	const now = history.at(-1);
	setText(byId("stream-text"), now
		? `Datagrams a second by what became of them: ${rate(now.groups["by-cid"])} by CID, ` +
			`${rate(now.groups["no-cid"])} without, ${rate(now.groups.held)} held back, ${rate(now.groups.drop)} dropped`
		: "Datagrams a second by what became of them: not known yet");
}

function showVerdicts(status) {
	const counts = verdicts(status);
	const shown = VERDICTS.filter(([name]) => counts.get(name) || name === "cid");
	const body = byId("verdicts");

	resize(body, shown.length + 1, () => {
		const row = make("tr"), head = make("th");

		head.scope = "row";
		head.append(make("i"), make("span"));
		row.append(head, make("td", "num"), make("td", "num"));
		return row;
	});
	shown.forEach(([name, group, words], i) => {
		const [head, now, all] = body.children[i].children;

		setClass(body.children[i], "");
		body.children[i].dataset.verdict = name;
		setClass(head.firstElementChild, group);
		setText(head.lastElementChild, words);
		setText(now, rate(perSecond((one) => verdicts(one).get(name))));
		setText(all, number(counts.get(name)));
	});
	const sum = body.lastElementChild, [head, now, all] = sum.children;
	setClass(sum, "sum");
	sum.dataset.verdict = "all";
	setClass(head.firstElementChild, "");
	setText(head.lastElementChild, "received");
	setText(now, rate(perSecond(received)));
	setText(all, number(received(status)));
}

/* What a server is, how much it wants a look (0: not at all), and why. */
function judge(server, status) {
	const why = [], admin = server.state || "ready";
	let word = "up", kind = "good", look = 0;

	if (admin !== "ready" || server.unprobed) {
		word = admin === "drain" ? "drains" : admin === "maint" ? "maint" : "not probed yet";
		kind = admin === "drain" ? "warn" : "idle";
		look = 1;
	}
	if (server.down) {
		word = `down ${span(server.down_s || 0)}${admin === "ready" ? "" : `, ${word}`}`;
		kind = "bad";
		look = admin === "maint" ? 1 : 3;
		why.push(server.reason);
	}
	if (server.drain)
		why.push(drainWords(server, status));
	why.push(server.name_reason);
	if (server.cid === false)
		why.push(`its CIDs: ${server.cid_reason}`);
	if (server.silent)
		why.push(`${plural(server.silent, "session")} fell silent right after the handshake`);
	if (server.unanswered || server.rebinding === false || server.cid === false || server.name_reason || server.silent)
		look = Math.max(look, 2);
	if (look > 1 && kind === "good")
		kind = "warn";
	return { word, kind, look, why: why.filter(Boolean).join(" · ") };
}

/* Every server with its pool and what it is, those first that want a look most. */
function everyServer(status) {
	const all = status.pools.flatMap((pool) => pool.backends.map((server) =>
		({ pool, server, ...judge(server, status) })));

	return all.map((one, i) => [one, i]).sort(([a, i], [b, j]) => b.look - a.look || i - j).map(([one]) => one);
}

/* Of its pool's sessions, or where nobody knows them, of its datagrams to servers. */
function shareOf({ pool, server }) {
	const of = pool.sessions === undefined ? "sent_up" : "flows";
	const all = pool.backends.reduce((sum, one) => sum + (one[of] || 0), 0);

	return all > 0 ? (server[of] || 0) / all : 0;
}

function counterOf(pool, server, key) {
	return (status) => status.pools.find((one) => one.name === pool.name)
		?.backends.find((one) => one.name === server.name)?.[key] || 0;
}

const LABELS = ["", "State", "Sessions", "Weight", "To it", "From it", "Way back", "Rebinding", "Last CID"];

function makeRow() {
	const row = make("tr");

	row.setAttribute("role", "row");
	LABELS.forEach((label, i) => {
		const cell = make(i ? "td" : "th");

		cell.setAttribute("role", i ? "cell" : "rowheader");
		cell.dataset.label = label;
		row.append(cell);
	});
	const [name, state, share] = row.children;
	name.scope = "row";
	name.append(make("span", "pool"), make("span"));
	state.append(make("b"), make("span", "why"));
	share.className = "shares-of";
	share.append(make("div", "share"));
	share.firstElementChild.append(make("span"), make("div"));
	share.querySelector(".share div").append(make("i"));
	return row;
}

function wayBack(server) {
	if (server.unanswered)
		return ["bad", `no answer to ${plural(server.unanswered, "new session")}`];
	return server.sent_down ? ["", "answers"] : ["unknown", "nothing yet"];
}

function rebinding(server) {
	if (server.rebinding === undefined)
		return ["unknown", "not tried"];
	return server.rebinding ? ["", "yes"] : ["bad", `no: ${server.rebinding_reason || "no reason known"}`];
}

function fillRow(row, one, status, several) {
	const { pool, server } = one, share = shareOf(one);
	const [name, state, shareCell, weight, up, down, back, moves, last] = row.children;

	row.dataset.server = `${pool.name}/${server.name}`;
	setText(name.firstElementChild, several ? `${pool.name}/` : "");
	setText(name.lastElementChild, server.name);
	setClass(state, `state ${one.kind}`);
	setText(state.firstElementChild, one.word);
	setText(state.lastElementChild, one.why);
	setText(shareCell.querySelector("span"), pool.sessions === undefined ? `${percent(share)} of datagrams`
		: `${number(server.flows || 0)} · ${percent(share)}`);
	shareCell.querySelector("i").style.width = `${100 * share}%`;
	setClass(weight, "num");
	setText(weight, number(server.weight));
	[[up, "sent_up"], [down, "sent_down"]].forEach(([cell, key]) => {
		setClass(cell, "num");
		setText(cell, rate(perSecond(counterOf(pool, server, key))));
		cell.dataset.total = server[key] || 0;
	});
	[[back, wayBack(server)], [moves, rebinding(server)]].forEach(([cell, [kind, text]]) => {
		setClass(cell, kind);
		setText(cell, text);
	});
	setClass(last, server.cid_at_s ? "num" : "num unknown");
	setText(last, server.cid_at_s ? `${span(status.at_ms / 1000 - server.cid_at_s)} ago` : "none seen");
}

function showServers(status) {
	const all = everyServer(status), find = byId("find").value.trim().toLowerCase();
	const ill = all.filter((one) => one.look > 0);
	const chosen = (onlyIll ? ill : all).filter(({ pool, server }) =>
		`${pool.name}/${server.name}`.toLowerCase().includes(find));
	const size = rowsShown(), pages = Math.max(1, Math.ceil(chosen.length / size));

	page = Math.min(page, pages - 1);
	const shown = chosen.slice(page * size, (page + 1) * size);
	resize(byId("rows"), shown.length, makeRow);
	shown.forEach((one, i) => fillRow(byId("rows").children[i], one, status, status.pools.length > 1));
	setText(byId("ill-count"), number(ill.length));
	byId("pager").hidden = pages === 1;
	setText(byId("page-text"),
		`${number(page * size + 1)}–${number(page * size + shown.length)} of ${number(chosen.length)}`);
	byId("back").disabled = page === 0;
	byId("next").disabled = page === pages - 1;
	byId("none").hidden = chosen.length > 0;
	setText(byId("none"), find ? "No server is called so." : "None needs a look.");
	showStates(all);
}

function showStates(all) {
	const counts = { good: 0, warn: 0, idle: 0, bad: 0 };

	for (const { server } of all)
		counts[server.down ? "bad" : server.state === "drain" ? "warn" : server.state || server.unprobed ? "idle"
			: "good"]++;
	for (const [kind, count] of Object.entries(counts)) {
		const bar = byId("states").querySelector(`.${kind}`);

		bar.style.flexGrow = count;
		bar.hidden = count === 0;
	}
	const words = [[counts.bad, "down"], [counts.warn, counts.warn === 1 ? "drains" : "drain"],
		[counts.idle, "in maint, or not probed yet"]];
	setText(byId("states-text"), words.filter(([count]) => count).map(([count, word]) => `${number(count)} ${word}`)
		.join(" · ") || "all are up");
	setText(byId("servers"), number(all.length));
	setClass(byId("servers-tile"), counts.bad ? "tile bad" : "tile");
}

function showTiles(status) {
	const known = status.pools.some((pool) => pool.sessions !== undefined);
	const groupRate = (group) => perSecond((one) => groups(one)[group]);
	const held = groupRate("held"), accepting = total(status, (pool) => pool.accepting);

	setText(byId("sessions"), known ? number(total(status, (pool) => pool.sessions)) : "not known");
	setText(byId("rescued"), number(total(status, (pool) => pool.rescued)));
	setText(byId("accepting"), number(accepting));
	setText(byId("begun-rate"), rate(perSecond(begun)));
	setText(byId("held-text"), status.pools.some((pool) => pool.hello_rate)
		? `${rate(held)} a second held back by hello_rate, ${number(groups(status).held)} in all`
		: "hello_rate is not set: nothing is held back");
	setClass(byId("new-tile"), held > 0 ? "tile warn" : "tile");
	setText(byId("received-rate"), rate(perSecond(received)));
	setText(byId("dropped-rate"), rate(groupRate("drop")));
	setText(byId("kernel"), status.kernel_drops ? `, ${number(status.kernel_drops)} in all by the kernel` : "");
	byId("fast").hidden = !status.fast;
	if (status.fast)
		setText(byId("fast"), fastWords(status.fast, oldest().fast));
	drawLine(byId("spark-new"), "begun");
	drawLine(byId("spark-all"), "received");
}

function showEvents(status) {
	const events = status.events.slice().reverse(), list = byId("events");
	const key = (event) => (event ? JSON.stringify(event) : "");

	if (events.length && key(events[0]) === lastEvent)
		return;
	/* Who listens is told what is new, if it is not too much. */
	const fresh = lastEvent ? events.slice(0, Math.max(0, events.findIndex((event) => key(event) === lastEvent))) : [];
	setText(byId("news"), fresh.slice(0, 3).map((event) => eventWords(event).title).join("; "));
	lastEvent = key(events[0]);
	list.replaceChildren(...events.map((event) => {
		const item = make("li", ["warning", "error"].includes(event.level) ? event.level : "info");
		const time = make("time", "", moment(Date.parse(event.time))), { title, why } = eventWords(event);

		time.dateTime = event.time;
		item.append(time);
		if (item.className !== "info")
			item.append(make("span", "unseen", `${event.level}: `));
		item.append(make("b", "", title), make("span", "why", why));
		return item;
	}));
}

function showAlarms(lines) {
	const list = byId("alarms");

	resize(list, lines.length, () => make("li"));
	lines.forEach((line, i) => setText(list.children[i], line));
	list.hidden = lines.length === 0;
}

function alarms(status) {
	const lines = status.pools.filter((pool) => pool.accepting === 0)
		.map((pool) => `No server of pool ${pool.name} takes new sessions. Those that have a session keep it.`);

	for (const { name, mode, reason } of status.fast?.interfaces || [])
		if (mode === "none")
			lines.push(`The fast path is not on ${name}: ${reason}. Sockets do it all there.`);
	if (status.reload_refused)
		lines.push("The last reload was refused: the configuration before it runs on.");
	return lines;
}

function showHead(status) {
	const [kind, word] = status.ready ? ["good", "ready"] : status.left ? ["warn", "told to leave"] : ["bad", "not ready"];
	const down = status.pools.flatMap((pool) => pool.backends).filter((server) => server.down).length;

	setText(byId("node"), status.node);
	setText(byId("version"), `version ${status.version}`);
	setText(byId("uptime"), span(status.at_ms / 1000 - status.started_s));
	setText(byId("fingerprint"), status.fingerprint);
	setText(byId("as-of"), moment(status.at_ms));
	byId("as-of").dateTime = new Date(status.at_ms).toISOString();
	setClass(byId("chip"), `chip ${kind}`);
	setText(byId("chip"), word);
	byId("chip").title = status.unready || "";
	document.title = `${down ? `${number(down)} down · ` : ""}${status.node} · cidlb`;
}

function show(status) {
	showHead(status);
	showAlarms(alarms(status));
	showTiles(status);
	drawStream();
	showVerdicts(status);
	showServers(status);
	showEvents(status);
}

function showSilence() {
	setClass(byId("main"), "stale");
	setClass(byId("chip"), "chip bad");
	setText(byId("chip"), "no answer");
	showAlarms([answered ? `cidlb has not answered since ${moment(answered)}. The page shows what was then, and asks on.`
		: "cidlb does not answer. The page asks on."]);
	document.title = "no answer · cidlb";
}

async function ask() {
	try {
		const answer = await fetch("/status.json", { cache: "no-store", signal: AbortSignal.timeout(LIMIT_MS) });

		if (!answer.ok)
			throw new Error(answer.statusText);
		take(await answer.json());
	} catch {
		showSilence();
		return;
	}
	answered = Date.now();
	setClass(byId("main"), "");
	show(newest());
}

/* Nobody is asked for a page that nobody sees. */
async function go() {
	if (!document.hidden)
		await ask();
	setTimeout(go, perSecond(received) === null ? SOON_MS : EVERY_MS);
}

function turn(by) {
	page += by;
	if (newest())
		showServers(newest());
}

byId("find").addEventListener("input", () => { page = 0; turn(0); });
byId("ill").addEventListener("click", () => {
	onlyIll = !onlyIll;
	byId("ill").setAttribute("aria-pressed", String(onlyIll));
	page = 0;
	turn(0);
});
byId("back").addEventListener("click", () => turn(-1));
byId("next").addEventListener("click", () => turn(1));
PHONE.addEventListener("change", () => turn(0));
document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
go();
