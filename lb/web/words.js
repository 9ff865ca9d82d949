/* What the page says: numbers, spans of time, verdicts and events in words. */

const grouped = new Intl.NumberFormat("en");

export function number(value) {
	return grouped.format(value);
}

/* Of something a second. */
export function rate(value) {
	if (value === null)
		return "…";
	if (value > 0 && value < 0.1)
		return "< 0.1";
	return value < 10 ? String(Math.round(value * 10) / 10) : number(Math.round(value));
}

/* Of a part of the whole. */
export function percent(part) {
	const value = 100 * part;

	return `${value > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} %`;
}

export function span(seconds) {
	const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
	const [length, name] = units.find(([unit]) => seconds >= 2 * unit) || units[3];

	return `${Math.floor(Math.max(0, seconds) / length)} ${name}`;
}

/* A moment, with its day where that is not today. */
export function moment(ms) {
	const at = new Date(ms), time = at.toLocaleTimeString("en-GB");

	if (at.toDateString() === new Date().toDateString())
		return time;
	return `${at.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time}`;
}

export function plural(count, word) {
	return `${number(count)} ${word}${count === 1 ? "" : "s"}`;
}

/* Every verdict, in the four groups of the picture, in this order. */
export const GROUPS = ["by-cid", "no-cid", "held", "drop"];
export const VERDICTS = [
	["cid", "by-cid", "to the server of its CID"],
	["cid_draining", "by-cid", "the same, and it drains"],
	["cid_down", "by-cid", "the same, and it is down"],
	["hash", "no-cid", "no CID: by its source"],
	["hint", "no-cid", "no CID: to the server it had"],
	["cid_hashed", "no-cid", "by the hash of its CID"],
	["limited", "held", "held back by hello_rate"],
	["malformed", "drop", "not DTLS: cut short, or another version"],
	["type", "drop", "not DTLS: another first octet"],
	["epoch0_data", "drop", "data without protection"],
	["bad_source", "drop", "nobody to answer there"],
	["mixed", "drop", "plaintext beside a CID"],
	["unknown_cid", "drop", "no server has the CID"],
	["maint", "drop", "its server is in maint"],
	["no_backend", "drop", "no server takes new sessions"],
];

export function groupOf(verdict) {
	const found = VERDICTS.find(([name]) => name === verdict);

	return found ? found[1] : "drop";
}

/* What it took of `what`, lately if there was any. */
function fastPart(fast, before, what) {
	const of = `of_${what}`, from = before && before[of] < fast[of] ? before : { [what]: 0, [of]: 0 };

	return fast[of] > 0 ? percent((fast[what] - from[what]) / (fast[of] - from[of])) : "none yet";
}

/* What the fast path takes off the sockets. `before`: the same, some seconds ago; undefined: not known. */
export function fastWords(fast, before) {
	if (!fast.interfaces.some((one) => one.mode !== "none"))
		return "the fast path is on no interface";
	return `the fast path takes ${fastPart(fast, before, "datagrams")} of them, and of replies ` +
		`${fastPart(fast, before, "replies")}${fast.rests ? `; now it rests: ${fast.rests}` : ""}`;
}

/* When the devices of a server that drains will have spoken. */
function forecastWords(forecast, madeAt) {
	const parts = [];

	if (forecast.half_s)
		parts.push(`half of them speak every ${span(forecast.half_s)} or sooner; by ` +
			`${moment((madeAt + forecast.by_s) * 1000)} each has spoken or is later than ever`);
	if (forecast.late)
		parts.push(`${number(forecast.late)} later than ever now`);
	if (forecast.new)
		parts.push(`of ${number(forecast.new)} no interval is known`);
	return parts.join("; ");
}

export function drainWords(server, status) {
	const drain = server.drain;
	const parts = [];

	if (drain.may_stop)
		return "it may be stopped: nobody is left";
	parts.push(server.flows ? `${plural(server.flows, "session")} left` : "no session known");
	if (drain.not_before_s)
		parts.push(`may be stopped at ${moment(drain.not_before_s * 1000)} at the earliest`);
	if (drain.forecast)
		parts.push(forecastWords(drain.forecast, status.forecasts_s));
	return parts.filter(Boolean).join("; ");
}

/* An event: what happened, and more about it. */
const TITLES = {
	backend_up: "up", backend_down: "down", backend_added: "added", backend_removed: "removed",
	backend_address: "has another address", drained: "may be stopped",
	unanswered: "new sessions get no answer", foreign_cid: "gives out CIDs of others",
	silent_sessions: "sessions fall silent", id_moved: "took over a server id", id_contested: "server id contested",
	started: "cidlb started", stopped: "cidlb stopped", reloaded: "configuration taken on",
	reload_refused: "reload refused", left: "this node was told to leave", joined: "this node takes part again",
	no_backend: "no server takes new sessions", hello_limited: "hello_rate holds new sessions back",
	unknown_cid: "CIDs that no server has",
};

export function eventWords(event) {
	const { time, level, event: name, pool, backend, ...more } = event;
	let title = TITLES[name] || String(name).replace(/^backend_/, "").replaceAll("_", " ");
	const over = more.phase === "over" || more.phase === "ends";

	if (name === "backend_state" || name === "backend_weight") {
		const key = name.slice("backend_".length);

		title = key === "state" ? String(more.state) : `weight ${more.weight}`;
		delete more[key];
	}
	if (over)
		title = `over: ${title}`;
	delete more.phase;
	const who = backend ? `${pool}/${backend}` : pool;
	const why = Object.entries(more).map(([key, value]) =>
		key === "reason" || key === "changes" ? String(value) : `${key.replaceAll("_", " ")} ${value}`);

	return { title: who ? `${who}: ${title}` : title, why: why.join(", ") };
}
