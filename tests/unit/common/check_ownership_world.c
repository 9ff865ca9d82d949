/* The state machine of common/ownership.h against a world of its own: a device that moves, a backend that checks
 * records, forgers that choose their moments at random around every downlink, restarts. The world keeps its own
 * accounts and knows nothing of owners and claimants. */
#include <stdlib.h>
#include <string.h>

#include "common/ownership.h"
#include "tests/unit/suite.h"

enum {
	ADDRESSES = 64,
	FORGERS = 20, /* the first addresses */
	HOME = -1,    /* where the backend believes the session to be: E0, or an address' own endpoint */
	SMALL = 120,  /* a downlink of at most three times a request of the device */
	LARGE = 1200,
	REQUEST = 60,
	FIRST_PORT = 1000,
	SEEDS = 4000,
	STEPS = 60,
};

static const struct ownership_times times = { .settle_ms = 5000, .contest_ms = 60000 };

struct account {
	uint64_t sent, got; /* through E0, since the last restart */
	bool since;         /* a downlink came on E0 after its last uplink */
	unsigned rounds;    /* uplinks that followed one */
	bool reachable;     /* finished a handshake or was answered on its own endpoint */
	bool awaiting;      /* own endpoint */
};

struct world {
	uint64_t seed, dice;
	struct ownership flow;
	bool has_flow;
	uint32_t now_ms;
	struct account accounts[ADDRESSES];
	int device, moved_to;       /* addresses */
	int backend_at;             /* HOME or an address */
	unsigned forgers, restless; /* out of 100: a forgery at a moment */
	unsigned device_got;
};

/* Quiet while it holds: Check notes every assertion that it sees. */
#define WORLD_ASSERT(w, holds)                                                                                         \
	do {                                                                                                           \
		if (!(holds))                                                                                          \
			ck_abort_msg("seed %u: %s", (unsigned)(w)->seed, #holds);                                      \
	} while (0)

static uint64_t roll(struct world *w, uint64_t sides)
{
	w->dice ^= w->dice << 13;
	w->dice ^= w->dice >> 7;
	w->dice ^= w->dice << 17;
	return (w->dice * UINT64_C(2685821657736338717) >> 33) % sides;
}

static struct ownership_peer peer_of(int address)
{
	return (struct ownership_peer){
		.device = { .ip = { [10] = 0xff, 0xff, 192, 0, 2, 1 }, .port = (uint16_t)(FIRST_PORT + address) },
		.service = 3,
	};
}

/* Through the balancer. Returns the endpoint by which it reaches the backend. */
static int uplink(struct world *w, int from, uint32_t octets)
{
	struct account *account = &w->accounts[from];
	struct ownership_peer peer = peer_of(from);
	bool contest_began;

	if (!w->has_flow)
		ownership_init(&w->flow, &peer, false);
	w->has_flow = true;
	if (ownership_uplink(&w->flow, &times, &peer, octets, w->now_ms, &contest_began) == OWNERSHIP_OWN) {
		account->awaiting = true;
		return from;
	}
	account->sent += octets;
	account->rounds += account->since;
	account->since = false;
	return HOME;
}

static void deliver(struct world *w, int address, uint32_t octets)
{
	struct account *account = &w->accounts[address];

	if (address == w->device)
		w->device_got++;
	account->got += octets;
	if (!account->reachable && account->rounds < OWNERSHIP_ROUNDS)
		WORLD_ASSERT(w, account->got <= 3 * account->sent);
}

/* From the backend to where it believes the session to be. */
static void downlink(struct world *w, uint32_t octets)
{
	struct ownership_peer to[OWNERSHIP_WAYS_BACK];
	unsigned count;

	if (w->backend_at != HOME) {
		struct account *account = &w->accounts[w->backend_at];
		struct ownership_peer peer = peer_of(w->backend_at);

		if (account->awaiting && w->has_flow) {
			ownership_prove(&w->flow, &peer);
			account->reachable = true;
		}
		/* A restarted balancer does not know the endpoint until somebody leaves through it. */
		if (account->awaiting || account->reachable)
			deliver(w, w->backend_at, octets);
		account->awaiting = false;
		return;
	}
	if (!w->has_flow)
		return;
	count = ownership_downlink(&w->flow, octets, to);
	WORLD_ASSERT(w, count <= OWNERSHIP_WAYS_BACK);
	for (int i = 0; i < ADDRESSES; i++)
		w->accounts[i].since = true;
	for (unsigned i = 0; i < count; i++) {
		for (unsigned j = 0; j < i; j++)
			WORLD_ASSERT(w, !addr_equal(&to[i].device, &to[j].device));
		deliver(w, to[i].device.port - FIRST_PORT, octets);
	}
}

static void maybe_forge(struct world *w)
{
	while (w->forgers && roll(w, 100) < w->restless)
		uplink(w, (int)roll(w, w->forgers), (uint32_t)(40 + roll(w, 100)));
}

static void maybe_notify(struct world *w)
{
	if (roll(w, 4))
		return;
	downlink(w, (uint32_t)(30 + roll(w, SMALL - 30)));
	maybe_forge(w);
}

/* One request and its answer, with forgeries wherever they can be. True: the device got the answer. */
static bool exchange(struct world *w, uint32_t octets, bool notify)
{
	unsigned before;

	maybe_forge(w);
	w->backend_at = uplink(w, w->device, REQUEST);
	maybe_forge(w);
	before = w->device_got;
	downlink(w, octets);
	before = w->device_got - before;
	WORLD_ASSERT(w, before <= 1);
	maybe_forge(w);
	if (notify)
		maybe_notify(w);
	w->now_ms += (uint32_t)roll(w, 20000);
	return before == 1;
}

static void world_begin(struct world *w, uint64_t seed)
{
	struct ownership_peer peer;

	*w = (struct world){
		.seed = seed, .dice = seed * UINT64_C(0x9e3779b97f4a7c15) + 1, .device = FORGERS, .backend_at = HOME
	};
	roll(w, 2);
	w->moved_to = FORGERS;
	w->now_ms = UINT32_MAX - (uint32_t)roll(w, 200000);
	w->forgers = (unsigned)roll(w, FORGERS + 1);
	w->restless = (unsigned)roll(w, 90);
	peer = peer_of(w->device);
	ownership_init(&w->flow, &peer, true);
	w->has_flow = true;
	w->accounts[w->device].reachable = true;
}

static void move(struct world *w)
{
	w->moved_to = FORGERS + (w->moved_to - FORGERS + 1) % (ADDRESSES - FORGERS);
	w->device = w->moved_to;
	/* As if nobody had been here before. */
	w->accounts[w->device] = (struct account){ 0 };
}

static void restart(struct world *w)
{
	w->has_flow = false;
	memset(w->accounts, 0, sizeof w->accounts);
}

static void change(struct world *w)
{
	w->now_ms += (uint32_t)roll(w, 90000);
	maybe_forge(w);
	if (roll(w, 2))
		move(w);
	if (roll(w, 8) == 0)
		restart(w);
	maybe_forge(w);
}

/* Answers of at most three times the request come at once, whatever happens around them. */
static void small_answers(struct world *w)
{
	for (int step = 0; step < STEPS; step++) {
		change(w);
		WORLD_ASSERT(w, exchange(w, (uint32_t)(20 + roll(w, SMALL - 20)), true));
	}
}

static bool answered_within(struct world *w, int datagrams)
{
	while (datagrams-- > 0)
		if (exchange(w, LARGE, false))
			return true;
	return false;
}

/* Answers too large for an address that has not shown that it is reachable come within three datagrams, under forgeries
 * within five. */
static void large_answers(struct world *w)
{
	for (int step = 0; step < STEPS; step++) {
		change(w);
		WORLD_ASSERT(w, answered_within(w, w->forgers ? 5 : 3));
	}
}

/* A proven device that is silent gets what comes, whatever is forged around it. */
static void proven_and_silent(struct world *w)
{
	for (int step = 0; step < STEPS / 4; step++) {
		exchange(w, SMALL, false);
		for (int i = 0; i < OWNERSHIP_COPIES; i++) {
			unsigned before = w->device_got;

			maybe_forge(w);
			downlink(w, LARGE);
			WORLD_ASSERT(w, w->device_got == before + 1);
		}
	}
}

/* A device that has just moved waits for its separate response: two forgeries, from one address or two, around the
 * empty ACK, a notification and the response. */
static void moved_and_silent(struct world *w)
{
	unsigned left = 2;

	w->forgers = 0;
	exchange(w, SMALL, false);
	move(w);
	w->now_ms += (uint32_t)roll(w, 100000);
	w->backend_at = uplink(w, w->device, REQUEST);
	for (int i = 0; i < 4; i++) {
		unsigned before = w->device_got;

		for (; left && roll(w, 3) == 0; left--)
			uplink(w, (int)roll(w, 2), 60);
		downlink(w, 3 * REQUEST / 4);
		WORLD_ASSERT(w, w->device_got == before + 1);
	}
}

/* Without anybody else the backend sees E0 alone, whatever the device's pace. */
static void alone(struct world *w)
{
	w->forgers = 0;
	for (int step = 0; step < STEPS; step++) {
		change(w);
		WORLD_ASSERT(w, exchange(w, SMALL, true));
		WORLD_ASSERT(w, w->backend_at == HOME);
	}
}

/* The NAT gives it an earlier address again: the one of its handshake at any time, others once in a while. */
static void alone_and_back(struct world *w)
{
	int previous = w->device;

	w->forgers = 0;
	for (int step = 0; step < STEPS / 2; step++) {
		int here = w->device;

		do {
			WORLD_ASSERT(w, exchange(w, SMALL, true));
			WORLD_ASSERT(w, w->backend_at == HOME);
		} while (roll(w, 2));
		if (step % 5 == 4)
			w->device = previous;
		else if (roll(w, 4) == 0)
			w->device = FORGERS;
		else
			move(w);
		previous = here;
	}
}

static void run_worlds(void (*story)(struct world *))
{
	struct world w;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		world_begin(&w, seed);
		story(&w);
	}
}

START_TEST(small_answers_come_at_once)
{
	run_worlds(small_answers);
}
END_TEST

START_TEST(large_answers_come_soon)
{
	run_worlds(large_answers);
}
END_TEST

START_TEST(forgeries_cannot_silence_a_proven_device)
{
	run_worlds(proven_and_silent);
}
END_TEST

START_TEST(two_forgeries_cannot_silence_a_device_that_moved)
{
	run_worlds(moved_and_silent);
}
END_TEST

START_TEST(a_device_alone_stays_on_its_endpoint)
{
	run_worlds(alone);
}
END_TEST

START_TEST(an_earlier_address_is_no_contest)
{
	run_worlds(alone_and_back);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, small_answers_come_at_once);
	tcase_add_test(tests, large_answers_come_soon);
	tcase_add_test(tests, forgeries_cannot_silence_a_proven_device);
	tcase_add_test(tests, two_forgeries_cannot_silence_a_device_that_moved);
	tcase_add_test(tests, a_device_alone_stays_on_its_endpoint);
	tcase_add_test(tests, an_earlier_address_is_no_contest);
}
