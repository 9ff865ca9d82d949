/* Mode nat in a pool that learns CIDs: a CID leads where it was given out, once the handshake has shown the keys. The
 * CIDs of fixtures/nat_bed.h look as if they had ids, which nobody reads here. */
#include "path/learned_cids.h"
#include "tests/fixtures/nat_bed.h"
#include "tests/unit/suite.h"

#define RANDOM_CID "a75b5eb399c079a3"
#define OTHER_CID  "b85b5eb399c079a3"

static struct learned learned;
static void *memory;

static void learn_begin(int rebind)
{
	static const uint8_t secret[16] = { 9 };
	const size_t octets = (learned_octets(LEARNED_MIN_CIDS) + 63) / 64 * 64;

	memory = aligned_alloc(64, octets);
	ck_assert_ptr_nonnull(memory);
	memset(memory, 0, octets);
	learned_begin(&learned, memory, LEARNED_MIN_CIDS, secret);
	bed.configured.pool.layout = (struct cid_layout){ .scheme = CID_LAYOUT_LEARNED };
	bed.configured.pool.nat.rebind = rebind ? REBIND_BACKEND : REBIND_FOLLOW;
	bed.configured.learned.of[LEARNED_CIDS] = &learned;
	publish();
}

static void learn_end(void)
{
	tear_down();
	free(memory);
}

/* X's handshake up to the ServerHello, which gives out this CID. */
static struct arrival offer(const char *from, const char *letter, const char *cid)
{
	const struct arrival first = up(from, seen_datagram(MBEDTLS, 0));

	ck_assert_str_eq(down(&first, seen_datagram(MBEDTLS, 1)), letter);
	up(from, seen_datagram(MBEDTLS, 2));
	ck_assert_str_eq(down(&first, server_hello(cid)), letter);
	return first;
}

static struct arrival learn(const char *from, const char *letter, const char *cid)
{
	char hex[512];
	const struct arrival at = offer(from, letter, cid);
	struct arrival flight;

	snprintf(hex, sizeof hex, KEY_EXCHANGE CHANGE "19fefd0001000000000000%s" PAYLOAD, cid);
	flight = up(from, hex);
	assert_same(at, flight);
	ck_assert_str_eq(down(&at, CHANGE FINISHED), letter);
	return at;
}

static struct arrival data(const char *from, const char *cid)
{
	char hex[256];

	snprintf(hex, sizeof hex, "19fefd0001000000000001%s" PAYLOAD, cid);
	return up(from, hex);
}

/* A session goes where its handshake went, from whatever address. */
START_TEST(moves)
{
	struct arrival at, home, moved;

	learn_begin(_i);
	ck_assert_int_eq(data(X, RANDOM_CID).at, NOBODY);
	at = learn(X, "X", RANDOM_CID);
	ck_assert_uint_eq(learned_count(&learned), 1);
	home = data(X, RANDOM_CID);
	ck_assert_int_eq(home.at, at.at);
	ck_assert_str_eq(down(&home, DATA), "X");
	moved = data(Y, RANDOM_CID);
	ck_assert_int_eq(moved.at, at.at);
	ck_assert_int_eq(same(&home, &moved), _i == 0);
	ck_assert_uint_eq(verdicts(VERDICT_CID), 3);
	ck_assert_uint_eq(verdicts(VERDICT_UNKNOWN_CID), 1);
}
END_TEST

/* All three servers, so it is no accident. */
START_TEST(every_server)
{
	char source[32], cid[17];
	bool met[NAT_BACKENDS] = { false };

	learn_begin(_i);
	for (unsigned i = 0; i < 40; i++) {
		struct arrival at;

		snprintf(source, sizeof source, "192.0.2.1:%u", 5000 + i);
		snprintf(cid, sizeof cid, "%016x", 0x1000 + i);
		at = learn(source, "?", cid);
		met[at.at] = true;
		ck_assert_int_eq(data(Z, cid).at, at.at);
	}
	for (int i = 0; i < NAT_BACKENDS; i++)
		ck_assert(met[i]);
}
END_TEST

/* The CID of a handshake that is not over leads its own source, and nobody else. Finished may come alone. */
START_TEST(pending)
{
	struct arrival at, finished;

	learn_begin(_i);
	at = offer(X, "X", RANDOM_CID);
	ck_assert_int_eq(data(Y, RANDOM_CID).at, NOBODY);
	ck_assert_int_eq(data(X, OTHER_CID).at, NOBODY);
	ck_assert_int_eq(up(X, KEY_EXCHANGE).at, at.at);
	finished = up(X, FINISHED_OF(RANDOM_CID));
	assert_same(at, finished);
	ck_assert_uint_eq(learned_count(&learned), 0);
	ck_assert_str_eq(down(&at, CHANGE FINISHED), "X");
	ck_assert_uint_eq(learned_count(&learned), 1);
	ck_assert_int_eq(data(Y, RANDOM_CID).at, at.at);
}
END_TEST

/* What was learned stays, whatever those do who have no keys: they begin handshakes, repeat cookies, and show the CIDs
 * that they are given. */
START_TEST(no_keys)
{
	char source[32], cid[17], hex[256];
	struct arrival at;

	learn_begin(_i);
	at = learn(X, "X", RANDOM_CID);
	for (unsigned i = 0; i < 40; i++) {
		snprintf(source, sizeof source, "192.0.2.1:%u", 5000 + i);
		snprintf(cid, sizeof cid, "%016x", 0x1000 + i);
		offer(source, "?", cid);
		snprintf(hex, sizeof hex, KEY_EXCHANGE CHANGE "19fefd0001000000000000%s" PAYLOAD, cid);
		up(source, hex);
	}
	ck_assert_uint_eq(learned_count(&learned), 1);
	ck_assert_uint_eq(learned.counts.added, 1);
	ck_assert_int_eq(data(Y, RANDOM_CID).at, at.at);
}
END_TEST

/* Behind a CID record stands only what is of its session, and a flight belongs to a handshake. */
START_TEST(mixed)
{
	learn_begin(_i);
	learn(X, "X", RANDOM_CID);
	ck_assert_int_eq(up(Y, DATA_OF(RANDOM_CID) ALERT).at, NOBODY);
	ck_assert_uint_eq(verdicts(VERDICT_MIXED), 1);
	ck_assert_int_eq(up(Y, DATA_OF(RANDOM_CID) DATA_OF(RANDOM_CID)).at >= 0, 1);
	ck_assert_int_eq(up(Y, DATA_OF(RANDOM_CID) DATA_OF(OTHER_CID)).at, NOBODY);
	ck_assert_uint_eq(verdicts(VERDICT_MIXED), 2);
}
END_TEST

static const char *source_to(int at, unsigned *port, char source[static 32])
{
	for (;; (*port)++) {
		struct arrival first;

		snprintf(source, 32, "192.0.2.1:%u", *port);
		first = up(source, seen_datagram(MBEDTLS, 0));
		if (first.at == at)
			return source;
	}
}

/* Two servers have given out one CID. Each session stays with its own, and gets what its own sends; who speaks from an
 * address that nobody knows is led to the last one. */
START_TEST(two_servers)
{
	char first[32], second[32];
	unsigned port = 5000;
	struct arrival a, b;

	learn_begin(_i);
	learn(source_to(0, &port, first), "?", RANDOM_CID);
	learn(source_to(1, &port, second), "?", RANDOM_CID);
	ck_assert_uint_eq(learned_count(&learned), 1);
	ck_assert_uint_eq(learned.counts.shared, 1);
	for (int i = 0; i < 3; i++) {
		a = data(first, RANDOM_CID);
		b = data(second, RANDOM_CID);
		ck_assert_int_eq(a.at, 0);
		ck_assert_int_eq(b.at, 1);
		ck_assert_str_eq(down(&a, DATA), "?");
		ck_assert_str_eq(down(&b, DATA), "?");
	}
	ck_assert_int_eq(data(Y, RANDOM_CID).at, 1);
	ck_assert_int_eq(data(first, RANDOM_CID).at, 0);
}
END_TEST

/* A server gives out the CID of another one's session, which is well known. Its own handshake comes up all the same,
 * also if Finished comes alone, and the session goes on. */
START_TEST(contested)
{
	char first[32], second[32];
	unsigned port = 5000;
	struct arrival a, b, at, finished;

	learn_begin(_i % 2);
	learn(source_to(0, &port, first), "?", RANDOM_CID);
	a = data(first, RANDOM_CID);
	ck_assert_str_eq(down(&a, DATA), "?");
	at = offer(source_to(1, &port, second), "?", RANDOM_CID);
	if (_i < 2) {
		finished = up(second, FLIGHT_OF(RANDOM_CID));
	} else {
		up(second, KEY_EXCHANGE);
		finished = up(second, FINISHED_OF(RANDOM_CID));
	}
	assert_same(at, finished);
	ck_assert_uint_eq(learned.counts.shared, 0);
	ck_assert_str_eq(down(&at, CHANGE FINISHED), "?");
	ck_assert_uint_eq(learned.counts.shared, 1);
	for (int i = 0; i < 3; i++) {
		b = data(second, RANDOM_CID);
		ck_assert_int_eq(b.at, 1);
		ck_assert_str_eq(down(&b, DATA), "?");
		a = data(first, RANDOM_CID);
		ck_assert_int_eq(a.at, 0);
		ck_assert_str_eq(down(&a, DATA), "?");
	}
}
END_TEST

/* Other CIDs take up the first bucket of this one. */
static void crowd(const char *hex)
{
	const struct octets cid = octets_of(hex);
	const uint32_t bucket = learned_look(&learned, cid.at, cid.len).buckets[0];
	uint64_t other = 1;

	for (int left = LEARNED_WAYS; left > 0; other++) {
		if (learned_look(&learned, (const uint8_t *)&other, sizeof other).buckets[0] != bucket)
			continue;
		ck_assert_int_eq(learned_add(&learned, (const uint8_t *)&other, sizeof other, 0), LEARNED_ADDED);
		left--;
	}
	free(cid.at);
}

/* Of two CIDs that a record may begin with it is the longer one, wherever both are found in the table. Behind the
 * shorter one the record has 256 octets, behind the longer one 255. */
START_TEST(longest)
{
	static const char head[] = "19fefd0001000000000001", longer[] = "000101010101", shorter[] = "0001010101";
	char both[1024], one[128];
	struct octets cid;

	learn_begin(_i % 2);
	if (_i / 2 & 1)
		crowd(longer);
	if (_i / 4)
		crowd(shorter);
	cid = octets_of(longer);
	learned_add(&learned, cid.at, cid.len, learned_member(&learned, bed.configured.backend[1].name));
	learned_add(&learned, cid.at, cid.len - 1, learned_member(&learned, bed.configured.backend[0].name));
	free(cid.at);
	snprintf(both, sizeof both, "%s%s00ff%0510d", head, longer, 0);
	snprintf(one, sizeof one, "%s%s0010%032d", head, shorter, 0);
	ck_assert_int_eq(up(Y, both).at, 1);
	ck_assert_int_eq(up(Y, one).at, 0);
}
END_TEST

/* A server that is gone takes along what it gave out, and brings it back. One that is down keeps it. */
START_TEST(servers_go)
{
	const struct conf_backend gone = bed.configured.backend[2];
	char source[32];
	unsigned port = 5000;

	learn_begin(_i);
	learn(source_to(2, &port, source), "?", RANDOM_CID);
	bed.configured.pool.backend_count = 2;
	bed.configured.owner[2] = SNAPSHOT_NO_BACKEND;
	publish();
	ck_assert_int_eq(data(Y, RANDOM_CID).at, NOBODY);
	bed.configured.pool.backend_count = 3;
	bed.configured.backend[2] = bed.configured.backend[0];
	bed.configured.backend[0] = gone;
	publish();
	ck_assert_int_eq(data(Y, RANDOM_CID).at, 0);
}
END_TEST

/* unknown_cid = "hash": a CID that nobody was seen to give out goes by its source, if it is as long as others are. */
START_TEST(by_source)
{
	struct arrival first, again;
	uint64_t hashed;

	bed.configured.pool.unknown_cid = UNKNOWN_CID_HASH;
	learn_begin(_i);
	ck_assert_int_eq(data(Y, OTHER_CID).at, NOBODY);
	learn(X, "X", RANDOM_CID);
	hashed = verdicts(VERDICT_HASH);
	first = data(Y, OTHER_CID);
	ck_assert_int_ne(first.at, NOBODY);
	ck_assert_uint_eq(verdicts(VERDICT_HASH), hashed + 1);
	ck_assert_int_eq(data(Y, OTHER_CID "0f").at, NOBODY);
	ck_assert_str_eq(down(&first, DATA), "Y");
	again = data(Y, OTHER_CID);
	assert_same(first, again);
	ck_assert_uint_eq(verdicts(VERDICT_HASH), hashed + 1);
	ck_assert_int_eq(up(Y, DATA_OF(OTHER_CID) ALERT).at, NOBODY);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, nat_begin, learn_end);
	tcase_set_timeout(tests, 30);
	tcase_add_loop_test(tests, moves, 0, 2);
	tcase_add_loop_test(tests, every_server, 0, 2);
	tcase_add_loop_test(tests, pending, 0, 2);
	tcase_add_loop_test(tests, no_keys, 0, 2);
	tcase_add_loop_test(tests, mixed, 0, 2);
	tcase_add_loop_test(tests, two_servers, 0, 2);
	tcase_add_loop_test(tests, contested, 0, 4);
	tcase_add_loop_test(tests, longest, 0, 8);
	tcase_add_loop_test(tests, servers_go, 0, 2);
	tcase_add_loop_test(tests, by_source, 0, 2);
}
