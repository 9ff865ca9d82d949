#include "bench/lib/clock.h"
#include "bench/programs/fleet/device_priv.h"

/* Max-Age of a response that does not say: RFC 7252, section 5.10.5. */
enum { OBSERVE_PATIENCE_MS = 60000 };

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
	device_pass_delayed(d, now_ms);
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
		device_conclude(d, DEVICE_UNANSWERED);
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

void device_arm(struct device *d)
{
	uint64_t at_ms = earlier(device_forget_ms(d), d->connect_ms);
	at_ms = earlier(at_ms, device_session_ms(d));
	at_ms = earlier(at_ms, d->exchange.deadline_ms);
	at_ms = earlier(at_ms, earlier(delay_due_ms(&d->up), delay_due_ms(&d->down)));
	at_ms = earlier(at_ms, device_reading_ms(d));
	if (at_ms == NEVER || d->phase == PHASE_DONE) {
		event_del(&d->timer);
		return;
	}
	struct timeval left = clock_left(at_ms, clock_ms());
	event_add(&d->timer, &left);
}

void device_on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	struct device *d = ctx;
	device_advance(d, clock_ms());
	device_arm(d);
}
