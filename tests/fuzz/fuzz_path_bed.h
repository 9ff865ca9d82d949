/* The whole packet path for a fuzz target: two pools in mode nat, their flows, and a struct io that notes what leaves.
 * Nothing is left of one input when the next begins. */
#ifndef CIDLB_TESTS_FUZZ_PATH_BED_H
#define CIDLB_TESTS_FUZZ_PATH_BED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "io/io.h"
#include "path/path.h"

enum { BED_DTLS, BED_UDP, BED_POOLS };
enum { BED_BACKENDS = 3, BED_CID_OCTETS = 8, BED_LISTENERS = 3, BED_MAX_CIDS = LEARNED_MIN_CIDS };
/* Listener 0 and 1 are the DTLS pool's; 1 is on the wildcard address and has services 1 and 2. Listener 2 is the UDP
 * pool's. */
enum { BED_SERVICES = 4 };

struct bed_backend {
	bool absent;
	enum backend_health health;
	enum backend_admin admin;
	uint16_t uid;
	struct addr addr;
};

struct bed {
	/* What the next reload puts in force. */
	enum conf_rebind rebind;
	enum conf_contest contest;
	enum conf_endpoint endpoint;
	bool learns; /* the DTLS pool; else its CIDs bear ids */
	struct learned learned;
	uint32_t max_flows, unproven_rate, hello_rate;
	struct bed_backend backends[BED_POOLS][BED_BACKENDS];

	uint64_t now_ms;
	unsigned refusals; /* of the next sends */
	/* Called for every send. `service`: downlinks. False: it was refused. */
	void (*up)(struct bed *bed, const struct io_send *send, const struct addr *endpoint, bool sent);
	void (*down)(struct bed *bed, const struct io_send *send, int service, bool sent);
	uint16_t pool_uids[BED_POOLS], listener_uids[BED_LISTENERS];
	struct publisher publisher;
	struct path *path;
};

struct addr bed_service(int service);
int bed_pool(int service);
/* Server id of a backend of the DTLS pool. */
uint8_t bed_server_id(int backend);
/* The backend that has this address; -1: none. */
int bed_backend_at(const struct bed *bed, int pool, const struct addr *addr);

/* Begins with no flow and no CID, and ends so. A restart keeps CIDs, as they are in a file. */
void bed_begin(struct bed *bed);
void bed_end(struct bed *bed);
void bed_restart(struct bed *bed);
void bed_reload(struct bed *bed);
void bed_sweep(struct bed *bed);

/* The datagrams are of one listener, or came to endpoints with this port. */
void bed_uplink(struct bed *bed, int service, struct io_datagram *datagrams, size_t count);
void bed_reply(struct bed *bed, uint16_t port, struct io_datagram *datagrams, size_t count);

#endif
