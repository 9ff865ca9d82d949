/* Between device.c, which says what happens to a device, and device_timer.c, which says when. */
#ifndef CIDLB_BENCH_FLEET_DEVICE_PRIV_H
#define CIDLB_BENCH_FLEET_DEVICE_PRIV_H

#include <event2/event_struct.h>

#include "bench/programs/fleet/delay.h"
#include "bench/programs/fleet/device.h"
#include "bench/programs/fleet/exchange.h"
#include "bench/programs/fleet/link.h"

#define NEVER UINT64_MAX

enum phase {
	PHASE_RUN,
	PHASE_LAST, /* it makes its last exchange */
	PHASE_DONE,
};

struct device {
	struct device_world *world;
	unsigned number;
	enum phase phase;

	struct link link;
	struct event timer;
	struct dice dice;      /* of losses and jitter; moves have their own, and change no loss */
	struct dice radio;     /* of the time that it takes */
	struct delay up, down; /* between NAT and server; empty without round_trip_ms */
	uint64_t rebinds;
	uint64_t rebind_ms; /* no NAT remembers it for longer */

	struct session *session;
	bool established; /* plain: always, once started */
	unsigned sessions;
	unsigned silent; /* exchanges in a row without one verified record */
	bool heard;      /* a verified record came since the exchange began */

	struct exchange exchange;
	struct observation observation;
	uint16_t message_id;
	uint32_t readings;
	uint64_t begun_us; /* the exchange under way */
	uint64_t moved_us; /* the first datagram after a move that no answer has followed yet; 0: none */
	unsigned last_tries;

	uint64_t connect_ms, reading_ms;
};

/* Sends a message on the session, or as it is in plain CoAP. */
void device_write(struct device *d, const uint8_t *message, size_t len);

/* What has been on its way for long enough. */
void device_pass_delayed(struct device *d, uint64_t now_ms);

/* Begins a session. */
void device_connect(struct device *d, uint64_t now_ms);

/* Sees to what a call of the session module has made of the session. */
void device_follow(struct device *d, enum session_state state, uint64_t now_ms);

/* Begins an exchange: a reading, or an observation. */
void device_begin(struct device *d, uint64_t now_ms);

enum device_outcome { DEVICE_ANSWERED, DEVICE_UNANSWERED };

/* Sees to the end of an exchange. It is called from within the session's callbacks too, so what follows is left to the
 * timer. */
void device_conclude(struct device *d, enum device_outcome outcome);

/* Sets the timer to the first thing that is due. */
void device_arm(struct device *d);

/* The timer's callback. `ctx`: the device. */
void device_on_timer(evutil_socket_t fd, short what, void *ctx);

#endif
