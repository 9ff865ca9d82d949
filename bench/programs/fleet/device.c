#include "bench/programs/fleet/device.h"

#include <stdlib.h>

#include "bench/lib/clock.h"
#include "bench/programs/fleet/exchange.h"
#include "bench/programs/fleet/link.h"
#include "bench/programs/fleet/reading.h"

enum {
	BURST = 16,                  /* datagrams read before other devices get their turn */
	LAST_TRIES = 4,              /* exchanges: loss may kill one after five tries */
	RETRY_MS = 2000,             /* after a failed handshake, on average */
	OBSERVE_PATIENCE_MS = 60000, /* Max-Age of a response that does not say: RFC 7252, section 5.10.5 */
};

#define NEVER UINT64_MAX

enum phase { PHASE_RUN, PHASE_LAST, PHASE_DONE };

struct device {
	struct device_world *world;
	unsigned number;
	enum phase phase;

	struct link link;
	struct event timer;
	struct dice dice; /* of losses and jitter; moves have their own, and change no loss */
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

/* An average span, spread by a quarter to both sides. */
static uint64_t around(struct device *d, uint64_t ms)
{
	return (uint64_t)((double)ms * (0.75 + dice_fraction(&d->dice) / 2));
}

static void device_on_readable(evutil_socket_t fd, short what, void *ctx);

static void device_on_move(struct device *d, uint16_t old_port)
{
	struct device_world *world = d->world;
	d->rebinds++;
	if (!d->moved_us) {
		d->moved_us = clock_us();
		world->tally.recovering++;
	}
	world->tally.rebinds++;
	world->tally.settled += d->rebinds == world->settings.rebinds;
	world->on_news(world->ctx, d, DEVICE_MOVED, old_port);
}

/* What the radio pays. */
static void device_count(struct device *d, uint64_t *octets, uint64_t *datagrams, size_t len)
{
	struct device_tally *tally = &d->world->tally;
	*octets += len;
	++*datagrams;
	if (d->sessions == 0) {
		tally->first_octets += len;
		tally->first_datagrams++;
	}
}

static void device_send(void *ctx, const uint8_t *data, size_t len)
{
	struct device *d = ctx;
	struct device_world *world = d->world;
	uint16_t old_port = d->link.port;
	device_count(d, &world->tally.octets_up, &world->tally.datagrams_up, len);
	bool lost = dice_chance(&d->dice, world->settings.loss);
	if (link_send(&d->link, lost ? NULL : data, len, clock_ms()))
		world->tally.refused++;
	if (d->link.port == old_port)
		return;
	if (world->settings.rebind_every_ms)
		d->rebind_ms = d->link.opened_ms + around(d, world->settings.rebind_every_ms);
	if (old_port)
		device_on_move(d, old_port);
}

static void device_write(struct device *d, const uint8_t *message, size_t len)
{
	if (d->world->settings.plain)
		device_send(d, message, len);
	else
		session_write(d->session, message, len);
}

static void device_lose_session(struct device *d)
{
	struct device_tally *tally = &d->world->tally;
	tally->sessions--;
	tally->first_alive -= d->sessions == 1;
	tally->observations_lost += d->observation.on;
	d->observation.on = false;
	d->established = false;
	exchange_reset(&d->exchange);
}

static void device_join(struct device *d, uint64_t now_ms)
{
	const struct device_settings *settings = &d->world->settings;
	struct device_tally *tally = &d->world->tally;
	d->established = true;
	d->sessions++;
	d->silent = 0;
	tally->sessions++;
	tally->first_alive += d->sessions == 1;
	tally->settled += d->sessions == 1 && settings->rebinds == 0;
	if (!settings->plain) {
		tally->handshakes++;
		tally->extra_handshakes += d->sessions > 1;
	}
	d->reading_ms = now_ms;
	if (settings->rebind_every_ms)
		d->rebind_ms = now_ms + around(d, settings->rebind_every_ms);
	d->world->on_news(d->world->ctx, d, DEVICE_JOINED, d->link.port);
}

static void device_end(struct device *d, bool survived)
{
	d->phase = PHASE_DONE;
	d->world->tally.done++;
	d->world->tally.survived += survived;
}

/* What a call of the session module has made of the session. */
static void device_follow(struct device *d, enum session_state state, uint64_t now_ms)
{
	if (state == SESSION_ESTABLISHED && !d->established)
		device_join(d, now_ms);
	if (state != SESSION_CLOSED && state != SESSION_FAILED)
		return;
	if (d->established) {
		d->world->tally.exchanges_lost += d->exchange.state != EXCHANGE_IDLE;
		device_lose_session(d);
	}
	d->connect_ms = now_ms + around(d, RETRY_MS);
	if (d->phase == PHASE_LAST)
		device_end(d, false);
}

static void device_deliver(void *ctx, const uint8_t *data, size_t len);

static void device_connect(struct device *d, uint64_t now_ms)
{
	static const struct session_callbacks callbacks = { .send = device_send, .deliver = device_deliver };
	d->connect_ms = NEVER;
	if (d->world->settings.plain) {
		device_join(d, now_ms);
		return;
	}
	session_free(d->session);
	d->session = NULL;
	if (session_new(&d->session, d->world->session_config, NULL, &callbacks, d)) {
		d->connect_ms = now_ms + around(d, RETRY_MS);
		return;
	}
	device_follow(d, session_start(d->session, now_ms), now_ms);
}

static void device_begin(struct device *d, uint64_t now_ms)
{
	const struct device_settings *settings = &d->world->settings;
	char text[READING_TEXT_OCTETS];
	struct coap_message request = { .type = COAP_CON, .id = d->message_id++ };
	if (settings->observe && !d->observation.on && d->phase == PHASE_RUN)
		reading_observe(&request, &d->observation);
	else if (settings->path)
		reading_get(&request, ++d->readings, settings->path);
	else
		reading_post(&request, ++d->readings, d->number, text);
	uint64_t span_ms = (uint64_t)((double)settings->ack_timeout_ms * (1 + dice_fraction(&d->dice) / 2));
	d->heard = false;
	d->begun_us = clock_us();
	d->reading_ms = now_ms + around(d, settings->interval_ms);
	if (exchange_begin(&d->exchange, &request, span_ms, now_ms) == 0)
		device_write(d, d->exchange.request, d->exchange.request_len);
}

/* The exchange that was just answered may be the first one since a move. */
static void device_recover(struct device *d, uint64_t now_us)
{
	struct device_tally *tally = &d->world->tally;
	if (!d->moved_us)
		return;
	tally->recovering--;
	tally->recoveries++;
	tally->recoveries_at_once += d->exchange.tries == 1 && d->moved_us >= d->begun_us;
	d->world->on_recovery(d->world->ctx, now_us - d->moved_us);
	d->moved_us = 0;
}

/* After an exchange. Called from within the session's callbacks too, so what follows is left to the timer. */
static void device_conclude(struct device *d, bool ok)
{
	const struct device_settings *settings = &d->world->settings;
	uint64_t now_ms = clock_ms();
	if (ok) {
		d->world->tally.exchanges_ok++;
		uint64_t now_us = clock_us();
		d->world->on_answer(d->world->ctx, now_us - d->begun_us);
		device_recover(d, now_us);
	} else {
		d->world->tally.exchanges_lost++;
	}
	d->silent = d->heard ? 0 : d->silent + 1;
	if (d->phase == PHASE_LAST) {
		d->last_tries++;
		if (ok || d->last_tries == LAST_TRIES)
			device_end(d, ok && d->sessions == 1);
		else
			d->reading_ms = now_ms;
	} else if (d->silent >= settings->give_up && !settings->plain) {
		device_lose_session(d);
		d->connect_ms = now_ms;
	} else if (d->silent > 0) {
		d->reading_ms = now_ms;
	}
}

static void device_deliver(void *ctx, const uint8_t *data, size_t len)
{
	struct device *d = ctx;
	struct exchange_input input = { .data = data, .len = len };
	d->heard = true;
	d->silent = 0;
	enum exchange_event event = exchange_take(&d->exchange, &d->observation, &input, clock_ms());
	if (input.reply_len)
		device_write(d, input.reply, input.reply_len);
	switch (event) {
	case EXCHANGE_NOTHING:
		break;
	case EXCHANGE_ANSWERED:
	case EXCHANGE_REFUSED:
		device_conclude(d, event == EXCHANGE_ANSWERED);
		break;
	case EXCHANGE_NOTIFIED:
		d->world->tally.notifications++;
		break;
	case EXCHANGE_UNOBSERVED:
		d->world->tally.observations_lost++;
		break;
	}
}

static bool device_may_move(const struct device *d)
{
	return d->phase == PHASE_RUN && d->established && d->link.fd >= 0 && d->rebinds < d->world->settings.rebinds;
}

/* When its NAT forgets it, or NEVER. */
static uint64_t device_forget_ms(const struct device *d)
{
	uint64_t at_ms = NEVER;
	if (!device_may_move(d))
		return at_ms;
	if (d->world->settings.nat_timeout_ms)
		at_ms = d->link.uplink_ms + d->world->settings.nat_timeout_ms;
	return d->rebind_ms < at_ms ? d->rebind_ms : at_ms;
}

static uint64_t device_session_ms(const struct device *d)
{
	return d->session && d->connect_ms == NEVER ? session_deadline(d->session) : NEVER;
}

static uint64_t device_reading_ms(const struct device *d)
{
	return d->established && d->phase != PHASE_DONE && d->exchange.state == EXCHANGE_IDLE ? d->reading_ms : NEVER;
}

static void device_advance(struct device *d, uint64_t now_ms)
{
	if (device_forget_ms(d) <= now_ms)
		link_forget(&d->link);
	if (d->connect_ms <= now_ms)
		device_connect(d, now_ms);
	if (device_session_ms(d) <= now_ms)
		device_follow(d, session_expire(d->session, now_ms), now_ms);
	switch (exchange_expire(&d->exchange, now_ms)) {
	case EXCHANGE_WAIT:
		break;
	case EXCHANGE_RESEND:
		device_write(d, d->exchange.request, d->exchange.request_len);
		break;
	case EXCHANGE_GIVEN_UP:
		device_conclude(d, false);
		break;
	}
	if (device_reading_ms(d) <= now_ms) {
		if (d->observation.on && now_ms > d->observation.heard_ms + OBSERVE_PATIENCE_MS) {
			d->observation.on = false;
			d->world->tally.observations_lost++;
		}
		device_begin(d, now_ms);
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void device_arm(struct device *d)
{
	uint64_t at_ms = earlier(device_forget_ms(d), d->connect_ms);
	at_ms = earlier(at_ms, device_session_ms(d));
	at_ms = earlier(at_ms, d->exchange.deadline_ms);
	at_ms = earlier(at_ms, device_reading_ms(d));
	if (at_ms == NEVER || d->phase == PHASE_DONE) {
		event_del(&d->timer);
		return;
	}
	struct timeval left = clock_left(at_ms, clock_ms());
	event_add(&d->timer, &left);
}

static void device_on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	struct device *d = ctx;
	device_advance(d, clock_ms());
	device_arm(d);
}

static void device_take(struct device *d, const uint8_t *data, size_t len)
{
	struct device_world *world = d->world;
	if (dice_chance(&d->dice, world->settings.loss))
		return;
	device_count(d, &world->tally.octets_down, &world->tally.datagrams_down, len);
	if (world->settings.plain) {
		device_deliver(d, data, len);
	} else if (d->session && d->connect_ms == NEVER) {
		uint64_t now_ms = clock_ms();
		device_follow(d, session_input(d->session, data, len, now_ms), now_ms);
	}
}

static void device_on_readable(evutil_socket_t fd, short what, void *ctx)
{
	(void)what;
	struct device *d = ctx;
	for (int i = 0; i < BURST; i++) {
		ssize_t len = udp_receive(fd, d->world->data, sizeof d->world->data, NULL);
		if (len < 0)
			break;
		device_take(d, d->world->data, (size_t)len);
	}
	device_arm(d);
}

void device_finish(struct device *d)
{
	if (d->phase != PHASE_RUN)
		return;
	d->phase = PHASE_LAST;
	if (!d->established)
		device_end(d, false);
	else
		d->reading_ms = clock_ms();
	device_arm(d);
}

struct device *device_new(struct device_world *world, unsigned number, uint64_t start_ms)
{
	struct device *d = malloc(sizeof *d);
	if (!d)
		return NULL;
	*d = (struct device){ .world = world, .number = number, .connect_ms = start_ms, .rebind_ms = NEVER };
	d->link = (struct link){
		.fd = -1,
		.target = world->settings.target,
		.from = world->settings.from,
		.addresses = world->settings.addresses,
		.dice = { dice_roll(&world->dice) },
		.base = world->base,
		.on_readable = device_on_readable,
		.ctx = d,
	};
	d->dice.state = dice_roll(&world->dice);
	d->message_id = (uint16_t)dice_roll(&d->dice);
	d->observation.token_len = 2;
	exchange_reset(&d->exchange);
	event_assign(&d->timer, world->base, -1, 0, device_on_timer, d);
	device_arm(d);
	return d;
}

void device_free(struct device *d)
{
	if (!d)
		return;
	event_del(&d->timer);
	link_forget(&d->link);
	session_free(d->session);
	free(d);
}

unsigned device_number(const struct device *d)
{
	return d->number;
}

uint16_t device_port(const struct device *d)
{
	return d->link.port;
}

unsigned device_sessions(const struct device *d)
{
	return d->sessions;
}

size_t device_cid(const struct device *d, uint8_t cid[static SESSION_CID_MAX])
{
	return d->session ? session_peer_cid(d->session, cid) : 0;
}
