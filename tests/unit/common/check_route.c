/* Where one datagram goes. */
#include <stdlib.h>
#include <string.h>

#include "tests/fixtures/route_cases.h"
#include "tests/unit/suite.h"

/* What a hash by the rules of route.h leads to. It is of the source, or of the CID. */
static uint16_t hashed_to(const struct route_case *c, const struct octets *datagram, const struct addr *source)
{
	const struct snapshot_pool *pool = &snapshot->pools[c->pool];
	uint64_t hash = siphash_addr(&pool->hash_key, source, c->pool != ADDRESS);

	if (c->verdict == VERDICT_CID_HASHED)
		hash = siphash24(&pool->hash_key, datagram->at + c->cid_at, c->cid_len);
	return snapshot_backend_of_hash(pool, hash);
}

START_TEST(decision)
{
	const struct route_case *c = &cases[_i];
	const struct snapshot_pool *pool = &snapshot->pools[c->pool];
	struct octets datagram = octets_of(c->hex);

	for (unsigned port = 1; port <= 20; port++) {
		struct addr source = source_of(port % 2 ? "198.51.100.7:1" : "[2001:db8::7]:1");
		source.port = (uint16_t)port;
		struct route_in in = in_of(&datagram, &source, c->hint);
		struct route_out out;
		memset(&out, 0xee, sizeof out);
		route(&out, pool, &in);
		uint16_t backend = c->backend == BY_HASH   ? hashed_to(c, &datagram, &source)
				   : c->backend == NOWHERE ? SNAPSHOT_NO_BACKEND
							   : (uint16_t)c->backend;
		ck_assert_msg(out.verdict == c->verdict, "%s: %s", c->what, verdict_name(out.verdict));
		ck_assert_msg(out.backend == backend, "%s: backend %u", c->what, out.backend);
		ck_assert_msg(out.cid_len == c->cid_len, "%s: CID of %u octets", c->what, out.cid_len);
		ck_assert_msg(out.cid == (c->cid_len ? datagram.at + c->cid_at : NULL), "%s: where the CID is",
			      c->what);
	}
	free(datagram.at);
}
END_TEST

START_TEST(by_cid)
{
	static const struct {
		enum pool_name pool;
		enum dtls_kind kind;
		bool by_cid;
	} table[] = {
		{ NODE_ID, DTLS_CID, true }, { NODE_ID, DTLS_HELLO, false },     { NODE_ID, DTLS_OTHER, false },
		{ HASHED, DTLS_CID, true },  { NODE_ID, DTLS_MALFORMED, false }, { NONE, DTLS_CID, false },
		{ PLAIN, DTLS_CID, false },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		const struct dtls_view view = { .kind = table[i].kind };
		ck_assert_int_eq(route_by_cid(&snapshot->pools[table[i].pool], &view), table[i].by_cid);
	}
}
END_TEST

/* With affinity "address" all ports of a device go to one backend; else they spread over both that take new
 * sessions. */
START_TEST(affinity)
{
	struct octets hello = octets_of(MBEDTLS_CLIENT_HELLO);
	size_t held[POOLS][CAST] = { 0 };

	for (unsigned port = 1; port <= 64; port++) {
		struct addr source = source_of("198.51.100.7:1");
		struct route_out out;
		source.port = (uint16_t)port;
		struct route_in in = in_of(&hello, &source, ROUTE_NO_HINT);
		route(&out, &snapshot->pools[ADDRESS], &in);
		held[ADDRESS][out.backend]++;
		route(&out, &snapshot->pools[NODE_ID], &in);
		held[NODE_ID][out.backend]++;
	}
	ck_assert_uint_eq(held[ADDRESS][A] + held[ADDRESS][B], 64);
	ck_assert(held[ADDRESS][A] == 0 || held[ADDRESS][B] == 0);
	ck_assert_uint_eq(held[NODE_ID][A] + held[NODE_ID][B], 64);
	ck_assert_uint_gt(held[NODE_ID][A], 15);
	ck_assert_uint_gt(held[NODE_ID][B], 15);
	free(hello.at);
}
END_TEST

/* Both ClientHellos and the key exchange of a handshake reach one server, with no flow to remember them. */
START_TEST(a_handshake_stays_together)
{
	struct octets flights[] = { octets_of(MBEDTLS_CLIENT_HELLO), octets_of(OPENSSL_CLIENT_HELLO),
				    octets_of(KEY_EXCHANGE) };

	for (unsigned port = 1; port <= 64; port++) {
		struct addr source = source_of("[2001:db8::7]:1");
		struct route_out out[3];
		source.port = (uint16_t)port;
		for (size_t i = 0; i < 3; i++) {
			struct route_in in = in_of(&flights[i], &source, ROUTE_NO_HINT);
			route(&out[i], &snapshot->pools[NODE_ID], &in);
		}
		ck_assert_uint_eq(out[0].backend, out[1].backend);
		ck_assert_uint_eq(out[0].backend, out[2].backend);
	}
	for (size_t i = 0; i < 3; i++)
		free(flights[i].at);
}
END_TEST

/* Rule 0 comes before all others, and in every pool. */
START_TEST(bad_source)
{
	static const char *const good[] = { "198.51.100.7:5683", "198.51.100.8:5684", "[2001:db8::7]:5684" };
	static const char *const bad[] = { "198.51.100.7:5684", "224.0.0.1:1", "255.255.255.255:5684", "0.0.0.0:9",
					   "[ff02::1]:5684" };
	const struct addr server = source_of("198.51.100.7:5684");

	snapshot_take_bad_sources(snapshot,
				  bad_sources_new(&(struct bad_sources_spec){ .pairs = &server, .pair_count = 1 }));
	for (int i = 0; i < COUNT_OF(cases); i++) {
		const struct snapshot_pool *pool = &snapshot->pools[cases[i].pool];
		struct octets datagram = octets_of(cases[i].hex);

		for (int j = 0; j < COUNT_OF(good) + COUNT_OF(bad); j++) {
			const bool is_bad = j >= COUNT_OF(good);
			const struct addr source = source_of(is_bad ? bad[j - COUNT_OF(good)] : good[j]);
			const struct route_in in = in_of(&datagram, &source, cases[i].hint);
			struct route_out out;

			memset(&out, 0xee, sizeof out);
			route(&out, pool, &in);
			ck_assert_msg(out.verdict == (is_bad ? VERDICT_BAD_SOURCE : cases[i].verdict),
				      "%s, from %d: %s", cases[i].what, j, verdict_name(out.verdict));
			ck_assert(!is_bad || (out.backend == SNAPSHOT_NO_BACKEND && out.cid_len == 0));
		}
		free(datagram.at);
	}
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_unchecked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, decision, 0, COUNT_OF(cases));
	tcase_add_test(tests, by_cid);
	tcase_add_test(tests, affinity);
	tcase_add_test(tests, bad_source);
	tcase_add_test(tests, a_handshake_stays_together);
}
