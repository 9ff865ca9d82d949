#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/route.h"
#include "tests/fixtures/octets.h"
#include "tests/fixtures/records.h"
#include "tests/unit/suite.h"

/* Building stones. CIDs have eight octets, the first one is the server id. */
#define CIPHER16       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define CID(id)        id "c1c2c3c4c5c6c7"
#define RECORD12(id)   "19 fefd 0001 000000000007" CID(id) "0010" CIPHER16
#define RECORD13(id)   "3f" CID(id) "0007 0010" CIPHER16
#define KEY_EXCHANGE   "16 fefd 0000 000000000007 000d 10 000001 0002 000000 000001 ee"
#define ALERT          "15 fefd 0000 000000000007 0002 0228"
#define DATA_NO_CID    "17 fefd 0001 000000000007 0002 aaaa"
#define DATA_EPOCH0    "17 fefd 0000 000000000007 0002 aaaa"
#define UNIFIED_NO_CID "2e 0007 0010" CIPHER16
#define COAP_PING      "40 00 0001"

static const struct {
	const char *name;
	uint8_t id;
	enum backend_health health;
	enum backend_admin admin;
	uint16_t weight;
} cast[] = {
	{ "a", 0x07, BACKEND_UP, BACKEND_READY, 100 },     { "b", 0x08, BACKEND_UP, BACKEND_READY, 100 },
	{ "drain", 0x09, BACKEND_UP, BACKEND_DRAIN, 100 }, { "down", 0x0a, BACKEND_DOWN, BACKEND_READY, 100 },
	{ "maint", 0x0b, BACKEND_UP, BACKEND_MAINT, 100 }, { "leaving", 0x0c, BACKEND_DOWN, BACKEND_DRAIN, 100 },
	{ "idle", 0x0d, BACKEND_UP, BACKEND_READY, 0 },
};
enum { A, B, DRAIN, DOWN, MAINT, LEAVING, IDLE, CAST };
_Static_assert(sizeof cast / sizeof *cast == CAST, "a name each");

enum { UID_STEP = 10 }; /* backend i has uid 10 i + 10 */
#define HINT(backend) ((uint16_t)(UID_STEP * (backend) + UID_STEP))

enum pool_name {
	NODE_ID,      /* by the id, unknown CIDs are dropped */
	NODE_ID_HASH, /* … unknown CIDs are hashed */
	NONE,
	HASHED,
	HASHED_HASH,
	PLAIN,
	ADDRESS,     /* affinity: the address alone */
	WHOLE_ID,    /* the whole CID is the id */
	QUIC_LB,     /* ids of three octets, encrypted: the one of a, as the first octet says nothing of it */
	ALL_DOWN,    /* up ones are down; new sessions go by hash all the same */
	NOBODY,      /* … or are dropped */
	NOBODY_HASH, /* … and unknown CIDs are hashed */
	NOBODY_PLAIN,
	POOLS,
};

static struct snapshot *snapshot;

static struct cid_layout quic_lb_layout(void)
{
	const struct cid_rotation config = { .id_octets = 3, .nonce_octets = 4, .has_key = true, .key = { 7 } };
	struct cid_layout layout;

	ck_assert_int_eq(cid_layout_make(&layout, &config, 1), 0);
	return layout;
}

/* What the layout reads in CID(first). */
static struct server_id id_of(const struct cid_layout *layout, uint8_t first)
{
	const uint8_t cid[] = { first, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7 };
	struct server_id id;

	ck_assert_int_eq(cid_open_octets(&id, layout, cid, sizeof cid), CID_OPENED);
	return id;
}

static void spec_fill(struct snapshot_pool_spec *spec, struct snapshot_backend backends[CAST],
		      struct snapshot_id ids[CAST], enum pool_name pool)
{
	static const char *const names[POOLS] = { "node-id", "node-id-hash", "none",        "hashed",  "hashed-hash",
						  "plain",   "address",      "whole-id",    "quic-lb", "all-down",
						  "nobody",  "nobody-hash",  "nobody-plain" };
	const bool nobody_up = pool >= ALL_DOWN;

	*spec = (struct snapshot_pool_spec){
		.name = names[pool], .uid = (uint16_t)pool, .backends = backends, .backend_count = CAST
	};
	spec->layout.scheme = pool == NONE || pool == PLAIN || pool == NOBODY_PLAIN ? CID_LAYOUT_NONE : CID_LAYOUT_ID;
	if (pool == HASHED || pool == HASHED_HASH)
		spec->layout.scheme = CID_LAYOUT_HASH;
	if (spec->layout.scheme != CID_LAYOUT_NONE)
		spec->layout.length = 8;
	if (spec->layout.scheme == CID_LAYOUT_ID)
		spec->layout.lbcid = (struct lbcid_config){ LBCID_NODE_ID, .length = 8, .offset = 0,
							    .size = pool == WHOLE_ID ? 8 : 1 };
	if (pool == QUIC_LB)
		spec->layout = quic_lb_layout();
	spec->protocol = pool == PLAIN || pool == NOBODY_PLAIN ? POOL_UDP : POOL_DTLS;
	spec->affinity = pool == ADDRESS ? AFFINITY_ADDRESS : AFFINITY_ADDRESS_PORT;
	spec->unknown_cid = pool == NODE_ID_HASH || pool == HASHED_HASH || pool == NOBODY_HASH ? UNKNOWN_CID_HASH
											       : UNKNOWN_CID_DROP;
	spec->all_down = pool == ALL_DOWN ? ALL_DOWN_HASH : ALL_DOWN_DROP;
	if (spec->layout.scheme == CID_LAYOUT_ID) {
		spec->ids = ids;
		spec->id_count = pool == QUIC_LB ? 1 : CAST;
	}
	for (size_t i = 0; i < CAST; i++) {
		if (spec->ids)
			ids[i] = (struct snapshot_id){ id_of(&spec->layout, cast[i].id), (uint16_t)i };
		backends[i] = (struct snapshot_backend){
			.name = cast[i].name,
			.uid = HINT(i),
			.weight = cast[i].weight,
			.health = nobody_up && (i == A || i == B || i == IDLE) ? BACKEND_DOWN : cast[i].health,
			.admin = cast[i].admin,
		};
	}
}

static void setup(void)
{
	const struct siphash_key key = { 1, 2 };
	static struct snapshot_backend backends[POOLS][CAST];
	static struct snapshot_id ids[POOLS][CAST];
	struct snapshot_pool_spec specs[POOLS];

	for (int i = 0; i < POOLS; i++)
		spec_fill(&specs[i], backends[i], ids[i], (enum pool_name)i);
	snapshot = snapshot_build(&key, specs, POOLS, NULL);
	ck_assert_ptr_nonnull(snapshot);
	for (int i = 0; i < POOLS; i++)
		cid_layout_drop(&specs[i].layout);
}

static void teardown(void)
{
	snapshot_free(snapshot);
}

static struct route_in in_of(const struct octets *datagram, const struct addr *source, uint16_t hint)
{
	struct route_in in = { .data = datagram->at, .len = datagram->len, .source = *source, .hint = hint };

	dtls_walk(&in.view, in.data, in.len);
	return in;
}

static struct addr source_of(const char *text)
{
	struct addr source;

	ck_assert_int_eq(addr_parse(&source, text), 0);
	return source;
}

/* Where the CID of the case is expected. */
#define NO_CID 0, 0
enum { BY_HASH = CAST, NOWHERE };

static const struct route_case {
	const char *what, *hex;
	enum pool_name pool;
	uint16_t hint;
	enum verdict verdict;
	int backend;             /* BY_HASH: of the source, or of the CID; NOWHERE: dropped */
	uint8_t cid_at, cid_len; /* octets */
} cases[] = {
	/* clang-format off */
	/* Rule 1: not DTLS, whatever the hint */
	{ "empty", "", NODE_ID, HINT(A), VERDICT_MALFORMED, NOWHERE, NO_CID },
	{ "cut short", "16 fefd 0000 000000000007 000d 10", NODE_ID, HINT(A), VERDICT_MALFORMED, NOWHERE, NO_CID },
	{ "plain CoAP in a DTLS pool", COAP_PING, NODE_ID, HINT(A), VERDICT_TYPE, NOWHERE, NO_CID },
	{ "type 28", "1c fefd 0001 000000000007 0001 aa", NODE_ID, HINT(A), VERDICT_TYPE, NOWHERE, NO_CID },
	{ "application data of epoch 0", DATA_EPOCH0, NODE_ID, HINT(A), VERDICT_EPOCH0_DATA, NOWHERE, NO_CID },
	{ "CID of epoch 0", "19 fefd 0000 000000000007" CID("07") "0010" CIPHER16, NODE_ID, HINT(A), VERDICT_EPOCH0_DATA, NOWHERE, NO_CID },
	{ "alert, then no DTLS", ALERT "ff", NODE_ID, HINT(A), VERDICT_TYPE, NOWHERE, NO_CID },
	{ "not DTLS, pool without layout", COAP_PING, NONE, HINT(A), VERDICT_TYPE, NOWHERE, NO_CID },
	{ "not DTLS, nobody there", "", NOBODY, HINT(A), VERDICT_MALFORMED, NOWHERE, NO_CID },

	/* Rule 2: a ClientHello is a new session */
	{ "ClientHello", MBEDTLS_CLIENT_HELLO, NODE_ID, ROUTE_NO_HINT, VERDICT_HASH, BY_HASH, NO_CID },
	{ "ClientHello of OpenSSL", OPENSSL_CLIENT_HELLO, NODE_ID, ROUTE_NO_HINT, VERDICT_HASH, BY_HASH, NO_CID },
	{ "ClientHello, hint a", MBEDTLS_CLIENT_HELLO, NODE_ID, HINT(A), VERDICT_HASH, BY_HASH, NO_CID },
	{ "ClientHello, hint b", MBEDTLS_CLIENT_HELLO, NODE_ID, HINT(B), VERDICT_HASH, BY_HASH, NO_CID },
	{ "ClientHello, hint drain", MBEDTLS_CLIENT_HELLO, NODE_ID, HINT(DRAIN), VERDICT_HASH, BY_HASH, NO_CID },
	{ "ClientHello, then a CID", MBEDTLS_CLIENT_HELLO RECORD12("09"), NODE_ID, ROUTE_NO_HINT, VERDICT_HASH, BY_HASH, NO_CID },
	{ "ClientHello, then an unknown CID", MBEDTLS_CLIENT_HELLO RECORD12("ff"), NODE_ID, ROUTE_NO_HINT, VERDICT_HASH, BY_HASH, NO_CID },
	{ "ClientHello, no layout", MBEDTLS_CLIENT_HELLO, NONE, HINT(A), VERDICT_HASH, BY_HASH, NO_CID },
	{ "ClientHello, layout hash", MBEDTLS_CLIENT_HELLO, HASHED, HINT(A), VERDICT_HASH, BY_HASH, NO_CID },

	/* Rule 3: the backend of a known id */
	{ "application data of Mbed TLS", MBEDTLS_APPLICATION_DATA, NODE_ID, ROUTE_NO_HINT, VERDICT_CID, A, 11, 8 },
	{ "flight 5 of Mbed TLS: types 22, 20, 25", MBEDTLS_FLIGHT5, NODE_ID, ROUTE_NO_HINT, VERDICT_CID, A, 57, 8 },
	{ "id of b", RECORD12("08"), NODE_ID, ROUTE_NO_HINT, VERDICT_CID, B, 11, 8 },
	{ "the hint is not asked", RECORD12("07"), NODE_ID, HINT(B), VERDICT_CID, A, 11, 8 },
	{ "draining", RECORD12("09"), NODE_ID, ROUTE_NO_HINT, VERDICT_CID_DRAINING, DRAIN, 11, 8 },
	{ "down", RECORD12("0a"), NODE_ID, ROUTE_NO_HINT, VERDICT_CID_DOWN, DOWN, 11, 8 },
	{ "down, with a live hint", RECORD12("0a"), NODE_ID, HINT(A), VERDICT_CID_DOWN, DOWN, 11, 8 },
	{ "maint", RECORD12("0b"), NODE_ID, ROUTE_NO_HINT, VERDICT_MAINT, NOWHERE, NO_CID },
	{ "maint, unknown CIDs are hashed", RECORD12("0b"), NODE_ID_HASH, HINT(A), VERDICT_MAINT, NOWHERE, NO_CID },
	{ "down and draining is down", RECORD12("0c"), NODE_ID, ROUTE_NO_HINT, VERDICT_CID_DOWN, LEAVING, 11, 8 },
	{ "weight 0", RECORD12("0d"), NODE_ID, ROUTE_NO_HINT, VERDICT_CID, IDLE, 11, 8 },
	{ "DTLS 1.3", RECORD13("08"), NODE_ID, ROUTE_NO_HINT, VERDICT_CID, B, 1, 8 },
	{ "DTLS 1.3 without length field", "33" CID("08") "07" CIPHER16, NODE_ID, ROUTE_NO_HINT, VERDICT_CID, B, 1, 8 },
	{ "alert, then a CID", ALERT RECORD12("08"), NODE_ID, ROUTE_NO_HINT, VERDICT_CID, B, 26, 8 },
	{ "the first CID decides", RECORD12("08") RECORD12("07"), NODE_ID, ROUTE_NO_HINT, VERDICT_CID, B, 11, 8 },
	{ "known id, all down", RECORD12("07"), ALL_DOWN, ROUTE_NO_HINT, VERDICT_CID_DOWN, A, 11, 8 },
	{ "known id, nobody there", RECORD12("07"), NOBODY, ROUTE_NO_HINT, VERDICT_CID_DOWN, A, 11, 8 },
	{ "draining, nobody there", RECORD12("09"), NOBODY, ROUTE_NO_HINT, VERDICT_CID_DRAINING, DRAIN, 11, 8 },

	/* Rule 3: ids that are looked up by hash */
	{ "whole CID", RECORD12("08"), WHOLE_ID, ROUTE_NO_HINT, VERDICT_CID, B, 11, 8 },
	{ "whole CID, maint", RECORD12("0b"), WHOLE_ID, HINT(A), VERDICT_MAINT, NOWHERE, NO_CID },
	{ "whole CID, another last octet", "19 fefd 0001 000000000007 07c1c2c3c4c5c6c8 0010" CIPHER16, WHOLE_ID, HINT(A), VERDICT_UNKNOWN_CID, NOWHERE, NO_CID },
	{ "encrypted", RECORD12("07"), QUIC_LB, HINT(B), VERDICT_CID, A, 11, 8 },
	{ "encrypted, DTLS 1.3", RECORD13("07"), QUIC_LB, ROUTE_NO_HINT, VERDICT_CID, A, 1, 8 },
	{ "encrypted, unknown id", "19 fefd 0001 000000000007 07c1c2c3c4c5c6c8 0010" CIPHER16, QUIC_LB, HINT(A), VERDICT_UNKNOWN_CID, NOWHERE, NO_CID },
	{ "encrypted, rotation 1", RECORD12("27"), QUIC_LB, HINT(A), VERDICT_UNKNOWN_CID, NOWHERE, NO_CID },

	/* Rule 3: unknown id, or misfit */
	{ "one below", RECORD12("06"), NODE_ID, ROUTE_NO_HINT, VERDICT_UNKNOWN_CID, NOWHERE, NO_CID },
	{ "one above, hint a", RECORD12("0e"), NODE_ID, HINT(A), VERDICT_UNKNOWN_CID, NOWHERE, NO_CID },
	{ "id ff, DTLS 1.3", RECORD13("ff"), NODE_ID, ROUTE_NO_HINT, VERDICT_UNKNOWN_CID, NOWHERE, NO_CID },
	{ "CID of seven octets", "19 fefd 0001 000000000007 07c1c2c3c4c5c6 0010" CIPHER16, NODE_ID, HINT(A), VERDICT_UNKNOWN_CID, NOWHERE, NO_CID },
	{ "CID of nine octets", "19 fefd 0001 000000000007 07c1c2c3c4c5c6c7c8 0010" CIPHER16, NODE_ID, HINT(A), VERDICT_UNKNOWN_CID, NOWHERE, NO_CID },
	{ "record longer than the datagram", "19 fefd 0001 000000000007" CID("07") "0011" CIPHER16, NODE_ID, HINT(A), VERDICT_UNKNOWN_CID, NOWHERE, NO_CID },
	{ "record without ciphertext", "19 fefd 0001 000000000007" CID("07") "0000", NODE_ID, HINT(A), VERDICT_UNKNOWN_CID, NOWHERE, NO_CID },
	{ "unknown id, hashed", RECORD12("0e"), NODE_ID_HASH, HINT(A), VERDICT_CID_HASHED, BY_HASH, 11, 8 },
	{ "misfit, hashed", "19 fefd 0001 000000000007" CID("07") "0011" CIPHER16, NODE_ID_HASH, HINT(A), VERDICT_CID_HASHED, BY_HASH, 11, 8 },
	{ "three octets of a CID, hashed", "19 fefd 0001 000000000007 070000", NODE_ID_HASH, HINT(A), VERDICT_CID_HASHED, BY_HASH, 11, 3 },
	{ "known id, unknown ones are hashed", RECORD12("08"), NODE_ID_HASH, HINT(A), VERDICT_CID, B, 11, 8 },
	{ "unknown id, nobody there", RECORD12("0e"), NOBODY_HASH, HINT(A), VERDICT_NO_BACKEND, NOWHERE, NO_CID },
	{ "unknown id, dropped, nobody there", RECORD12("0e"), NOBODY, HINT(A), VERDICT_UNKNOWN_CID, NOWHERE, NO_CID },

	/* Rule 3: layouts hash and none */
	{ "layout hash", RECORD12("07"), HASHED, HINT(A), VERDICT_CID_HASHED, BY_HASH, 11, 8 },
	{ "layout hash, flight 5", MBEDTLS_FLIGHT5, HASHED, ROUTE_NO_HINT, VERDICT_CID_HASHED, BY_HASH, 57, 8 },
	{ "layout hash, misfit", "19 fefd 0001 000000000007" CID("07") "0011" CIPHER16, HASHED, HINT(A), VERDICT_UNKNOWN_CID, NOWHERE, NO_CID },
	{ "layout hash, misfit, hashed", "19 fefd 0001 000000000007" CID("07") "0011" CIPHER16, HASHED_HASH, HINT(A), VERDICT_CID_HASHED, BY_HASH, 11, 8 },
	{ "no layout: no CID", RECORD12("07"), NONE, ROUTE_NO_HINT, VERDICT_HASH, BY_HASH, NO_CID },
	{ "no layout, hint b", RECORD12("07"), NONE, HINT(B), VERDICT_HINT, B, NO_CID },
	{ "no layout, DTLS 1.3", RECORD13("07"), NONE, ROUTE_NO_HINT, VERDICT_HASH, BY_HASH, NO_CID },

	/* Rule 4: no CID, no ClientHello */
	{ "key exchange", KEY_EXCHANGE, NODE_ID, ROUTE_NO_HINT, VERDICT_HASH, BY_HASH, NO_CID },
	{ "key exchange, hint a", KEY_EXCHANGE, NODE_ID, HINT(A), VERDICT_HINT, A, NO_CID },
	{ "key exchange, hint b", KEY_EXCHANGE, NODE_ID, HINT(B), VERDICT_HINT, B, NO_CID },
	{ "hint: draining", DATA_NO_CID, NODE_ID, HINT(DRAIN), VERDICT_HINT, DRAIN, NO_CID },
	{ "hint: down", DATA_NO_CID, NODE_ID, HINT(DOWN), VERDICT_HASH, BY_HASH, NO_CID },
	{ "hint: maint", DATA_NO_CID, NODE_ID, HINT(MAINT), VERDICT_HASH, BY_HASH, NO_CID },
	{ "hint: down and draining", DATA_NO_CID, NODE_ID, HINT(LEAVING), VERDICT_HASH, BY_HASH, NO_CID },
	{ "hint: weight 0", DATA_NO_CID, NODE_ID, HINT(IDLE), VERDICT_HINT, IDLE, NO_CID },
	{ "hint: uid of no backend of this pool", DATA_NO_CID, NODE_ID, HINT(A) + 1, VERDICT_HASH, BY_HASH, NO_CID },
	{ "hint: last uid", DATA_NO_CID, NODE_ID, HINT(IDLE) + 1, VERDICT_HASH, BY_HASH, NO_CID },
	{ "hint: uid 0", DATA_NO_CID, NODE_ID, 0, VERDICT_HASH, BY_HASH, NO_CID },
	{ "1.3 without CID, hint", UNIFIED_NO_CID, NODE_ID, HINT(B), VERDICT_HINT, B, NO_CID },
	{ "1.3 without CID", UNIFIED_NO_CID, NODE_ID, ROUTE_NO_HINT, VERDICT_HASH, BY_HASH, NO_CID },
	{ "affinity address", KEY_EXCHANGE, ADDRESS, ROUTE_NO_HINT, VERDICT_HASH, BY_HASH, NO_CID },
	{ "all down", MBEDTLS_CLIENT_HELLO, ALL_DOWN, ROUTE_NO_HINT, VERDICT_HASH, BY_HASH, NO_CID },
	{ "all down, hint down", KEY_EXCHANGE, ALL_DOWN, HINT(A), VERDICT_HASH, BY_HASH, NO_CID },
	{ "nobody there", MBEDTLS_CLIENT_HELLO, NOBODY, ROUTE_NO_HINT, VERDICT_NO_BACKEND, NOWHERE, NO_CID },
	{ "nobody there, key exchange", KEY_EXCHANGE, NOBODY, ROUTE_NO_HINT, VERDICT_NO_BACKEND, NOWHERE, NO_CID },
	{ "nobody there, hint down", KEY_EXCHANGE, NOBODY, HINT(A), VERDICT_NO_BACKEND, NOWHERE, NO_CID },
	{ "nobody there, hint draining", KEY_EXCHANGE, NOBODY, HINT(DRAIN), VERDICT_HINT, DRAIN, NO_CID },

	/* Rule 5: plain UDP pools */
	{ "plain CoAP", COAP_PING, PLAIN, ROUTE_NO_HINT, VERDICT_HASH, BY_HASH, NO_CID },
	{ "plain CoAP, hint", COAP_PING, PLAIN, HINT(B), VERDICT_HINT, B, NO_CID },
	{ "plain CoAP, hint draining", COAP_PING, PLAIN, HINT(DRAIN), VERDICT_HINT, DRAIN, NO_CID },
	{ "plain CoAP, hint down", COAP_PING, PLAIN, HINT(DOWN), VERDICT_HASH, BY_HASH, NO_CID },
	{ "nothing is read", "", PLAIN, ROUTE_NO_HINT, VERDICT_HASH, BY_HASH, NO_CID },
	{ "nor a ClientHello", MBEDTLS_CLIENT_HELLO, PLAIN, HINT(B), VERDICT_HINT, B, NO_CID },
	{ "nor a CID", RECORD12("07"), PLAIN, HINT(B), VERDICT_HINT, B, NO_CID },
	{ "plain CoAP, nobody there", COAP_PING, NOBODY_PLAIN, HINT(A), VERDICT_NO_BACKEND, NOWHERE, NO_CID },
	/* clang-format on */
};

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

static uint64_t dice_state = 2;

static uint32_t dice(uint32_t sides)
{
	dice_state = dice_state * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)((dice_state >> 33) % sides);
}

/* One of the cases, or several in one datagram; every other one damaged. */
static struct octets random_datagram(const struct octets *whole)
{
	uint8_t octets[2048];
	size_t len = 0;

	for (uint32_t parts = 1 + dice(8) / 7 * dice(3); parts > 0; parts--) {
		const struct octets *part = &whole[dice(COUNT_OF(cases))];
		if (part->len)
			memcpy(octets + len, part->at, part->len);
		len += part->len;
	}
	if (len > 0 && dice(2)) {
		for (uint32_t flips = 1 + dice(3); flips > 0; flips--)
			octets[dice(dice(2) ? (uint32_t)len : 1 + (uint32_t)(len - 1) % 24)] = (uint8_t)dice(256);
		if (dice(4) == 0)
			len = dice((uint32_t)len);
	}
	return octets_copy(octets, len);
}

static void assert_consistent(const struct snapshot_pool *pool, const struct route_in *in, const struct route_out *out)
{
	const bool cid = out->verdict <= VERDICT_CID_DOWN || out->verdict == VERDICT_CID_HASHED;
	const bool routed = verdict_is_routed(out->verdict);

	if (out->verdict >= VERDICT_LIMITED ||
	    (routed ? out->backend >= pool->backend_count : out->backend != SNAPSHOT_NO_BACKEND))
		ck_abort_msg("verdict %d, backend %u", out->verdict, out->backend);
	if (cid != (out->cid_len > 0) || cid != (out->cid != NULL))
		ck_abort_msg("verdict %d, CID of %u octets", out->verdict, out->cid_len);
	if (cid && (!route_by_cid(pool, &in->view) || out->cid != in->data + in->view.cid_at ||
		    in->view.cid_at + out->cid_len > in->len))
		ck_abort_msg("CID outside the datagram");
}

/* Every datagram gets one verdict, and in a batch the same one. */
START_TEST(batch_is_one_by_one)
{
	enum { DATAGRAMS = 200000, BATCH_MAX = 100 };
	struct octets whole[COUNT_OF(cases)], datagrams[BATCH_MAX];
	struct route_in in[BATCH_MAX];
	struct route_out out[BATCH_MAX + 1], alone;
	size_t verdicts[VERDICTS] = { 0 }, sum = 0;

	for (int i = 0; i < COUNT_OF(cases); i++)
		whole[i] = octets_of(cases[i].hex);
	while (sum < DATAGRAMS) {
		const struct snapshot_pool *pool = &snapshot->pools[dice(POOLS)];
		const size_t count = dice(BATCH_MAX + 1);
		for (size_t i = 0; i < count; i++) {
			struct addr source = source_of(dice(2) ? "198.51.100.7:1" : "[2001:db8::7]:1");
			source.ip[15] = (uint8_t)dice(256);
			source.port = (uint16_t)dice(65536);
			datagrams[i] = random_datagram(whole);
			in[i] = in_of(&datagrams[i], &source,
				      dice(2) ? ROUTE_NO_HINT : (uint16_t)(UID_STEP * dice(CAST + 2)));
		}
		memset(out, 0xee, sizeof out);
		route_batch(out, pool, in, count);
		for (size_t i = 0; i < count; i++) {
			route(&alone, pool, &in[i]);
			if (alone.verdict != out[i].verdict || alone.backend != out[i].backend ||
			    alone.cid != out[i].cid || alone.cid_len != out[i].cid_len)
				ck_abort_msg("datagram %zu of %zu: %s, alone %s", i, count,
					     verdict_name(out[i].verdict), verdict_name(alone.verdict));
			assert_consistent(pool, &in[i], &alone);
			verdicts[alone.verdict]++;
			free(datagrams[i].at);
		}
		if (out[count].cid_len != 0xee)
			ck_abort_msg("written behind the batch");
		sum += count;
	}
	for (int i = 0; i < VERDICTS; i++) {
		if (i != VERDICT_LIMITED)
			ck_assert_msg(verdicts[i] > 100, "%s: %zu of %zu", verdict_name((enum verdict)i), verdicts[i],
				      sum);
		sum -= verdicts[i];
	}
	ck_assert_uint_eq(sum, 0);
	for (int i = 0; i < COUNT_OF(cases); i++)
		free(whole[i].at);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_unchecked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, decision, 0, COUNT_OF(cases));
	tcase_add_test(tests, by_cid);
	tcase_add_test(tests, affinity);
	tcase_add_test(tests, a_handshake_stays_together);
	tcase_add_test(tests, batch_is_one_by_one);
}
