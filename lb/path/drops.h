/* What was dropped last of each device's address, and why: for whoever asks why a meter is dark.
 *
 * A fixed size: an address has one slot, by a keyed hash of its IP address. The last datagram that is dropped has it,
 * so a flood from many addresses takes the slots of others.
 *
 * The worker writes; the control thread reads what may change meanwhile, and finds out if it has.
 */
#ifndef CIDLB_PATH_DROPS_H
#define CIDLB_PATH_DROPS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/stats.h"
#include "common/addr.h"
#include "common/siphash.h"
#include "common/verdict.h"

enum { DROPS_SLOTS = 1024 /* a power of two */ };

/* Why: a verdict, or what kept a routed datagram from leaving. */
struct drop_why {
	enum verdict verdict;
	bool refused; /* then `reason` counts */
	enum refused reason;
};

struct drop {
	struct addr from;
	struct drop_why why;
	uint16_t service; /* number of the service address (service_addrs.h) */
	uint32_t times;   /* in a row from this IP address; counted up to UINT32_MAX */
	uint32_t last_s;  /* seconds of the workers' clock */
};

/* All zero: nothing was dropped yet. */
struct drops {
	struct {
		_Atomic uint32_t changes; /* odd: it is being written */
		_Atomic uint32_t times, last_s;
		_Atomic uint32_t what; /* port, why */
		_Atomic uint32_t service;
		_Atomic uint64_t ip[2];
	} slots[DROPS_SLOTS];
};

/* The worker: one datagram from there was dropped. */
void drops_note(struct drops *drops, const struct siphash_key *key, const struct drop *drop);

/* Any thread: what was dropped of this IP address last. False: nothing that is known. */
bool drops_find(const struct drops *drops, const struct siphash_key *key, const uint8_t ip[static 16],
		struct drop *out);

#endif
