/* Nodes side by side. Two that share a configuration decide alike, even if it is written in another order and with what
 * is the node's own. */
#include "common/route.h"
#include "control/fingerprint.h"
#include "control/table_build.h"
#include "tests/fixtures/conf_fixture.h"
#include "tests/fixtures/octets.h"
#include "tests/fixtures/records.h"
#include "tests/unit/suite.h"

enum { DATAGRAMS = 1000000, TEXT_OCTETS = 1 << 18, ENTRY_OCTETS = 256, MOST_BACKENDS = 64 };

#define KEY   "000102030405060708090a0b0c0d0e0f"
#define OTHER "000102030405060708090a0b0c0d0e10"

static const size_t sizes[] = { 1, 2, 3, 4, 5, 7, 8, 16, 31, MOST_BACKENDS };

static const char *const schemes[] = {
	"cid = { scheme = \"node-id\"; length = 6; };",
	"cid = { scheme = \"quic-lb\"; configs = ("
	"{ rotation = 0; server_id_length = 1; nonce_length = 6; key = \"8f95f09245765f80256934e50c66207f\"; },"
	"{ rotation = 3; server_id_length = 1; nonce_length = 6; }); };",
	"cid = { scheme = \"hash\"; length = 7; }; unknown_cid = \"hash\";",
	"cid = { scheme = \"none\"; }; affinity = \"address\";",
	"protocol = \"udp\";",
};

enum { POOLS = COUNT_OF(sizes) * COUNT_OF(schemes) };
_Static_assert((int)POOLS <= (int)CONF_MAX_POOLS, "one configuration has them all");

/* SplitMix64. */
static uint64_t dice_state;

static uint64_t draw(void)
{
	uint64_t x = dice_state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t dice(uint64_t sides)
{
	return draw() % sides;
}

static int dice_fill(void *ctx, uint8_t *out, size_t len)
{
	uint64_t drawn = 0;

	(void)ctx;
	for (size_t i = 0; i < len; i++, drawn >>= 8) {
		if (i % 8 == 0)
			drawn = draw();
		out[i] = (uint8_t)drawn;
	}
	return 0;
}

/* What differs between the files of two nodes. */
struct node_text {
	const char *key, *top, *address;
	bool shuffled;
};

struct writer {
	char text[TEXT_OCTETS];
	size_t len;
};

static __attribute__((format(printf, 2, 3))) void add(struct writer *to, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	to->len += (size_t)vsnprintf(to->text + to->len, sizeof to->text - to->len, format, args);
	va_end(args);
	ck_assert_uint_lt(to->len, sizeof to->text);
}

/* 0..count - 1, in order or in none. */
static const size_t *order(size_t count, bool shuffled)
{
	static size_t all[MOST_BACKENDS];

	for (size_t i = 0; i < count; i++)
		all[i] = i;
	for (size_t i = count; shuffled && i-- > 1;) {
		const size_t j = dice(i + 1), moved = all[i];
		all[i] = all[j];
		all[j] = moved;
	}
	return all;
}

/* All weights, some of them 0, and all states. */
static void add_backends(struct writer *to, size_t pool, bool shuffled)
{
	static const char *const states[] = { "ready", "ready", "ready", "ready", "drain", "ready", "maint" };
	const size_t count = sizes[pool % COUNT_OF(sizes)], *at = order(count, shuffled);

	add(to, "backends = (");
	for (size_t i = 0; i < count; i++)
		add(to,
		    "%s{ name = \"b%zu\"; id = %zu; address = \"127.0.%zu.%zu:6000\"; weight = %zu; state = \"%s\"; }",
		    i ? ", " : "", at[i], at[i] * 3, pool, at[i] + 1, (at[i] * 37 + pool + 1) % 257, states[at[i] % 7]);
	add(to, "); }");
}

static void add_pool(struct writer *to, size_t pool, bool shuffled)
{
	add(to, "{ name = \"p%zu\"; %s nat = { ports = \"40684-40691\"; sources = [ %s ]; }; ", pool,
	    schemes[pool / COUNT_OF(sizes)],
	    shuffled ? "\"127.200.0.0/16\", \"127.64.0.0/10\"" : "\"127.64.0.0/10\", \"127.200.0.0/16\"");
	add_backends(to, pool, shuffled);
}

static void write_text(struct writer *to, const struct node_text *of)
{
	size_t pools[POOLS];

	to->len = 0;
	add(to, "hash_key = \"%s\"; user = \"nobody\"; state_file = \"\"; %s listeners = (", of->key, of->top);
	memcpy(pools, order(POOLS, of->shuffled), sizeof pools);
	for (size_t i = 0; i < POOLS; i++)
		add(to, "%s{ name = \"l%zu\"; address = \"%s:%zu\"; pool = \"p%zu\"; }", i ? ", " : "", pools[i],
		    of->address, 5684 + pools[i], pools[i]);
	add(to, "); pools = (");
	memcpy(pools, order(POOLS, of->shuffled), sizeof pools);
	for (size_t i = 0; i < POOLS; i++) {
		add(to, "%s", i ? ", " : "");
		add_pool(to, pools[i], of->shuffled);
	}
	add(to, ");");
}

struct node {
	struct conf *conf;
	struct table *table;
	uint16_t listener_uids[CONF_MAX_LISTENERS];
	size_t pool_at[POOLS], listener_at[POOLS]; /* index of "pN", and of "lN" */
};

/* As the daemon does it. */
static void node_begin(struct node *node, const struct node_text *of)
{
	static struct writer writer;
	struct uids *pools = uids_new(STATS_POOLS), *backends = uids_new(STATS_BACKENDS);
	struct conf_report report = { 0 };
	struct table_spec spec;

	write_text(&writer, of);
	node->conf = parse_text("node.conf", writer.text, &report);
	ck_assert_msg(node->conf, "%s", join_lines(report.errors, report.error_count));
	conf_report_free(&report);
	ck_assert_int_eq(table_spec_make(&spec, node->conf, pools, backends), 0);
	for (size_t i = 0; i < POOLS; i++) {
		node->listener_uids[i] = (uint16_t)i;
		node->listener_at[strtoul(node->conf->listeners[i].name + 1, NULL, 10)] = i;
		node->pool_at[strtoul(node->conf->pools[i].name + 1, NULL, 10)] = i;
	}
	node->table = table_build(node->conf, &spec, node->listener_uids, NULL);
	ck_assert_ptr_nonnull(node->table);
	table_spec_free(&spec);
	uids_free(pools);
	uids_free(backends);
}

static void node_end(struct node *node)
{
	table_free(node->table);
	conf_free(node->conf);
}

struct datagram {
	uint8_t data[256];
	size_t len;
	struct addr source;
};

static void put(struct datagram *to, const void *octets, size_t len)
{
	memcpy(to->data + to->len, octets, len);
	to->len += len;
}

/* A CID that a backend of the pool would mint, or any other. */
static size_t make_cid(const struct conf_pool *pool, uint8_t cid[static LBCID_MAX_OCTETS])
{
	const struct conf_backend *backend = &pool->backends[dice(pool->backend_count)];
	const struct lbcid_config *config = cid_config(&pool->layout, (uint8_t)(dice(2) * 3));
	const uint8_t stranger[LBCID_MAX_ID_OCTETS] = { 250 };

	dice_fill(NULL, cid, LBCID_MAX_OCTETS);
	if (!config || dice(8) == 0)
		return pool->layout.length ? pool->layout.length : 6;
	ck_assert_int_eq(lbcid_mint(config, dice(8) ? backend->id.octets : stranger, dice_fill, NULL, cid), 0);
	return config->length;
}

static void put_cid_record(struct datagram *to, const struct conf_pool *pool)
{
	const uint8_t head[] = { 25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, (uint8_t)dice(256) }, length[] = { 0, 24 };
	uint8_t cid[LBCID_MAX_OCTETS];

	put(to, head, sizeof head);
	put(to, cid, make_cid(pool, cid));
	put(to, length, sizeof length);
	to->len += 24;
}

/* DTLS 1.3: CID, 16-bit sequence number, no length. */
static void put_unified(struct datagram *to, const struct conf_pool *pool)
{
	uint8_t cid[LBCID_MAX_OCTETS];

	to->data[to->len++] = 0x3b;
	put(to, cid, make_cid(pool, cid));
	to->len += 2 + 24;
}

static void put_octets(struct datagram *to, const struct octets *octets, size_t len)
{
	put(to, octets->at, len);
}

static void make_datagram(struct datagram *out, const struct conf_pool *pool, const struct octets *hello,
			  const struct octets *flight)
{
	const uint8_t data_head[] = { 23, 0xfe, 0xfd, 0, dice(4) != 0, 0, 0, 0, 0, 0, 0, 0, 24 };

	dice_fill(NULL, out->data, sizeof out->data);
	out->len = 0;
	switch (dice(9)) {
	case 0:
		put_octets(out, hello, hello->len);
		break;
	case 1:
	case 2:
		put_cid_record(out, pool);
		break;
	case 3:
		put_unified(out, pool);
		break;
	case 4: /* ClientKeyExchange and ChangeCipherSpec in front */
		put_octets(out, flight, 46);
		put_cid_record(out, pool);
		break;
	case 5:
		put(out, data_head, sizeof data_head);
		out->len += 24;
		break;
	case 6: /* a ClientHello behind it */
		put_cid_record(out, pool);
		put_octets(out, hello, hello->len);
		break;
	case 7: /* cut short */
		put_cid_record(out, pool);
		out->len = dice(out->len);
		break;
	default:
		out->data[0] = (uint8_t)(dice(2) ? out->data[0] : 20 + out->data[0] % 44);
		out->len = dice(sizeof out->data);
	}
	dice_fill(NULL, out->source.ip, sizeof out->source.ip);
	if (dice(4))
		memcpy(out->source.ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
	out->source.port = (uint16_t)(1 + dice(UINT16_MAX));
}

struct decision {
	enum verdict verdict;
	uint16_t index;
	const char *backend; /* NULL: dropped */
	struct addr endpoint;
};

static struct decision decide(const struct node *node, size_t pool, const struct datagram *datagram)
{
	const struct snapshot_pool *in_force = &node->table->snapshot->pools[node->pool_at[pool]];
	const struct table_pool *settings = &node->table->pools[node->pool_at[pool]];
	const struct table_listener *listener = &node->table->listeners[node->listener_at[pool]];
	struct route_in in = {
		.data = datagram->data, .len = datagram->len, .source = datagram->source, .hint = ROUTE_NO_HINT
	};
	struct decision made = { 0 };
	struct route_out out;
	uint64_t hash;

	if (in_force->protocol == POOL_DTLS)
		dtls_walk(&in.view, in.data, in.len);
	route(&out, in_force, &in);
	made.verdict = out.verdict;
	if (out.backend == SNAPSHOT_NO_BACKEND)
		return made;
	made.index = out.backend;
	made.backend = in_force->backends[out.backend].name;
	hash = out.cid_len ? siphash24(&settings->endpoint_key, out.cid, out.cid_len)
			   : siphash_addr(&listener->endpoint_key, &in.source, true);
	ck_assert(endpoint_at(&made.endpoint, &settings->space, true, hash, 0));
	return made;
}

static bool same_backend(const struct decision *a, const struct decision *b)
{
	return a->backend == b->backend || (a->backend && b->backend && strcmp(a->backend, b->backend) == 0);
}

static const struct node_text as_listed = { .key = KEY, .top = "workers = 1;", .address = "127.0.0.1" };
static const struct node_text shuffled = {
	.key = KEY, .top = "workers = 2; rcvbuf_octets = 8192;", .address = "127.0.0.2", .shuffled = true
};

/* The node that others are compared with. */
static struct node one;

static void begin(void)
{
	node_begin(&one, &as_listed);
}

static void end(void)
{
	node_end(&one);
}

START_TEST(nodes_decide_alike)
{
	/* Sanitizers look at the code and not at what it decides, so fewer datagrams do. */
	const size_t datagrams = getenv("CIDLB_SANITIZE") ? DATAGRAMS / 4 : DATAGRAMS;
	struct octets hello = octets_of(MBEDTLS_CLIENT_HELLO), flight = octets_of(MBEDTLS_FLIGHT5);
	size_t verdicts[VERDICTS] = { 0 }, other_index = 0;
	char of_one[FINGERPRINT_TEXT_OCTETS], of_other[FINGERPRINT_TEXT_OCTETS];
	struct node other;
	struct datagram datagram;

	node_begin(&other, &shuffled);
	ck_assert_str_eq(fingerprint_format(of_one, one.conf), fingerprint_format(of_other, other.conf));
	for (size_t i = 0; i < datagrams; i++) {
		const size_t pool = dice(POOLS);
		make_datagram(&datagram, &one.conf->pools[one.pool_at[pool]], &hello, &flight);
		const struct decision here = decide(&one, pool, &datagram), there = decide(&other, pool, &datagram);
		ck_assert_int_eq(here.verdict, there.verdict);
		ck_assert_msg(same_backend(&here, &there), "p%zu: %s, %s", pool, here.backend, there.backend);
		ck_assert(addr_equal(&here.endpoint, &there.endpoint));
		verdicts[here.verdict]++;
		other_index += here.index != there.index;
	}
	/* There are enough of those that say something about it. */
	ck_assert_uint_gt(other_index, datagrams / 5 * 2);
	for (enum verdict v = 0; v < VERDICTS; v++)
		ck_assert_msg(verdicts[v] > datagrams / 1000 || v == VERDICT_CID_DOWN || v == VERDICT_HINT ||
				      v == VERDICT_LIMITED || v == VERDICT_NO_BACKEND,
			      "%s: %zu", verdict_name(v), verdicts[v]);
	free(hello.at);
	free(flight.at);
	node_end(&other);
}
END_TEST

/* With another key, datagrams with a CID go where they went, because no key has a say in that. The others go anywhere,
 * and every endpoint is another. */
START_TEST(another_key_shows)
{
	struct octets hello = octets_of(MBEDTLS_CLIENT_HELLO), flight = octets_of(MBEDTLS_FLIGHT5);
	struct node_text text = as_listed;
	const size_t pool = COUNT_OF(sizes) - 1; /* node-id, 64 backends */
	size_t hashed = 0, same = 0, endpoints = 0;
	char of_one[FINGERPRINT_TEXT_OCTETS], of_other[FINGERPRINT_TEXT_OCTETS];
	struct node other;
	struct datagram datagram;

	text.key = OTHER;
	node_begin(&other, &text);
	ck_assert_str_ne(fingerprint_format(of_one, one.conf), fingerprint_format(of_other, other.conf));
	for (int i = 0; i < 100000; i++) {
		make_datagram(&datagram, &one.conf->pools[one.pool_at[pool]], &hello, &flight);
		const struct decision here = decide(&one, pool, &datagram), there = decide(&other, pool, &datagram);
		ck_assert_int_eq(here.verdict, there.verdict);
		if (here.verdict == VERDICT_HASH) {
			hashed++;
			same += same_backend(&here, &there);
		} else {
			ck_assert(same_backend(&here, &there));
		}
		endpoints += here.backend && addr_equal(&here.endpoint, &there.endpoint);
	}
	ck_assert_uint_gt(hashed, 10000);
	ck_assert_uint_lt(same, hashed / 10);
	ck_assert_uint_lt(endpoints, 10);
	free(hello.at);
	free(flight.at);
	node_end(&other);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, begin, end);
	tcase_set_timeout(tests, 240);
	tcase_add_test(tests, nodes_decide_alike);
	tcase_add_test(tests, another_key_shows);
}
