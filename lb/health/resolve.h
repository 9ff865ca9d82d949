/* The names of backends, asked of the DNS (libevent's evdns) again and again. Non-blocking, on the control thread.
 *
 * A backend is one address, so a name is taken when it has exactly one of the wanted family, however often. The last
 * good address stays while the DNS is silent, or while its answer is empty, truncated, an error or several addresses.
 * /etc/hosts is not read. Answers are not authenticated, beyond what nameservers.h says of ports and numbers.
 */
#ifndef CIDLB_HEALTH_RESOLVE_H
#define CIDLB_HEALTH_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "common/addr.h"

enum {
	RESOLVE_AT_ONCE = 64, /* questions under way; the others wait */
	RESOLVE_TTL_MIN_S = 5,
	RESOLVE_TTL_MAX_S = 300,
	RESOLVE_AGAIN_MS = 250, /* between questions that failed probes cause, and after one that got no answer,
				   doubling up to TTL_MIN */
};

struct resolve;

struct resolve_name {
	const char *host; /* copied; a trailing dot makes it absolute, else resolv.conf's search list holds */
	bool v6;          /* AAAA instead of A */
};

/* The answer to one question about a name. */
struct resolve_answer {
	bool good;
	uint8_t ip[16];     /* good: as in struct addr */
	uint32_t ttl_s;     /* good: when it is asked again, clamped */
	const char *reason; /* not good, in words: "no such name", "2 addresses, where a backend is one", "no answer
			       from the DNS" */
};

typedef void (*resolve_report)(void *ctx, const struct resolve_name *name, const struct resolve_answer *answer);

/* Reads /etc/resolv.conf. -ENOMEM; -EADDRNOTAVAIL: no nameserver can be asked, for want of descriptors for example. */
int resolve_new(struct resolve **out, struct event_base *base, resolve_report report, void *ctx);

/* Does the same with another file. In it a nameserver may have a port, as in 127.0.0.1:5353. */
int resolve_new_from(struct resolve **out, struct event_base *base, const char *file, resolve_report report, void *ctx);

/* Sets the names to know from now on. New ones are asked for at once, and known ones go on undisturbed. Others are
 * forgotten, and nothing more is reported of them. A name may come twice. Reads resolv.conf again if it has changed, as
 * a question without a good answer does. May be called from a report. -ENOMEM: nothing has changed. */
int resolve_set_names(struct resolve *resolve, const struct resolve_name *names, size_t count);

/* The backend behind the name failed a probe: asks at once, but at most every RESOLVE_AGAIN_MS. `resolve` may be NULL,
 * if nobody can be asked. */
void resolve_now(struct resolve *resolve, const struct resolve_name *name);

/* To be called when `base` will not run any more. */
void resolve_free(struct resolve *resolve);

#endif
