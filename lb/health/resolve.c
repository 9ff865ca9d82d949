#include "health/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/dns.h>

#include "base/clock.h"
#include "health/nameservers.h"

enum { MAX_REASON = 64, HOST_ROOM = 256 };

struct entry {
	struct resolve *resolve;
	struct event *timer;            /* asks */
	struct evdns_request *question; /* the one under way, or NULL */
	struct evdns_base *dns;         /* of that question; NULL once it is cancelled */
	bool waits;                     /* for its turn, because RESOLVE_AT_ONCE others are asked for */
	uint64_t asked_ms, due_ms;
	uint32_t again_ms; /* after the next question without a good answer */
	bool forgotten;    /* its owner is the question, or the report, that has not ended yet */
	bool v6;
	char host[]; /* as given */
};

struct resolve {
	struct event_base *base;
	struct nameservers *nameservers;
	resolve_report report;
	void *ctx;
	struct entry *reporting;
	struct entry **entries; /* sorted */
	size_t count;
	size_t asking, waiting; /* entries */
	size_t turn;            /* index of the entry that was the last to have waited */
};

static void entry_ask_in(struct entry *entry, uint64_t delay_ms)
{
	const struct timeval delay = { (time_t)(delay_ms / 1000), (suseconds_t)(delay_ms % 1000 * 1000) };

	entry->due_ms = clock_ms() + delay_ms;
	evtimer_add(entry->timer, &delay);
}

/* Has the next entry that waits ask its question. */
static void waiting_take(struct resolve *resolve)
{
	for (size_t i = 0; resolve->waiting > 0 && i < resolve->count; i++) {
		struct entry *entry;

		resolve->turn = (resolve->turn + 1) % resolve->count;
		entry = resolve->entries[resolve->turn];
		if (!entry->waits)
			continue;
		entry->waits = false;
		resolve->waiting--;
		entry_ask_in(entry, 0);
		return;
	}
}

/* The question is answered or cancelled. In both cases on_answer() is called for it, and the next entry has its turn.
 */
static void entry_hang_up(struct entry *entry)
{
	if (!entry->dns)
		return;
	evdns_base_free(entry->dns, 0);
	entry->dns = NULL;
	entry->resolve->asking--;
}

static void entry_cancel(struct entry *entry)
{
	if (!entry->dns)
		return;
	evdns_cancel_request(entry->dns, entry->question);
	entry_hang_up(entry);
}

/* If there are other nameservers or another search list, asks them what is under way. */
static void renew(struct resolve *resolve)
{
	if (!nameservers_renew(resolve->nameservers))
		return;
	for (size_t i = 0; i < resolve->count; i++)
		entry_cancel(resolve->entries[i]);
}

static void entry_free(struct entry *entry)
{
	if (entry->timer)
		event_free(entry->timer);
	free(entry);
}

static void entry_forget(struct entry *entry)
{
	struct resolve *resolve = entry->resolve;

	resolve->waiting -= entry->waits;
	entry->waits = false;
	if (!entry->question && entry != resolve->reporting) {
		entry_free(entry);
		return;
	}
	entry->forgotten = true;
	event_del(entry->timer);
	entry_cancel(entry);
}

static void entry_report(struct entry *entry, const struct resolve_answer *answer)
{
	const struct resolve_name name = { entry->host, entry->v6 };
	struct resolve *resolve = entry->resolve;

	if (answer->good) {
		entry->again_ms = RESOLVE_AGAIN_MS;
		entry_ask_in(entry, answer->ttl_s * UINT64_C(1000));
	} else {
		entry_ask_in(entry, entry->again_ms);
		entry->again_ms =
			entry->again_ms < RESOLVE_TTL_MIN_S * 500 ? entry->again_ms * 2 : RESOLVE_TTL_MIN_S * 1000;
	}
	resolve->reporting = entry;
	resolve->report(resolve->ctx, &name, answer);
	resolve->reporting = NULL;
	if (entry->forgotten)
		entry_free(entry);
}

/* evdns treats SERVFAIL as silence, but does not wait then: `took_ms` tells them apart. */
static const char *reason_of(int result, bool v6, uint64_t took_ms)
{
	switch (result) {
	case DNS_ERR_NOTEXIST:
		return "no such name";
	case DNS_ERR_NODATA:
		return v6 ? "the name has no IPv6 address" : "the name has no IPv4 address";
	case DNS_ERR_TRUNCATED:
		return "the answer is truncated";
	case DNS_ERR_TIMEOUT:
		return took_ms < NAMESERVERS_TIMEOUT_MS ? "the DNS failed (SERVFAIL)" : "no answer from the DNS";
	case DNS_ERR_REFUSED:
	case DNS_ERR_NOTIMPL:
		return "the DNS refuses to answer";
	default:
		return "an answer that makes no sense";
	}
}

static uint32_t clamp_ttl(int ttl_s)
{
	return ttl_s < RESOLVE_TTL_MIN_S   ? RESOLVE_TTL_MIN_S
	       : ttl_s > RESOLVE_TTL_MAX_S ? RESOLVE_TTL_MAX_S
					   : (uint32_t)ttl_s;
}

/* Addresses that no backend can have: names are pointed there to block them, or an IPv4 address is in an AAAA record.
 */
static bool is_unfit(const struct addr *addr, bool v6)
{
	return !addr_is_unicast(addr) || addr_is_v4(addr) == v6;
}

/* An answer may give one address several times. */
static bool is_one(const uint8_t *addresses, int count, size_t octets)
{
	return count > 0 && memcmp(addresses, addresses + octets, (size_t)(count - 1) * octets) == 0;
}

static void on_answer(int result, char type, int count, int ttl_s, void *addresses, void *ctx)
{
	struct entry *entry = ctx;
	struct resolve_answer answer = { .ttl_s = clamp_ttl(ttl_s) };
	struct addr addr = { .ip = { [10] = entry->v6 ? 0 : 0xff, [11] = entry->v6 ? 0 : 0xff } };
	const size_t octets = entry->v6 ? 16 : 4;
	char reason[MAX_REASON], text[ADDR_TEXT_OCTETS];

	(void)type;
	entry->question = NULL;
	entry_hang_up(entry);
	waiting_take(entry->resolve);
	if (entry->forgotten) {
		entry_free(entry);
		return;
	}
	if (result == DNS_ERR_CANCEL) {
		entry_ask_in(entry, 0);
		return;
	}
	if (result == DNS_ERR_NONE && is_one(addresses, count, octets)) {
		memcpy(addr.ip + sizeof addr.ip - octets, addresses, octets);
		memcpy(answer.ip, addr.ip, sizeof answer.ip);
		answer.good = !is_unfit(&addr, entry->v6);
		snprintf(reason, sizeof reason, "%s is no address of a backend", addr_format(&addr, text));
	} else if (result == DNS_ERR_NONE) {
		snprintf(reason, sizeof reason, "%d addresses, where a backend is one", count);
	} else {
		if (result == DNS_ERR_TIMEOUT)
			nameservers_turn(entry->resolve->nameservers);
		snprintf(reason, sizeof reason, "%s", reason_of(result, entry->v6, clock_ms() - entry->asked_ms));
	}
	answer.reason = answer.good ? NULL : reason;
	if (!answer.good)
		renew(entry->resolve);
	entry_report(entry, &answer);
}

static void on_timer(int fd, short events, void *ctx)
{
	struct entry *entry = ctx;
	struct resolve *resolve = entry->resolve;
	char host[HOST_ROOM];
	int flags = 0;

	(void)fd;
	(void)events;
	if (resolve->asking >= RESOLVE_AT_ONCE) {
		entry->waits = true;
		resolve->waiting++;
		return;
	}
	snprintf(host, sizeof host, "%s", entry->host);
	if (*host && host[strlen(host) - 1] == '.') {
		host[strlen(host) - 1] = '\0';
		flags = DNS_QUERY_NO_SEARCH;
	}
	entry->asked_ms = clock_ms();
	entry->dns = nameservers_ask(resolve->nameservers);
	if (entry->dns) {
		resolve->asking++;
		entry->question = entry->v6 ? evdns_base_resolve_ipv6(entry->dns, host, flags, on_answer, entry)
					    : evdns_base_resolve_ipv4(entry->dns, host, flags, on_answer, entry);
	}
	if (entry->question)
		return;
	entry_hang_up(entry);
	waiting_take(resolve);
	entry_report(entry, &(struct resolve_answer){ .reason = "the question cannot be asked" });
}

static int compare_names(const char *a, bool a_v6, const char *b, bool b_v6)
{
	const int order = strcasecmp(a, b);

	return order ? order : (int)a_v6 - (int)b_v6;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *const *left = a, *const *right = b;

	return compare_names((*left)->host, (*left)->v6, (*right)->host, (*right)->v6);
}

static int compare_name_with_entry(const void *a, const void *b)
{
	const struct resolve_name *name = a;
	const struct entry *const *entry = b;

	return compare_names(name->host, name->v6, (*entry)->host, (*entry)->v6);
}

static struct entry *find(const struct resolve *resolve, const struct resolve_name *name)
{
	struct entry **found = resolve->count ? bsearch(name, resolve->entries, resolve->count,
							sizeof *resolve->entries, compare_name_with_entry)
					      : NULL;

	return found ? *found : NULL;
}

static struct entry *entry_new(struct resolve *resolve, const struct resolve_name *name)
{
	const size_t len = strlen(name->host);
	struct entry *entry = calloc(1, sizeof *entry + len + 1);

	if (!entry)
		return NULL;
	entry->resolve = resolve;
	entry->again_ms = RESOLVE_AGAIN_MS;
	entry->v6 = name->v6;
	memcpy(entry->host, name->host, len);
	entry->timer = evtimer_new(resolve->base, on_timer, entry);
	if (entry->timer)
		return entry;
	free(entry);
	return NULL;
}

static void entries_free(struct entry **entries, size_t count)
{
	for (size_t i = 0; entries && i < count; i++)
		entry_free(entries[i]);
	free(entries);
}

/* Sorted, each name once. NULL: out of memory. */
static struct entry **entries_new(struct resolve *resolve, const struct resolve_name *names, size_t *count)
{
	struct entry **entries = calloc(*count + 1, sizeof *entries);
	size_t kept = 0;

	for (size_t i = 0; entries && i < *count; i++) {
		entries[i] = entry_new(resolve, &names[i]);
		if (!entries[i]) {
			entries_free(entries, i);
			return NULL;
		}
	}
	if (!entries)
		return NULL;
	qsort(entries, *count, sizeof *entries, compare_entries);
	for (size_t i = 0; i < *count; i++) {
		if (kept > 0 && compare_entries(&entries[kept - 1], &entries[i]) == 0)
			entry_free(entries[i]);
		else
			entries[kept++] = entries[i];
	}
	*count = kept;
	return entries;
}

int resolve_set_names(struct resolve *resolve, const struct resolve_name *names, size_t count)
{
	struct entry **entries = entries_new(resolve, names, &count);
	size_t old = 0;

	if (!entries)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		while (old < resolve->count && compare_entries(&resolve->entries[old], &entries[i]) < 0)
			entry_forget(resolve->entries[old++]);
		if (old < resolve->count && compare_entries(&resolve->entries[old], &entries[i]) == 0) {
			entry_free(entries[i]);
			entries[i] = resolve->entries[old++];
		} else {
			entry_ask_in(entries[i], 0);
		}
	}
	while (old < resolve->count)
		entry_forget(resolve->entries[old++]);
	free(resolve->entries);
	resolve->entries = entries;
	resolve->count = count;
	renew(resolve);
	return 0;
}

void resolve_now(struct resolve *resolve, const struct resolve_name *name)
{
	struct entry *entry = resolve ? find(resolve, name) : NULL;
	const uint64_t now = clock_ms();
	uint64_t due;

	if (!entry || entry->question || entry->waits)
		return;
	due = entry->asked_ms + RESOLVE_AGAIN_MS;
	if (due < now)
		due = now;
	if (due < entry->due_ms)
		entry_ask_in(entry, due - now);
}

int resolve_new_from(struct resolve **out, struct event_base *base, const char *file, resolve_report report, void *ctx)
{
	struct resolve *resolve = calloc(1, sizeof *resolve);
	int err;

	if (!resolve)
		return -ENOMEM;
	*resolve = (struct resolve){ .base = base, .report = report, .ctx = ctx };
	err = nameservers_open(&resolve->nameservers, base, file);
	if (err) {
		free(resolve);
		return err;
	}
	*out = resolve;
	return 0;
}

int resolve_new(struct resolve **out, struct event_base *base, resolve_report report, void *ctx)
{
	return resolve_new_from(out, base, "/etc/resolv.conf", report, ctx);
}

void resolve_free(struct resolve *resolve)
{
	if (!resolve)
		return;
	resolve->waiting = 0;
	for (size_t i = 0; i < resolve->count; i++)
		entry_hang_up(resolve->entries[i]);
	nameservers_free(resolve->nameservers);
	entries_free(resolve->entries, resolve->count);
	free(resolve);
}
