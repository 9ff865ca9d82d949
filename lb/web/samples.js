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
	const seconds = (to.at_ms - from.at_ms) / 1000, before = read(from), after = read(to);

	return seconds > 0 && before !== undefined && after >= before ? (after - before) / seconds : null;
}

export function take(status) {
	const last = recent.at(-1);

	if (last && last.at_ms === status.at_ms)
		return;
	/* Counters begin anew with each cidlb. */
	if (last && (last.started_s !== status.started_s || status.at_ms < last.at_ms))
		recent = [];
	else if (last)
		history.push({
			at: status.at_ms,
			groups: Object.fromEntries(GROUPS.map((group) =>
				[group, perSecond((one) => groups(one)[group], last, status) || 0])),
			received: perSecond(received, last, status) || 0,
			begun: perSecond(begun, last, status) || 0,
		});
	recent.push(status);
	recent = recent.filter((one) => one.at_ms >= status.at_ms - RECENT_MS);
	history = history.filter((one) => one.at >= status.at_ms - SHOWN_MS);
}
