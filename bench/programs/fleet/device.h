/* One simulated device: a UDP socket behind a NAT that forgets, a DTLS session on it, and readings sent through that.
 *
 * A rebind closes the socket. What comes to it is lost. The next datagram of the device leaves from another port, and
 * from another address if the device has several. A handshake is over before a NAT forgets, so a device never moves in
 * the middle of one.
 *
 * Each device has dice of its own. So with one seed the same datagrams of it are lost, whoever answers them, as long as
 * that many are sent.
 */
#ifndef CIDLB_BENCH_FLEET_DEVICE_H
#define CIDLB_BENCH_FLEET_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "bench/lib/dice.h"
#include "bench/lib/udp.h"
#include "common/addr.h"
#include "common/session.h"

struct device;

enum device_news {
	DEVICE_JOINED, /* a handshake ended */
	DEVICE_MOVED,  /* its datagrams leave from another port, perhaps of another address */
};

struct device_settings {
	struct addr target;
	struct addr
		from; /* the first of the addresses that datagrams leave from; the wildcard: whatever the route says */
	uint64_t addresses;       /* so many, of which each move takes any; >= 1 */
	uint64_t rebinds;         /* at most; UINT64_MAX: as many as come */
	uint64_t rebind_every_ms; /* 0: never */
	uint64_t nat_timeout_ms;  /* without a datagram from the device; 0: never */
	uint64_t interval_ms;     /* between readings, on average */
	uint64_t message_octets;  /* of each reading; 0: as many as its JSON has */
	uint64_t round_trip_ms;   /* over the radio, on average; 0: no time */
	uint64_t ack_timeout_ms;
	uint64_t give_up; /* exchanges in a row without one verified record, after which a session is dead; >= 1 */
	double loss;      /* percent of the datagrams of each direction */
	bool plain;       /* CoAP without DTLS: there is no session to lose */
	bool observe;     /* /time */
	const char *path; /* readings are GETs of it; NULL: POSTs to /echo */
};

struct device_tally {
	uint64_t handshakes, extra_handshakes; /* completed; extra: not the device's first */
	uint64_t rebinds;
	uint64_t exchanges_ok, exchanges_lost;
	uint64_t notifications, observations_lost;
	uint64_t octets_up;   /* UDP payload that devices sent, lost or not: it has cost them */
	uint64_t octets_down; /* UDP payload that reached them */
	uint64_t datagrams_up, datagrams_down;
	uint64_t first_octets, first_datagrams; /* of both directions, until a device had its first session */
	uint64_t first_octets_up, first_datagrams_up;
	uint64_t recoveries;         /* answers that ended the time from a move until an exchange was answered */
	uint64_t recoveries_at_once; /* … whose request was the first datagram after the move, and was sent once */
	uint64_t recovering;         /* devices that moved and were not answered since */
	uint64_t refused;            /* datagrams that this host could not send */
	uint64_t first_alive;        /* devices whose first session is the one in use */
	uint64_t sessions;           /* devices with a session in use */
	uint64_t settled;            /* devices that have made all their rebinds */
	uint64_t done;               /* devices that have made their last exchange */
	uint64_t survived;           /* … on their first session, and it was answered */
};

/* What devices share. Owned by the fleet, outlives them. */
struct device_world {
	struct device_settings settings;
	struct device_tally tally;
	struct event_base *base;
	struct session_config *session_config; /* NULL: plain */
	struct dice dice;                      /* gives each device its own */
	void (*on_answer)(void *ctx, uint64_t latency_us);
	void (*on_recovery)(void *ctx, uint64_t latency_us); /* since the first datagram after a move */
	void (*on_news)(void *ctx, const struct device *device, enum device_news news, uint16_t old_port);
	void *ctx;
	uint8_t data[UDP_MAX_OCTETS];
};

/* A device that wakes up at start_ms. NULL: out of memory. */
struct device *device_new(struct device_world *world, unsigned number, uint64_t start_ms);
void device_free(struct device *device);

/* Makes the device begin a last exchange on its session, up to four times until one is answered. Then it is done. It
 * moves no more. */
void device_finish(struct device *device);

unsigned device_number(const struct device *device);
uint16_t device_port(const struct device *device);
unsigned device_sessions(const struct device *device);

/* The CID that its records carry. Returns its length. */
size_t device_cid(const struct device *device, uint8_t cid[static SESSION_CID_MAX]);

#endif
