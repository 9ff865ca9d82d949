/* What is probed, and what a probe found. */
#ifndef CIDLB_HEALTH_TARGET_H
#define CIDLB_HEALTH_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/endpoint.h"
#include "common/proxy2.h"
#include "conf/conf.h"
#include "io/io.h"

/* How datagrams of probes go to the own ports of backends in mode tunnel: behind the same header as those of devices.
 * Each probe is a device with the address of `local` and a port that nobody binds. */
struct health_tunnel {
	struct proxy2_keys keys; /* count 0: there is no tunnel */
	struct addr local;       /* what they leave from, and are answered to */
	struct addr service;     /* whom they say to address */
};

/* How datagrams of probes go to servers of mode dsr that listen at the service address alone: as those of devices do,
 * in the encapsulation. Answers come straight from the service address. */
struct health_encap {
	struct addr service; /* whom they address; port 0: there is no such way */
	int bare;            /* what sends them (bare.h): a loan */
	struct io_link
		link;     /* of the server, in frames; iface 0: there are none, so packets go to the target's address */
	uint8_t from[16]; /* the address of this host that they come from; all 0: there is no way to it now */
	uint32_t iface;   /* which answers come in on; 0: any */
};

struct health_target {
	uint16_t uid; /* of the backend */
	struct addr addr;
	struct conf_health how; /* its texts are copied */
	/* Of mode nat; without prefixes: there are none. Probes leave from an address of them, so that an answer proves
	 * the way back. They never take one of the ports, which are for sessions. */
	struct endpoint_space sources;
	struct health_tunnel tunnel;
	struct health_encap encap;
	struct cid_layout layout; /* what a CID of this backend is held against: `coaps` */
	bool has_id;
	struct server_id id;
};

/* Whether a probe of one goes on undisturbed as that of the other. What answers are held against may differ. So may the
 * keys of the tunnel, and what of the encapsulation changes with routes and neighbours. */
bool target_is_same(const struct health_target *a, const struct health_target *b);

/* What `coaps` learns besides life. */
enum health_finding { FINDING_UNKNOWN, FINDING_GOOD, FINDING_BAD };

enum { HEALTH_REASON_OCTETS = 128 };

struct health_findings {
	enum health_finding rebinding;               /* a session goes on from a new address without a handshake */
	enum health_finding cid;                     /* fits the layout, and carries the backend's id */
	char rebinding_reason[HEALTH_REASON_OCTETS]; /* FINDING_BAD: "CID not negotiated", "answered to the old port",
						      * "needed a handshake"
						      */
	char cid_reason[HEALTH_REASON_OCTETS];       /* FINDING_BAD: "length 8, configured 6", "id 0, configured 2" */
	uint64_t sessions;                           /* begun so far */
	uint64_t sessions_lost;                      /* and lost: the backend had forgotten them, or closed them */
};

/* One finished probe. Valid during the report. */
struct health_result {
	bool ok;
	bool unasked; /* not ok, for want of descriptors, memory or the tunnel's port here: nothing is known of the
			 backend */
	const char *reason; /* what was seen, in plain words: "no answer for 1000 ms", "connection refused", "2.05
			       Content" */
	uint32_t took_us;
	bool tunnelled;                         /* it went through the tunnel */
	enum proxy2_version version;            /* in which it was answered; PROXY2_V1: also if it was not */
	const struct health_findings *findings; /* NULL: the probe has none */
	const uint8_t *words; /* an answer that may steer (steering.h), maybe empty; NULL: none, or it may not */
	size_t words_len;     /* octets */
};

#endif
