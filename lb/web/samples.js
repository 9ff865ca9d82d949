/* What was answered lately: sums, and how fast they grow. */
import { GROUPS, VERDICTS, groupOf } from "/words.js";

const RECENT_MS = 10000; /* what rates are taken over */
const SHOWN_MS = 300000; /* what the pictures show */

let recent = [];         /* answers of the last RECENT_MS, the oldest first */
export let history = []; /* { at, groups, received, begun } a second, one for each answer of the last SHOWN_MS */

/* The last answer; undefined: there is none. */
export function newest() {
	return recent.at(-1);
}

/* The first that rates are taken from. */
export function oldest() {
	return recent[0];
}

/* Sums over pools: what is missing counts as nothing. */
export function total(status, read) {
	return status.pools.reduce((sum, pool) => sum + (read(pool) || 0), 0);
}

export function verdicts(status) {
	return new Map(VERDICTS.map(([name]) => [name, total(status, (pool) => pool.verdicts[name])]));
}

export function groups(status) {
	const sums = Object.fromEntries(GROUPS.map((group) => [group, 0]));

	for (const [name, count] of verdicts(status))
		sums[groupOf(name)] += count;
	return sums;
}

export const received = (status) => Object.values(groups(status)).reduce((sum, count) => sum + count, 0);
export const begun = (status) => total(status, (pool) => pool.handshakes);

/* How much more a second, from one answer to a later one. null: that cannot be told. */
export function perSecond(read, from = recent[0], to = recent.at(-1)) {
	if (!from)
		return null;
	const seconds = (to.at_ms - from.at_ms) / 1000, before = read(from), after = read(to);

	return seconds > 0 && before !== undefined && after >= before ? (after - before) / seconds : null;
}

/* What cidlb itself has noted of the last minutes, by the order of GROUPS, and last the sessions that began. */
function noted(moments) {
	return moments.slice(1).map((moment, i) => {
		const seconds = (moment[0] - moments[i][0]) / 1000;
		const rates = moment.slice(1).map((count, k) => Math.max(0, count - moments[i][k + 1]) / seconds);

		return {
			at: moment[0],
			groups: Object.fromEntries(GROUPS.map((group, k) => [group, rates[k]])),
			received: rates.slice(0, GROUPS.length).reduce((sum, rate) => sum + rate, 0),
			begun: rates[GROUPS.length],
		};
	}).filter((one) => Number.isFinite(one.received));
}

export function take(status) {
	const last = recent.at(-1);

	if (last && last.at_ms === status.at_ms)
		return;
	/* Counters begin anew with each cidlb. */
	const anew = last && (last.started_s !== status.started_s || status.at_ms < last.at_ms);
	if (!last || status.at_ms - last.at_ms > RECENT_MS)
		history = noted(status.history);
	else if (!anew)
		history.push({
			at: status.at_ms,
			groups: Object.fromEntries(GROUPS.map((group) =>
				[group, perSecond((one) => groups(one)[group], last, status) || 0])),
			received: perSecond(received, last, status) || 0,
			begun: perSecond(begun, last, status) || 0,
		});
	if (anew)
		recent = [];
	recent.push(status);
	recent = recent.filter((one) => one.at_ms >= status.at_ms - RECENT_MS);
	history = history.filter((one) => one.at >= status.at_ms - SHOWN_MS);
}
