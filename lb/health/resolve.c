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
};

/* If there are other nameservers or another search list, asks them what is under way. */
static void renew(struct resolve *resolve)
{
	struct evdns_base *old = nameservers_renew(resolve->nameservers);

	for (size_t i = 0; old && i < resolve->count; i++)
		if (resolve->entries[i]->question)
			evdns_cancel_request(old, resolve->entries[i]->question);
	if (old)
		evdns_base_free(old, 0);
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

	if (!entry->question && entry != resolve->reporting) {
		entry_free(entry);
		return;
	}
	entry->forgotten = true;
	event_del(entry->timer);
	if (entry->question)
		evdns_cancel_request(nameservers_dns(resolve->nameservers), entry->question);
}

static void entry_ask_in(struct entry *entry, uint64_t delay_ms)
{
	const struct timeval delay = { (time_t)(delay_ms / 1000), (suseconds_t)(delay_ms % 1000 * 1000) };

	entry->due_ms = clock_ms() + delay_ms;
	evtimer_add(entry->timer, &delay);
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

static void on_answer(int result, char type, int count, int ttl_s, void *addresses, void *ctx)
{
	struct entry *entry = ctx;
	struct resolve_answer answer = { .ttl_s = clamp_ttl(ttl_s) };
	struct addr addr = { .ip = { [10] = entry->v6 ? 0 : 0xff, [11] = entry->v6 ? 0 : 0xff } };
	char reason[MAX_REASON], text[ADDR_TEXT_OCTETS];

	(void)type;
	entry->question = NULL;
	if (entry->forgotten) {
		entry_free(entry);
		return;
	}
	if (result == DNS_ERR_CANCEL) {
		entry_ask_in(entry, 0);
		return;
	}
	if (result == DNS_ERR_NONE && count == 1) {
		memcpy(addr.ip + (entry->v6 ? 0 : 12), addresses, entry->v6 ? 16 : 4);
		memcpy(answer.ip, addr.ip, sizeof answer.ip);
		answer.good = !is_unfit(&addr, entry->v6);
		snprintf(reason, sizeof reason, "%s is no address of a backend", addr_format(&addr, text));
	} else if (result == DNS_ERR_NONE) {
		snprintf(reason, sizeof reason, "%d addresses, where a backend is one", count);
	} else {
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
	struct evdns_base *dns = nameservers_dns(entry->resolve->nameservers);
	char host[HOST_ROOM];
	int flags = 0;

	(void)fd;
	(void)events;
	snprintf(host, sizeof host, "%s", entry->host);
	if (*host && host[strlen(host) - 1] == '.') {
		host[strlen(host) - 1] = '\0';
		flags = DNS_QUERY_NO_SEARCH;
	}
	entry->asked_ms = clock_ms();
	entry->question = entry->v6 ? evdns_base_resolve_ipv6(dns, host, flags, on_answer, entry)
				    : evdns_base_resolve_ipv4(dns, host, flags, on_answer, entry);
	if (!entry->question)
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

	if (!entry || entry->question)
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
	nameservers_free(resolve->nameservers);
	entries_free(resolve->entries, resolve->count);
	free(resolve);
}
