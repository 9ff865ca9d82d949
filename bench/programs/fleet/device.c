#include <stdlib.h>

#include "bench/lib/clock.h"
#include "bench/programs/fleet/device_priv.h"
#include "bench/programs/fleet/reading.h"

enum {
	BURST = 16,      /* datagrams read before other devices get their turn */
	LAST_TRIES = 4,  /* exchanges: loss may kill one after five tries */
	RETRY_MS = 2000, /* after a failed handshake, on average */
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
static void device_count_first(struct device *d, size_t len)
{
	struct device_tally *tally = &d->world->tally;
	if (d->sessions > 0)
		return;
	tally->first_octets += len;
	tally->first_datagrams++;
}

static void device_count_up(struct device *d, size_t len)
{
	struct device_tally *tally = &d->world->tally;
	tally->octets_up += len;
	tally->datagrams_up++;
	device_count_first(d, len);
	if (d->sessions > 0)
		return;
	tally->first_octets_up += len;
	tally->first_datagrams_up++;
}

static void device_count_down(struct device *d, size_t len)
{
	struct device_tally *tally = &d->world->tally;
	tally->octets_down += len;
	tally->datagrams_down++;
	device_count_first(d, len);
}

/* Half of a round trip, of half to one and a half times the average. */
static uint64_t device_one_way_ms(struct device *d)
{
	return (uint64_t)((double)d->world->settings.round_trip_ms * (0.5 + dice_fraction(&d->radio)) / 2);
}

static void device_send(void *ctx, const uint8_t *data, size_t len)
{
	struct device *d = ctx;
	struct device_world *world = d->world;
	uint16_t old_port = d->link.port;
	device_count_up(d, len);
	bool lost = dice_chance(&d->dice, world->settings.loss);
	bool delayed = !lost && world->settings.round_trip_ms;
	if (link_send(&d->link, lost || delayed ? NULL : data, len, clock_ms()))
		world->tally.refused++;
	else if (delayed && delay_put(&d->up, data, len, clock_ms() + device_one_way_ms(d)))
		world->tally.refused++;
	if (d->link.port == old_port)
		return;
	if (world->settings.rebind_every_ms)
		d->rebind_ms = d->link.opened_ms + around(d, world->settings.rebind_every_ms);
	if (old_port)
		device_on_move(d, old_port);
}

void device_write(struct device *d, const uint8_t *message, size_t len)
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

static void device_end(struct device *d)
{
	d->phase = PHASE_DONE;
	d->world->tally.done++;
}

void device_follow(struct device *d, enum session_state state, uint64_t now_ms)
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
		device_end(d);
}

static void device_deliver(void *ctx, const uint8_t *data, size_t len);

void device_connect(struct device *d, uint64_t now_ms)
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

void device_begin(struct device *d, uint64_t now_ms)
{
	const struct device_settings *settings = &d->world->settings;
	char text[READING_TEXT_OCTETS];
	struct coap_message request = { .type = COAP_CON, .id = d->message_id++ };
	if (settings->observe && !d->observation.on && d->phase == PHASE_RUN)
		reading_observe(&request, &d->observation);
	else if (settings->path)
		reading_get(&request, ++d->readings, settings->path);
	else if (settings->message_octets)
		reading_post_octets(&request, ++d->readings, settings->message_octets, text);
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

static void device_conclude_last(struct device *d, enum device_outcome outcome, uint64_t now_ms)
{
	d->last_tries++;
	if (outcome == DEVICE_UNANSWERED && d->last_tries < LAST_TRIES) {
		d->reading_ms = now_ms;
		return;
	}
	if (outcome == DEVICE_ANSWERED && d->sessions == 1)
		d->world->tally.survived++;
	device_end(d);
}

void device_conclude(struct device *d, enum device_outcome outcome)
{
	const struct device_settings *settings = &d->world->settings;
	uint64_t now_ms = clock_ms();
	if (outcome == DEVICE_ANSWERED) {
		d->world->tally.exchanges_ok++;
		uint64_t now_us = clock_us();
		d->world->on_answer(d->world->ctx, now_us - d->begun_us);
		device_recover(d, now_us);
	} else {
		d->world->tally.exchanges_lost++;
	}
	d->silent = d->heard ? 0 : d->silent + 1;
	if (d->phase == PHASE_LAST) {
		device_conclude_last(d, outcome, now_ms);
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
		device_conclude(d, DEVICE_ANSWERED);
		break;
	case EXCHANGE_REFUSED:
		device_conclude(d, DEVICE_UNANSWERED);
		break;
	case EXCHANGE_NOTIFIED:
		d->world->tally.notifications++;
		break;
	case EXCHANGE_UNOBSERVED:
		d->world->tally.observations_lost++;
		break;
	}
}

static void device_arrive(struct device *d, const uint8_t *data, size_t len)
{
	struct device_world *world = d->world;
	device_count_down(d, len);
	if (world->settings.plain) {
		device_deliver(d, data, len);
	} else if (d->session && d->connect_ms == NEVER) {
		uint64_t now_ms = clock_ms();
		device_follow(d, session_input(d->session, data, len, now_ms), now_ms);
	}
}

static void device_take(struct device *d, const uint8_t *data, size_t len)
{
	const struct device_settings *settings = &d->world->settings;
	if (dice_chance(&d->dice, settings->loss))
		return;
	if (!settings->round_trip_ms)
		device_arrive(d, data, len);
	else if (delay_put(&d->down, data, len, clock_ms() + device_one_way_ms(d)))
		d->world->tally.refused++;
}

void device_pass_delayed(struct device *d, uint64_t now_ms)
{
	struct delayed *datagram;
	while ((datagram = delay_take(&d->up, now_ms)) != NULL) {
		link_pass(&d->link, datagram->octets, datagram->len);
		free(datagram);
	}
	while ((datagram = delay_take(&d->down, now_ms)) != NULL) {
		device_arrive(d, datagram->octets, datagram->len);
		free(datagram);
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
		device_end(d);
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
	if (world->settings.round_trip_ms) /* otherwise a seed means what it always has */
		d->radio.state = dice_roll(&world->dice);
	delay_init(&d->up);
	delay_init(&d->down);
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
	delay_clear(&d->up);
	delay_clear(&d->down);
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
