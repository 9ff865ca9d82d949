/* Tables are published on one thread while the program forwards on another. A backend's port and the tunnel's own
 * change together from table to table, and they stand in different places of it. So a datagram with one of each was
 * forwarded by half a table. */
#include "tests/oracle/fast/race.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <linux/bpf.h>

#include "tests/oracle/fast/make.h"

enum { MOVED = 512 /* how far the ports move */, PATIENCE_S = 120, UDP_AT = 14 + 20 };

struct race {
	struct bed *bed;
	bool publishes; /* else it writes over what is read */
	atomic_bool over;
	atomic_ulong tables;
	int err;
};

static void move(struct bed *bed, bool there)
{
	struct snapshot_backend *backend = &bed->table->snapshot->pools[POOL_NODE_ID].backends[CAST_UP];

	backend->addr.port = (uint16_t)(bed_backend_addr(POOL_NODE_ID, CAST_UP).port + (there ? MOVED : 0));
	bed->table->pools[POOL_NODE_ID].tunnel_local.port =
		(uint16_t)(TUNNEL_PORT + POOL_NODE_ID + (there ? MOVED : 0));
}

static void *publish(void *ctx)
{
	struct race *race = ctx;

	for (bool there = true; !race->err && !atomic_load(&race->over); there = !there) {
		move(race->bed, there);
		race->err = race->publishes ? bed_publish(race->bed) : bed_overwrite(race->bed);
		atomic_fetch_add(&race->tables, 1);
	}
	return NULL;
}

static bool is_torn(const uint8_t *frame)
{
	const unsigned from = (unsigned)frame[UDP_AT] << 8 | frame[UDP_AT + 1];
	const unsigned to = (unsigned)frame[UDP_AT + 2] << 8 | frame[UDP_AT + 3];

	return from - (TUNNEL_PORT + POOL_NODE_ID) != to - bed_backend_addr(POOL_NODE_ID, CAST_UP).port;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A datagram that is always forwarded: the first session is of CAST_UP. */
static void make_datagram(struct bed *bed, struct frame *frame)
{
	static uint8_t payload[64] = { DTLS_TLS12_CID, 0xfe, 0xfd, 0, 1 };
	struct datagram datagram = { .payload = payload, .len = sizeof payload, .hops = 60 };

	if (addr_parse(&datagram.source, "20.1.2.3:40000") != 0)
		return;
	datagram.to = bed_service(bed, POOL_NODE_ID, false);
	memcpy(payload + DTLS_CID_AT, bed->sessions[POOL_NODE_ID][0].cid, 8);
	payload[DTLS_CID_AT + 9] = (uint8_t)(sizeof payload - DTLS_HEADER_OCTETS - 8);
	memcpy(datagram.to_mac, bed_mac, sizeof bed_mac);
	frame_make(frame, &datagram);
}

int race_run(struct bed *bed, unsigned seconds, bool publishes)
{
	struct race race = { .bed = bed, .publishes = publishes };
	unsigned long sent = 0, passed = 0, torn = 0;
	static struct outcome out;
	static struct frame frame;
	pthread_t thread;
	const double until_s = now_s() + seconds;

	make_datagram(bed, &frame);
	bed_leave(bed);
	if (pthread_create(&thread, NULL, publish, &race) != 0)
		return -1;
	/* On a busy machine longer, until there was a change at all. */
	while (now_s() < until_s || (atomic_load(&race.tables) < 2 && now_s() < until_s + (double)PATIENCE_S)) {
		bed_run(bed, frame.octets, frame.len, &out);
		sent += out.action == XDP_TX;
		passed += out.action != XDP_TX;
		torn += out.action == XDP_TX && is_torn(out.frame);
	}
	atomic_store(&race.over, true);
	pthread_join(thread, NULL);
	printf("%lu tables, %s: %lu sent, %lu passed up, %lu by half a table\n", atomic_load(&race.tables),
	       publishes ? "each after a grace period" : "each written over the one before", sent, passed, torn);
	if (race.err)
		printf("no grace period to be had: %s\n", strerror(-race.err));
	return race.err || !sent || atomic_load(&race.tables) < 2 || passed || torn ? -1 : 0;
}
