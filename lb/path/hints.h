/* What the modes without flows ask of the cache of handshakes (handshakes.h), and tell it. The first three are members
 * of struct forwarder. */
#ifndef CIDLB_PATH_HINTS_H
#define CIDLB_PATH_HINTS_H

#include "path/forward.h"

/* forwarder.recall: whose handshakes the datagrams without a CID are, which backends these are with, and which first
 * ClientHellos are repetitions. */
void hints_recall(struct path *path, struct batch *batch);

/* forwarder.hello_look and forwarder.hello_take. */
enum hello_step hints_hello_look(struct path *path, struct uplink *up);
void hints_hello_take(struct path *path, struct uplink *up);

/* A reply on its way to a device. */
struct hints_reply {
	const struct snapshot_pool *pool;
	uint16_t backend; /* uid */
	const struct addr *device;
	const uint8_t *data;
	size_t len;
	const struct table_pool *settings;
};

/* Counts the first answers to handshakes. If one asks the device for a cookie, remembers which. If it is a ServerHello
 * that gives out a CID, looks where that leads; in fragments it is not read. In a pool that learns CIDs or sessions
 * each reply is held against the handshakes under way. */
void hints_reply(struct path *path, const struct hints_reply *reply);

#endif
