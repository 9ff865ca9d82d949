/* Sessions without CIDs: a ClientHello that offers to resume one goes to the server that has it, from whatever address,
 * and so does the rest of that handshake and of the session. In mode nat, rebind "follow" and "backend", and in mode
 * nat without a table. */
#include "path/resumed.h"

#include "path/learned_cids.h"
#include "tests/fixtures/nat_bed.h"
#include "tests/fixtures/resume_texts.h"
#include "tests/unit/suite.h"

enum mode { FOLLOW, BACKEND, STATELESS, MODES };
enum { SERVERS = NAT_BACKENDS, HINTS_END_MS = 400000 };

#define OTHER_ID "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static struct learned learned;
static void *memory;
static unsigned randoms;

static void begin(int mode)
{
	static const uint8_t secret[16] = { 9 };
	const size_t octets = (learned_octets(LEARNED_MIN_CIDS) + 63) / 64 * 64;

	memory = aligned_alloc(64, octets);
	ck_assert_ptr_nonnull(memory);
	memset(memory, 0, octets);
	learned_begin(&learned, memory, LEARNED_MIN_CIDS, secret);
	bed.configured.pool.layout = (struct cid_layout){ .scheme = CID_LAYOUT_NONE };
	bed.configured.pool.nat.rebind = mode == FOLLOW ? REBIND_FOLLOW : REBIND_BACKEND;
	bed.configured.learned.of[LEARNED_SESSIONS] = &learned;
	if (mode == STATELESS) {
		bed.configured.listener.addr = addr_of("198.51.100.7:5684");
		ck_assert_int_eq(addr_parse_ip(&bed.configured.pool.nat.sources[0].addr, "fd00:c1d:1b00::"), 0);
		bed.configured.pool.nat.sources[0].bits = 56;
		bed.configured.pool.nat.port_last = bed.configured.pool.nat.port_first;
		for (int i = 0; i < SERVERS; i++) {
			bed.configured.backend[i].addr = addr_of("[::1]:6001");
			bed.configured.backend[i].addr.port = (uint16_t)(6001 + i);
		}
		bed.path->endpoint_handles[IO_V6][40684] = 40684;
	}
	publish();
}

static void end(void)
{
	tear_down();
	free(memory);
}

/* Session ids of 32 octets, by a number. */
static const char *id_of(unsigned number)
{
	static char texts[4][65];
	static unsigned next;
	char *text = texts[next++ % 4];

	snprintf(text, sizeof texts[0], "%064x", number + 1);
	return text;
}

static const char *source_of(unsigned net, unsigned number)
{
	static char texts[4][32];
	static unsigned next;
	char *text = texts[next++ % 4];

	snprintf(text, sizeof texts[0], "10.%u.0.%u:%u", net, number, 5000 + number);
	return text;
}

static struct arrival hello(const char *from, unsigned random, const char *id, const char *ticket)
{
	return up(from, client_hello_text(&(struct offer_text){ 0, random, id, "", ticket }));
}

/* A handshake up to the second ClientHello. All of it is at one server, and at one endpoint. */
static struct arrival ask(const char *from, const char *id, const char *ticket)
{
	static const char *const cookies[SERVERS] = { "c0c1c2c3", "d0d1d2d3", "e0e1e2e3" }; /* no two are alike */
	const unsigned random = ++randoms;
	const struct arrival first = hello(from, random, id, ticket);
	struct arrival second;

	ck_assert_int_ne(first.at, NOBODY);
	ck_assert_uint_eq(strlen(down(&first, verify_text(cookies[first.at]))), 1);
	second = up(from, client_hello_text(&(struct offer_text){ 1, random, id, cookies[first.at], ticket }));
	assert_same(first, second);
	return first;
}

/* From the beginning; the server gives out a session id and a ticket, or "". */
static struct arrival make(const char *from, const char *id, const char *ticket)
{
	const struct arrival at = ask(from, "", "");
	struct arrival flight, data;

	down(&at, full_hello_text(id));
	flight = up(from, KEY_EXCHANGE CHANGE FINISHED);
	assert_same(at, flight);
	down(&at, server_end_text(ticket));
	data = up(from, other_text(23, 1, 1));
	assert_same(at, data);
	down(&at, other_text(23, 1, 1));
	return at;
}

/* The server that is asked resumes, be it right or not. */
static struct arrival resume(const char *from, const char *id, const char *ticket)
{
	const struct arrival at = ask(from, id, ticket);
	struct arrival flight, data;

	down(&at, resumed_hello_text(id));
	flight = up(from, CHANGE FINISHED);
	assert_same(at, flight);
	data = up(from, other_text(23, 1, 1));
	assert_same(at, data);
	down(&at, other_text(23, 1, 1));
	return at;
}

/* All that is known of addresses for a while is forgotten. */
static void forget(void)
{
	pass_ms(HINTS_END_MS);
	for (int i = 0; i < FLOWS_SWEEP_CALLS; i++)
		flows_sweep(bed.shared.flows, bed.path->now_ms);
}

static uint64_t led(void)
{
	return counted()->handshakes_led[bed.configured.pool_uid];
}

/* By session id, by ticket, and by both, again and again from other addresses. Later the session is found where it is.
 */
START_TEST(moves)
{
	bool met[SERVERS] = { false }, elsewhere = false;

	begin(_i);
	for (unsigned i = 0; i < 30; i++) {
		const char *id = i % 3 != 1 ? id_of(i) : "", *ticket = i % 3 ? id_of(1000 + i) : "";
		const int at = make(source_of(1, i), id, ticket).at;

		met[at] = true;
		for (unsigned move = 2; move < 4; move++) {
			const char *from = source_of(move, i);

			elsewhere |= hello(from, 99999, "", "").at != at;
			forget();
			ck_assert_int_eq(resume(from, i % 3 == 1 ? OTHER_ID : id, ticket).at, at);
			forget();
			ck_assert_int_eq(up(from, other_text(23, 1, 40)).at, at);
		}
	}
	for (int i = 0; i < SERVERS; i++)
		ck_assert(met[i]);
	ck_assert(elsewhere);
	ck_assert_uint_eq(led(), 2 * 30);
	ck_assert_uint_eq(learned_count_of(&learned, RESUMED_SESSION_OCTETS), 40);
	ck_assert_uint_gt(learned_count_of(&learned, RESUMED_ADDRESS_OCTETS), 20);
}
END_TEST

/* What nobody gave out goes by the address, as what offers nothing. */
START_TEST(unknown)
{
	begin(_i);
	make(X, id_of(1), id_of(2));
	for (unsigned i = 0; i < 30; i++) {
		const int at = hello(source_of(1, i), ++randoms, "", "").at;

		forget();
		ck_assert_int_eq(hello(source_of(1, i), ++randoms, id_of(500 + i), id_of(600 + i)).at, at);
		forget();
		ck_assert_int_eq(hello(source_of(1, i), ++randoms, id_of(2), "").at, at);
		forget();
	}
	ck_assert_uint_eq(led(), 0);
	ck_assert_uint_eq(learned.counts.added, 2);
}
END_TEST

/* Another address than the one that `than` is reached from leads to a server that is not `at`. */
static const char *source_beside(unsigned net, int at)
{
	for (unsigned i = 0;; i++) {
		const int led_to = hello(source_of(net, i), ++randoms, "", "").at;

		forget();
		if (led_to != at)
			return source_of(net, i);
	}
}

/* Who has no keys may copy what he saw, repeat cookies, and send what he likes: nothing is learned and nothing goes. */
START_TEST(no_keys)
{
	int at;

	begin(_i);
	at = make(X, id_of(1), id_of(2)).at;
	for (unsigned i = 0; i < 40; i++) {
		const char *from = source_of(1, i);
		struct arrival asked = ask(from, id_of(1), i % 2 ? id_of(2) : "");

		ck_assert_int_eq(asked.at, at);
		down(&asked, resumed_hello_text(id_of(1)));
		down(&asked, record_text(message_text(4, 3, ticket_body(id_of(100 + i)))));
		up(from, CHANGE FINISHED);
		down(&asked, other_text(22, 1, 1));
		down(&asked, other_text(21, 1, 2));
		asked = ask(from, "", "");
		down(&asked, full_hello_text(id_of(200 + i)));
		up(from, KEY_EXCHANGE CHANGE FINISHED);
		down(&asked, ALERT);
	}
	ck_assert_uint_eq(learned.counts.added, 2);
	ck_assert_uint_eq(learned.counts.evicted, 0);
	forget();
	ck_assert_int_eq(resume(source_beside(2, at), id_of(1), "").at, at);
}
END_TEST

/* Who has a ticket may offer with it the session id of another: the server repeats it, and that leads nobody astray. */
START_TEST(repeated_id)
{
	int at, other;

	begin(_i);
	at = make(X, id_of(1), "").at;
	other = make(source_beside(1, at), "", id_of(3)).at;
	ck_assert_int_ne(at, other);
	ck_assert_int_eq(resume(Y, id_of(1), id_of(3)).at, other);
	forget();
	ck_assert_int_eq(resume(Z, id_of(1), "").at, at);
}
END_TEST

/* Somebody sends, in the name of a device, a ClientHello with what another server can resume. The device's session
 * stays where it is, whatever that server answers; and so does a handshake that is under way. Once the device itself
 * has repeated a cookie it is there. */
START_TEST(spoofed)
{
	const char *victim;
	int at, other;
	struct arrival forged, mine;

	begin(_i);
	other = make(X, id_of(1), "").at;
	victim = source_beside(1, other);
	at = make(victim, "", "").at;
	forged = hello(victim, ++randoms, id_of(1), "");
	ck_assert_int_eq(forged.at, other);
	ck_assert_int_eq(up(victim, other_text(23, 1, 2)).at, at);
	down(&forged, resumed_hello_text(id_of(1))); /* it asks for no cookie */
	ck_assert_int_eq(up(victim, other_text(23, 1, 3)).at, at);
	pass_ms(310000); /* nobody knows of the victim's handshake any more */
	forged = hello(victim, ++randoms, id_of(1), "");
	ck_assert_int_eq(forged.at, other);
	down(&forged, resumed_hello_text(id_of(1)));
	ck_assert_int_eq(up(victim, other_text(23, 1, 40)).at, at);
	forget();
	victim = source_beside(2, other);
	mine = ask(victim, "", "");
	ck_assert_int_ne(mine.at, other);
	forged = hello(victim, ++randoms, id_of(1), "");
	ck_assert_int_eq(forged.at, other);
	down(&forged, verify_text("f0f1f2f3"));
	down(&mine, full_hello_text(""));
	ck_assert_int_eq(up(victim, KEY_EXCHANGE CHANGE FINISHED).at, mine.at);
	down(&mine, server_end_text(""));
	ck_assert_int_eq(up(victim, other_text(23, 1, 1)).at, mine.at);
	ck_assert_int_eq(resume(victim, id_of(1), "").at, other);
	ck_assert_int_eq(up(victim, other_text(23, 1, 40)).at, other);
}
END_TEST

/* An address whose session was resumed elsewhere has a session from the beginning: it is where its address leads. */
START_TEST(begins_anew)
{
	const char *from;
	int at, home;

	begin(_i);
	at = make(X, id_of(1), "").at;
	from = source_beside(1, at);
	ck_assert_int_eq(resume(from, id_of(1), "").at, at);
	forget();
	home = make(from, id_of(2), "").at;
	ck_assert_int_ne(home, at);
	forget();
	ck_assert_int_eq(up(from, other_text(23, 1, 40)).at, home);
}
END_TEST

/* A server that is down, or gone, is not led to. One that drains is, by what it gave out before it drained. */
START_TEST(servers_go)
{
	const char *from;
	int at;

	begin(_i);
	at = make(X, id_of(1), id_of(2)).at;
	from = source_beside(1, at);
	bed.configured.down[at] = true;
	publish();
	ck_assert_int_ne(hello(from, ++randoms, id_of(1), "").at, at);
	bed.configured.down[at] = false;
	bed.configured.backend[at].admin = BACKEND_DRAIN;
	publish();
	forget();
	ck_assert_int_eq(resume(from, id_of(1), "").at, at);
	forget();
	ck_assert_int_eq(up(from, other_text(23, 1, 40)).at, at);
	/* It can resume the session no longer. What it gives out instead does not lead to it. */
	struct arrival asked = ask(Y, "", id_of(2));
	ck_assert_int_eq(asked.at, at);
	down(&asked, full_hello_text(id_of(7)));
	up(Y, KEY_EXCHANGE CHANGE FINISHED);
	down(&asked, server_end_text(id_of(8)));
	forget();
	ck_assert_int_ne(hello(Z, ++randoms, id_of(7), id_of(8)).at, at);
	forget();
	bed.configured.backend[at].admin = BACKEND_MAINT;
	publish();
	ck_assert_int_ne(hello(Y, ++randoms, id_of(1), "").at, at);
	forget();
	bed.configured.backend[at].admin = BACKEND_READY;
	bed.configured.backend[at].name = (char *)(uintptr_t) "renamed";
	publish();
	ck_assert_uint_eq(led(), 2);
	hello(Y, ++randoms, id_of(1), "");
	ck_assert_uint_eq(led(), 2);
}
END_TEST

/* A session with a CID is found by that; what its server gives out to resume is not kept. */
START_TEST(has_cid)
{
	begin(_i);
	bed.configured.pool.layout = (struct cid_layout){ .scheme = CID_LAYOUT_ID,
							  .lbcid = { .length = NAT_CID_OCTETS, .size = 1 },
							  .length = NAT_CID_OCTETS };
	publish();
	const struct arrival at = begin_handshake();
	up(X, flight_of(at.at));
	down(&at, server_end_text(id_of(5)));
	down(&at, DATA);
	ck_assert_uint_eq(learned.counts.added, 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, nat_begin, end);
	tcase_set_timeout(tests, 30);
	tcase_add_loop_test(tests, moves, 0, MODES);
	tcase_add_loop_test(tests, unknown, 0, MODES);
	tcase_add_loop_test(tests, no_keys, 0, MODES);
	tcase_add_loop_test(tests, repeated_id, 0, MODES);
	tcase_add_loop_test(tests, spoofed, 0, MODES);
	tcase_add_loop_test(tests, begins_anew, 0, MODES);
	tcase_add_loop_test(tests, servers_go, 0, MODES);
	tcase_add_loop_test(tests, has_cid, 0, MODES);
}
