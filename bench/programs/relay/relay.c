#include "bench/programs/relay/relay.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/event_struct.h>

#include "bench/lib/clock.h"
#include "bench/lib/dice.h"
#include "bench/lib/random.h"
#include "bench/lib/udp.h"
#include "common/siphash.h"

enum { BURST = 64 /* datagrams read before other events get their turn */ };

/* One client. It stays known while its mapping is forgotten, for the port it must not get again. */
struct mapping {
	struct relay *relay;
	struct addr client;
	int fd;        /* -1: forgotten */
	uint16_t port; /* of the upstream socket, or of the last one */
	uint64_t made_ms, uplink_ms;
	struct event readable, expiry; /* assigned and pending only while fd >= 0 */
	LIST_ENTRY(mapping) in_bucket;
	TAILQ_ENTRY(mapping) in_list; /* relay->live or relay->forgotten */
};

LIST_HEAD(bucket, mapping);
TAILQ_HEAD(mappings, mapping);

struct relay {
	struct relay_settings settings;
	struct relay_counters counters;
	struct event_base *base;
	int fd;
	struct event *readable;
	struct dice dice;
	struct siphash_key key;
	struct bucket *buckets; /* settings.max of them */
	size_t known;
	struct mappings live, forgotten; /* forgotten: the longest one first */
	uint8_t data[UDP_MAX_OCTETS];
};

static void mapping_forget(struct mapping *m)
{
	event_del(&m->readable);
	event_del(&m->expiry);
	close(m->fd);
	m->fd = -1;
	TAILQ_REMOVE(&m->relay->live, m, in_list);
	TAILQ_INSERT_TAIL(&m->relay->forgotten, m, in_list);
}

/* UINT64_MAX: never. */
static uint64_t mapping_expiry_ms(const struct mapping *m)
{
	const struct relay_settings *s = &m->relay->settings;
	uint64_t at_ms = UINT64_MAX;
	if (s->timeout_ms)
		at_ms = m->uplink_ms + s->timeout_ms;
	if (s->rebind_ms && m->made_ms + s->rebind_ms < at_ms)
		at_ms = m->made_ms + s->rebind_ms;
	return at_ms;
}

/* The timer is not moved for every datagram. When it ends, it looks how much time is left. */
static void mapping_on_expiry(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	struct mapping *m = ctx;
	uint64_t now_ms = clock_ms(), expiry_ms = mapping_expiry_ms(m);
	if (expiry_ms <= now_ms) {
		mapping_forget(m);
		return;
	}
	struct timeval left = clock_left(expiry_ms, now_ms);
	event_add(&m->expiry, &left);
}

/* The fate of one datagram. */
static void relay_pass(struct relay *relay, int fd, const struct addr *to, size_t len)
{
	if (udp_send(fd, to, relay->data, len))
		relay->counters.refused++;
	else
		relay->counters.forwarded++;
}

static void mapping_on_readable(evutil_socket_t fd, short what, void *ctx)
{
	(void)what;
	struct mapping *m = ctx;
	struct relay *relay = m->relay;
	for (int i = 0; i < BURST; i++) {
		ssize_t len = udp_receive(fd, relay->data, sizeof relay->data, NULL);
		if (len < 0)
			return;
		relay->counters.down++;
		if (dice_chance(&relay->dice, relay->settings.loss))
			relay->counters.lost++;
		else
			relay_pass(relay, relay->fd, &m->client, (size_t)len);
	}
}

static int mapping_open(struct mapping *m, uint64_t now_ms)
{
	struct relay *relay = m->relay;
	bool again = m->port != 0;
	int fd = udp_connect(&relay->settings.target, NULL, m->port, &m->port);
	if (fd < 0)
		return fd;
	m->fd = fd;
	m->made_ms = m->uplink_ms = now_ms;
	event_assign(&m->readable, relay->base, fd, EV_READ | EV_PERSIST, mapping_on_readable, m);
	event_assign(&m->expiry, relay->base, -1, 0, mapping_on_expiry, m);
	uint64_t expiry_ms = mapping_expiry_ms(m);
	struct timeval left = clock_left(expiry_ms, now_ms);
	if (event_add(&m->readable, NULL) || (expiry_ms != UINT64_MAX && event_add(&m->expiry, &left))) {
		event_del(&m->readable);
		close(fd);
		m->fd = -1;
		return -ENOMEM;
	}
	TAILQ_REMOVE(&relay->forgotten, m, in_list);
	TAILQ_INSERT_TAIL(&relay->live, m, in_list);
	relay->counters.mappings++;
	relay->counters.rebinds += again;
	return 0;
}

/* Makes a client that was not seen before, as a forgotten mapping. Returns NULL if every place is taken by a live one.
 */
static struct mapping *relay_admit(struct relay *relay, struct bucket *bucket, const struct addr *client)
{
	struct mapping *m;
	if (relay->known < relay->settings.max) {
		m = malloc(sizeof *m);
		if (!m)
			return NULL;
		relay->known++;
	} else {
		m = TAILQ_FIRST(&relay->forgotten);
		if (!m)
			return NULL;
		LIST_REMOVE(m, in_bucket);
		TAILQ_REMOVE(&relay->forgotten, m, in_list);
	}
	*m = (struct mapping){ .relay = relay, .client = *client, .fd = -1 };
	LIST_INSERT_HEAD(bucket, m, in_bucket);
	TAILQ_INSERT_TAIL(&relay->forgotten, m, in_list);
	return m;
}

/* Returns the client's live mapping, or NULL if none can be had. */
static struct mapping *relay_mapping(struct relay *relay, const struct addr *client, uint64_t now_ms)
{
	struct bucket *bucket = &relay->buckets[siphash_addr(&relay->key, client, true) % relay->settings.max];
	struct mapping *m;
	LIST_FOREACH(m, bucket, in_bucket)
	{
		if (addr_equal(&m->client, client))
			break;
	}
	if (!m)
		m = relay_admit(relay, bucket, client);
	if (m && m->fd < 0 && mapping_open(m, now_ms))
		return NULL;
	return m;
}

static void relay_on_readable(evutil_socket_t fd, short what, void *ctx)
{
	(void)what;
	struct relay *relay = ctx;
	uint64_t now_ms = clock_ms();
	for (int i = 0; i < BURST; i++) {
		struct addr client;
		ssize_t len = udp_receive(fd, relay->data, sizeof relay->data, &client);
		if (len < 0)
			return;
		relay->counters.up++;
		if (dice_chance(&relay->dice, relay->settings.loss)) {
			relay->counters.lost++;
			continue;
		}
		struct mapping *m = relay_mapping(relay, &client, now_ms);
		if (!m) {
			relay->counters.refused++;
			continue;
		}
		m->uplink_ms = now_ms;
		relay_pass(relay, m->fd, NULL, (size_t)len);
	}
}

void relay_forget_all(struct relay *relay)
{
	while (!TAILQ_EMPTY(&relay->live))
		mapping_forget(TAILQ_FIRST(&relay->live));
}

const struct relay_counters *relay_counters(const struct relay *relay)
{
	return &relay->counters;
}

int relay_new(struct relay **out, struct event_base *base, const struct relay_settings *settings)
{
	struct relay *relay = calloc(1, sizeof *relay);
	if (!relay)
		return -ENOMEM;
	relay->settings = *settings;
	relay->base = base;
	relay->dice.state = settings->seed;
	TAILQ_INIT(&relay->live);
	TAILQ_INIT(&relay->forgotten);
	int err = -ENOMEM;
	uint8_t key[16];
	relay->fd = udp_listen(&settings->listen);
	if (relay->fd < 0) {
		err = relay->fd;
		goto fail;
	}
	relay->buckets = calloc(settings->max, sizeof *relay->buckets);
	relay->readable = event_new(base, relay->fd, EV_READ | EV_PERSIST, relay_on_readable, relay);
	if (!relay->buckets || !relay->readable || event_add(relay->readable, NULL))
		goto fail;
	err = random_octets(NULL, key, sizeof key);
	if (err)
		goto fail;
	relay->key = siphash_key_load(key);
	*out = relay;
	return 0;
fail:
	relay_free(relay);
	return err;
}

void relay_free(struct relay *relay)
{
	if (!relay)
		return;
	relay_forget_all(relay);
	while (!TAILQ_EMPTY(&relay->forgotten)) {
		struct mapping *m = TAILQ_FIRST(&relay->forgotten);
		TAILQ_REMOVE(&relay->forgotten, m, in_list);
		free(m);
	}
	if (relay->readable)
		event_free(relay->readable);
	if (relay->fd >= 0)
		close(relay->fd);
	free(relay->buckets);
	free(relay);
}
