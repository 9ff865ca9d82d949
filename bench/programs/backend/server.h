/* The reference server: one socket, any number of peers, one thread. */
#ifndef CIDLB_BENCH_BACKEND_SERVER_H
#define CIDLB_BENCH_BACKEND_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <event2/event.h>

#include "bench/programs/backend/report.h"
#include "bench/programs/backend/responder.h"
#include "bench/programs/backend/table.h"
#include "bench/programs/backend/tunnel.h"
#include "common/addr.h"
#include "common/lbcid.h"
#include "common/session.h"

/* About 40 KiB each. The peer that was silent longest makes room for another one. */
enum { SERVER_MAX_PEERS = 20000 };

struct server_options {
	struct addr listen;
	uint32_t id;
	struct lbcid_config cid; /* length 0: no CID; its key is the caller's, for the life of the server */
	bool plain;
	uint32_t notify_ms;
	const char *steer; /* file of further steering words, of the caller's for the life of the server; NULL: none */
	char psk_identity[128]; /* not of a plain server */
	uint8_t psk_key[SESSION_PSK_MAX];
	size_t psk_key_len;        /* octets */
	const char *certificates;  /* PEM, of the caller's, in place of a PSK; NULL: none */
	struct proxy2_keys tunnel; /* none: not through a tunnel */
};

TAILQ_HEAD(peers, peer);

struct server {
	int fd;
	bool plain;
	struct event_base *base;
	struct event *readable;
	uint32_t id;
	struct lbcid_config cid;       /* what is handed out; length 0: nothing */
	struct session_config *config; /* NULL: plain */
	struct service service;
	struct report report;
	struct table table;
	struct peers by_use; /* least recent first */
	size_t peer_count;
	struct peer *listening; /* answers new addresses until a cookie verifies; NULL: to be made */
	uint64_t now_ms;
	struct tunnel tunnel;  /* no keys: not through a tunnel */
	struct tunnel_way way; /* of the datagram that came last */
	struct tunnel_way any; /* for peers that have none; of a probe only if nothing else is known */
	bool any_is_of_probe;
};

/* Returns 0 or -errno: the socket cannot be bound, or there is no memory. */
int server_new(struct server **out, struct event_base *base, const struct server_options *options);
void server_free(struct server *server);

#endif
