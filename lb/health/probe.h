/* A backend under probe. health.c keeps the schedule. A kind of probe knows how to ask, and what an answer is. Control
 * thread. */
#ifndef CIDLB_HEALTH_PROBE_H
#define CIDLB_HEALTH_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "health/probe_sockets.h"
#include "health/target.h"

struct encap;
struct health;
struct probe_kind;

/* How a question goes: to the backend's own address, maybe through a tunnel, or to the service address. */
enum probe_way { PROBE_OWN, PROBE_ENCAP };

/* The struct of each kind begins with this. */
struct probe {
	const struct probe_kind *kind;
	struct health *health;
	struct event_base *base;
	struct health_target spec;  /* its texts belong to the probe */
	struct addr to;             /* where to ask: the backend's address, at how.port if that is set */
	bool asking;                /* between begin() and probe_finish() */
	uint64_t began_us;          /* the last time it asked */
	struct encap *encap;        /* of all probes */
	enum probe_way way;         /* its ports are on this one */
	bool heard;                 /* something came since it asked */
	struct probe_tunnel tunnel; /* probe_port.c's own */
	uint32_t ports;             /* probe_socket()'s own: a number that grows with each port; any at first */

	/* health.c's own */
	struct event *timer; /* while asking: what probe_wake_in() set; else the next question */
	/* Refusals in a row, counted up to `fall`. The backend is down then, and asking again soon finds nothing
	 * new. */
	uint8_t refusals;
	bool waits;     /* while asking: it could not yet, so it will begin soon */
	bool started;   /* its first question is due or was asked */
	bool kept;      /* health_set_targets() has found it among the new targets */
	bool reporting; /* a report of it is under way, so it cannot be closed */
	bool gone;      /* it was to be closed meanwhile; that follows the report */

	/* way.c's own */
	enum probe_way next; /* if `turns` */
	uint8_t unheard;     /* reports in a row of silence through the encapsulation, counted up to `fall` */
	bool settled;        /* something has come on this way, so there is no need to try the other */
	bool turns;          /* it has to begin anew before it asks, on the way `next` */
	char own_reason[64]; /* why its own address did not do */
};

struct probe_kind {
	size_t octets;                      /* of its struct; all of it but `struct probe` is zero at first */
	bool once;                          /* it asks once, and never again */
	int (*open)(struct probe *probe);   /* 0 or -errno; close() follows in any case */
	void (*begin)(struct probe *probe); /* asks, and wants to be woken up in time to give up */
	void (*wake)(struct probe *probe);  /* what probe_wake_in() asked for; only while asking */
	void (*close)(struct probe *probe); /* leaves the memory */

	/* Only for kinds that have ports. `received`: a datagram came to a port. `failed`: while asking, a system call
	 * failed or an ICMP error came, with the -errno `err`. */
	void (*received)(struct probe *probe, struct probe_port *port, const uint8_t *data, size_t len);
	void (*failed)(struct probe *probe, int err);
};

/* Each has a file of its name, and a row in health.c. */
extern const struct probe_kind probe_dtls, probe_coap, probe_coaps, probe_http, probe_none;

/* Sets the only wake-up: a later call replaces an earlier one. */
void probe_wake_in(struct probe *probe, uint64_t us);

/* Ends what begin() began; took_us is filled in. The caller returns to the event loop at once and touches nothing: the
 * probe may be gone. */
void probe_finish(struct probe *probe, const struct health_result *result);

/* The same for a system call that failed with `err`, an -errno. Where the host said that nobody listens, the next
 * question need not wait. */
void probe_fail(struct probe *probe, int err);

/* Whether its ports are ports inside a tunnel. */
static inline bool probe_is_tunnelled(const struct probe *probe)
{
	return probe->spec.tunnel.keys.count > 0 && probe->to.port == probe->spec.addr.port;
}

/* Something came to one of its ports. */
static inline void probe_hear(struct probe *probe)
{
	probe->heard = true;
}

/* For "no answer%s": says where the answer was awaited, if that is not plain. */
const char *probe_way(const struct probe *probe);

/* What is left of timeout_ms. */
uint64_t probe_left_us(const struct probe *probe);

/* An unconnected, non-blocking socket of the family of probe->to, or -errno. In mode nat it is bound: to any address of
 * the sources, and a new port. */
int probe_socket(struct probe *probe, int type);

/* To probe->to. Returns 0 or -errno. */
int probe_connect(const struct probe *probe, int fd);

#endif
