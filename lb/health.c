#include "health.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/util.h>

#include "coap.h"
#include "net.h"
#include "probe_hello.h"

enum {
	REPEAT_MS = 20,   /* between a refused probe and its repetition */
	SUSPECT_MS = 100, /* between probes that the packet path asks for */
	SPREAD_MS = 100,  /* over which the first probes of many targets spread */
	ANSWER_OCTETS = 4096,
	REASON_OCTETS = 128,
};

enum phase { PHASE_PAUSE, PHASE_ANSWER };

/* One backend under probe. Its socket keeps its port for life: a server that makes a session per port makes one, not one per probe. */
struct target {
	struct health *health;
	struct health_target spec;
	int fd;
	bool connected;
	struct event *readable;
	struct event *timer; /* PHASE_PAUSE: the next probe; PHASE_ANSWER: giving up on this one */
	enum phase phase;
	uint64_t began_ms;   /* the last probe */
	uint8_t refusals;    /* in a row, up to `fall`: then it is down, and repeating finds nothing new */
	uint16_t message_id; /* of the last coap probe */
	size_t noise_octets; /* of the last thing received that was no answer to this probe; 0: nothing */
	bool started, kept;
};

struct health {
	struct event_base *base;
	health_report report;
	void *ctx;
	struct target **targets;
	size_t count;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void target_wake_in(struct target *target, uint64_t ms)
{
	struct timeval delay = { .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	evtimer_add(target->timer, &delay);
}

/* interval_ms ± 10 %, less what this probe has taken. */
static uint64_t pause_ms(const struct target *target)
{
	uint32_t random;
	uint64_t interval_ms = target->spec.how.interval_ms;
	uint64_t took_ms = now_ms() - target->began_ms;

	evutil_secure_rng_get_bytes(&random, sizeof random);
	interval_ms = interval_ms * 9 / 10 + random % (interval_ms / 5 + 1);
	return interval_ms > took_ms + REPEAT_MS ? interval_ms - took_ms : REPEAT_MS;
}

/* Ends a probe. The report comes last: it may take the target away. */
static void target_finish(struct target *target, bool ok, bool refused, const char *reason)
{
	bool repeat = refused && target->refusals + 1 < target->spec.how.fall;

	target->phase = PHASE_PAUSE;
	if (!refused)
		target->refusals = 0;
	else if (target->refusals < target->spec.how.fall)
		target->refusals++;
	target_wake_in(target, repeat ? REPEAT_MS : pause_ms(target));
	target->health->report(target->health->ctx, target->spec.uid, &(struct health_result){ .ok = ok, .reason = reason });
}

static void target_fail(struct target *target, int error)
{
	bool refused = error == ECONNREFUSED;

	target_finish(target, false, refused, refused ? "connection refused" : strerror(error));
}

/* Returns 0 or an errno. A first refusal may be the ICMP error of an earlier probe. */
static int target_send(struct target *target, const uint8_t *data, size_t len)
{
	if (send(target->fd, data, len, 0) == (ssize_t)len || send(target->fd, data, len, 0) == (ssize_t)len)
		return 0;
	return errno;
}

static int target_ask(struct target *target)
{
	uint8_t question[PROBE_HELLO_OCTETS], random[PROBE_HELLO_RANDOM_OCTETS];
	size_t len = sizeof question;

	if (target->spec.how.probe == PROBE_COAP) {
		struct coap_message ping = { .type = COAP_CON, .code = COAP_EMPTY };
		evutil_secure_rng_get_bytes(&target->message_id, sizeof target->message_id);
		ping.id = target->message_id;
		coap_encode(&ping, question, sizeof question, &len);
	} else {
		evutil_secure_rng_get_bytes(random, sizeof random);
		probe_hello_write(question, random);
	}
	return target_send(target, question, len);
}

static int target_connect(struct target *target)
{
	struct sockaddr_storage sa;
	socklen_t len = net_sockaddr(&sa, &target->spec.addr);

	if (!target->connected && connect(target->fd, (struct sockaddr *)&sa, len) != 0)
		return errno;
	target->connected = true;
	return 0;
}

static void target_probe(struct target *target)
{
	int error;

	if (target->spec.how.probe == PROBE_NONE) {
		target->health->report(target->health->ctx, target->spec.uid,
				       &(struct health_result){ .ok = true, .reason = "not probed" });
		return;
	}
	target->began_ms = now_ms();
	target->noise_octets = 0;
	error = target_connect(target);
	if (error == 0)
		error = target_ask(target);
	if (error != 0) {
		target_fail(target, error);
		return;
	}
	target->phase = PHASE_ANSWER;
	target_wake_in(target, target->spec.how.timeout_ms);
}

static void target_give_up(struct target *target)
{
	char reason[REASON_OCTETS];
	unsigned ms = target->spec.how.timeout_ms;

	if (target->noise_octets == 0)
		snprintf(reason, sizeof reason, "no answer for %u ms", ms);
	else
		snprintf(reason, sizeof reason, "no %s answer for %u ms, but %zu octets of something else",
			 target->spec.how.probe == PROBE_COAP ? "CoAP" : "DTLS", ms, target->noise_octets);
	target_finish(target, false, false, reason);
}

static void on_timer(evutil_socket_t fd, short events, void *ctx)
{
	struct target *target = ctx;

	(void)fd;
	(void)events;
	if (target->phase == PHASE_ANSWER)
		target_give_up(target);
	else
		target_probe(target);
}

/* What life it shows, in words, or NULL. */
static const char *target_read(struct target *target, const uint8_t *data, size_t len)
{
	struct coap_message message;

	if (target->spec.how.probe == PROBE_COAP) {
		if (coap_decode(&message, data, len) != 0 || message.code != COAP_EMPTY || message.id != target->message_id)
			return NULL;
		return message.type == COAP_RST ? "RST" : message.type == COAP_ACK ? "ACK" : NULL;
	}
	enum probe_answer answer = probe_hello_read(data, len);
	if (answer == PROBE_ANSWER_SERVER_HELLO) /* also when it comes late: or the server keeps a session, and sends it again */
		target_send(target, probe_hello_abort, sizeof probe_hello_abort);
	return answer != PROBE_ANSWER_NONE ? probe_answer_name(answer) : NULL;
}

/* One datagram, or one ICMP error, a call: the loop comes back while there are more. */
static void on_readable(evutil_socket_t fd, short events, void *ctx)
{
	struct target *target = ctx;
	uint8_t data[ANSWER_OCTETS];
	ssize_t n = recv(fd, data, sizeof data, MSG_DONTWAIT);
	int error = errno;
	const char *life;

	(void)events;
	if (n < 0) {
		if (target->phase == PHASE_ANSWER && error != EAGAIN && error != EINTR)
			target_fail(target, error);
		return;
	}
	life = target_read(target, data, (size_t)n);
	if (target->phase != PHASE_ANSWER)
		return;
	if (life != NULL)
		target_finish(target, true, false, life);
	else
		target->noise_octets = (size_t)n;
}

static void target_free(struct target *target)
{
	if (target->timer != NULL)
		event_free(target->timer);
	if (target->readable != NULL)
		event_free(target->readable);
	if (target->fd >= 0)
		close(target->fd);
	free(target);
}

static int target_open(struct target *target, struct event_base *base)
{
	int family = addr_is_v4(&target->spec.addr) ? AF_INET : AF_INET6;

	target->timer = evtimer_new(base, on_timer, target);
	if (target->timer == NULL)
		return -ENOMEM;
	if (target->spec.how.probe == PROBE_NONE)
		return 0;
	target->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (target->fd < 0)
		return -errno;
	target->readable = event_new(base, target->fd, EV_READ | EV_PERSIST, on_readable, target);
	return target->readable != NULL && event_add(target->readable, NULL) == 0 ? 0 : -ENOMEM;
}

static int target_new(struct target **out, struct health *health, const struct health_target *spec)
{
	struct target *target = calloc(1, sizeof *target);
	int rc;

	if (target == NULL)
		return -ENOMEM;
	target->health = health;
	target->spec = *spec;
	target->fd = -1;
	rc = target_open(target, health->base);
	if (rc == 0)
		*out = target;
	else
		target_free(target);
	return rc;
}

struct health *health_new(struct event_base *base, health_report report, void *ctx)
{
	struct health *health = calloc(1, sizeof *health);

	if (health != NULL)
		*health = (struct health){ .base = base, .report = report, .ctx = ctx };
	return health;
}

static bool same_target(const struct health_target *a, const struct health_target *b)
{
	return a->uid == b->uid && addr_equal(&a->addr, &b->addr) && a->how.probe == b->how.probe &&
	       a->how.interval_ms == b->how.interval_ms && a->how.timeout_ms == b->how.timeout_ms && a->how.fall == b->how.fall;
}

static struct target *find_target(const struct health *health, const struct health_target *spec)
{
	for (size_t i = 0; i < health->count; i++) {
		if (same_target(&health->targets[i]->spec, spec))
			return health->targets[i];
	}
	return NULL;
}

/* The targets of `specs`: those there are, and new ones, not yet started. On failure nothing has changed. */
static int collect_targets(struct health *health, struct target **out, const struct health_target *specs, size_t count)
{
	int rc = 0;
	size_t n = 0;

	for (; n < count; n++) {
		out[n] = find_target(health, &specs[n]);
		if (out[n] == NULL)
			rc = target_new(&out[n], health, &specs[n]);
		if (rc != 0)
			break;
	}
	while (rc != 0 && n-- > 0) {
		if (!out[n]->started)
			target_free(out[n]);
	}
	return rc;
}

int health_set_targets(struct health *health, const struct health_target *targets, size_t count)
{
	struct target **next = calloc(count + 1, sizeof(struct target *));
	size_t fresh = 0;
	int rc;

	if (next == NULL)
		return -ENOMEM;
	rc = collect_targets(health, next, targets, count);
	if (rc != 0) {
		free(next);
		return rc;
	}
	for (size_t i = 0; i < health->count; i++)
		health->targets[i]->kept = false;
	for (size_t i = 0; i < count; i++)
		next[i]->kept = true;
	for (size_t i = 0; i < health->count; i++) {
		if (!health->targets[i]->kept)
			target_free(health->targets[i]);
	}
	free(health->targets);
	health->targets = next;
	health->count = count;
	for (size_t i = 0; i < count; i++) {
		if (next[i]->started)
			continue;
		next[i]->started = true;
		target_wake_in(next[i], count <= SPREAD_MS ? fresh : fresh * SPREAD_MS / count);
		fresh++;
	}
	return 0;
}

void health_suspect(struct health *health, uint16_t uid)
{
	for (size_t i = 0; i < health->count; i++) {
		struct target *target = health->targets[i];
		if (target->spec.uid != uid || target->spec.how.probe == PROBE_NONE || target->phase != PHASE_PAUSE || target->refusals > 0)
			continue;
		uint64_t ago_ms = now_ms() - target->began_ms;
		target_wake_in(target, ago_ms < SUSPECT_MS ? SUSPECT_MS - ago_ms : 0);
	}
}

void health_free(struct health *health)
{
	if (health == NULL)
		return;
	for (size_t i = 0; i < health->count; i++)
		target_free(health->targets[i]);
	free(health->targets);
	free(health);
}
