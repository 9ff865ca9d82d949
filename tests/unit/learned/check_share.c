/* Nodes that share what they learn, and a server that misbehaves, in one event loop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "common/learned_news.h"
#include "learned/share.h"
#include "path/resumed.h"
#include "tests/fixtures/fake_redis.h"
#include "tests/unit/suite.h"

enum { SMALL = LEARNED_MIN_CIDS, NODES = 2, POOLS = 2, LIMIT_MS = 60000 };

static struct event_base *base;
static uint16_t port;

/* A node with two pools that learn, p and q, which have the servers a and b. */
struct node {
	struct share *share;
	struct learned learned[POOLS], sessions; /* what devices resume: of the first pool */
	struct learned_news news[POOLS], session_news;
	void *memory[POOLS + 1];
	struct conf_backend backends[POOLS];
	struct conf_pool pools[POOLS];
	struct conf conf;
};
static struct node nodes[NODES];

static void node_follow(struct node *node)
{
	const struct share_tables tables[POOLS] = { { &node->learned[0], &node->sessions },
						    { &node->learned[1], NULL } };
	struct share_plan *plan;

	for (size_t i = 0; i < POOLS; i++)
		for (size_t j = 0; j < node->pools[i].backend_count; j++)
			(void)learned_member(&node->learned[i], node->backends[j].name);
	/* Its numbers are others. */
	for (size_t j = node->pools[0].backend_count; j-- > 0;)
		(void)learned_member(&node->sessions, node->backends[j].name);
	ck_assert_int_eq(share_plan_new(&plan, &node->conf, tables), 0);
	share_follow(node->share, plan);
}

static void table_begin(struct learned *learned, struct learned_news *news, void **memory)
{
	static const uint8_t secret[16] = { 7 };
	const size_t octets = (learned_octets(SMALL) + 63) / 64 * 64;

	*memory = aligned_alloc(64, octets);
	ck_assert_ptr_nonnull(*memory);
	memset(*memory, 0, octets);
	learned_begin(learned, *memory, SMALL, secret);
	learned->news = news;
}

static void node_begin(struct node *node)
{
	static char *const names[] = { "a", "b" }, *const pools[] = { "p", "q" };

	*node = (struct node){ 0 };
	table_begin(&node->sessions, &node->session_news, &node->memory[POOLS]);
	for (size_t i = 0; i < POOLS; i++) {
		table_begin(&node->learned[i], &node->news[i], &node->memory[i]);
		node->backends[i].name = names[i];
		addr_parse(&node->backends[i].addr, i ? "10.0.0.2:5684" : "10.0.0.1:5684");
		node->pools[i] = (struct conf_pool){ .name = pools[i], .max_cids = SMALL, .max_resumable = SMALL };
		node->pools[i].backends = node->backends;
		node->pools[i].backend_count = 2;
	}
	node->conf = (struct conf){ .pools = node->pools, .pool_count = POOLS, .has_redis = true };
	node->conf.redis.prefix = "cidlb";
	node->conf.redis.password_len = (uint8_t)strlen(FAKE_PASSWORD);
	memcpy(node->conf.redis.password, FAKE_PASSWORD, strlen(FAKE_PASSWORD));
	addr_parse_ip(&node->conf.redis.addr, "127.0.0.1");
	node->conf.redis.addr.port = port;
	ck_assert_int_eq(share_new(&node->share, base), 0);
}

static void node_end(struct node *node)
{
	share_free(node->share);
	node->share = NULL;
	for (size_t i = 0; i <= POOLS; i++)
		free(node->memory[i]);
}

static void set_up(void)
{
	base = event_base_new();
	port = fake_redis_begin(base);
	for (size_t i = 0; i < NODES; i++)
		node_begin(&nodes[i]);
}

static void tear_down(void)
{
	for (size_t i = 0; i < NODES; i++)
		node_end(&nodes[i]);
	fake_redis_end();
	event_base_free(base);
}

static struct share_state look(const struct node *node)
{
	struct share_state state;

	share_look(node->share, &state);
	return state;
}

static void learn(struct node *node, size_t pool, uint32_t number, const char *server)
{
	learned_add(&node->learned[pool], (const uint8_t *)&number, sizeof number,
		    learned_member(&node->learned[pool], server));
}

/* Who gave it out, as the table knows: "a", "b" or "". */
static const char *who_of(const struct learned *learned, const void *octets, size_t len)
{
	const struct learned_place place = learned_look(learned, octets, len);
	struct learned_by by;

	if (!learned_find(learned, &place, &by))
		return "";
	return by.last == learned_member_known(learned, "a")   ? "a"
	       : by.last == learned_member_known(learned, "b") ? "b"
							       : "?";
}

static const char *who(const struct node *node, size_t pool, uint32_t number)
{
	return who_of(&node->learned[pool], &number, sizeof number);
}

#define RUN_UNTIL(condition)                                                                                           \
	do {                                                                                                           \
		const uint64_t end_ms = clock_ms() + LIMIT_MS;                                                         \
		while (!(condition)) {                                                                                 \
			ck_assert_msg(clock_ms() < end_ms, "not in time: %s", #condition);                             \
			event_base_loop(base, EVLOOP_ONCE);                                                            \
		}                                                                                                      \
	} while (0)

START_TEST(one_learns_and_all_know)
{
	for (size_t i = 0; i < NODES; i++)
		node_follow(&nodes[i]);
	learn(&nodes[0], 0, 1, "a");
	learn(&nodes[0], 1, 1, "b");
	learn(&nodes[1], 0, 2, "b");
	RUN_UNTIL(*who(&nodes[1], 0, 1) && *who(&nodes[1], 1, 1) && *who(&nodes[0], 0, 2));
	ck_assert_str_eq(who(&nodes[1], 0, 1), "a");
	ck_assert_str_eq(who(&nodes[1], 1, 1), "b");
	ck_assert_str_eq(who(&nodes[0], 0, 2), "b");
	RUN_UNTIL(look(&nodes[0]).pushed == 2 && look(&nodes[1]).pushed == 1 && look(&nodes[0]).taken == 3);
	for (size_t i = 0; i < NODES; i++) {
		const struct share_state state = look(&nodes[i]);

		ck_assert(state.configured && state.connected);
		ck_assert_uint_eq(state.waiting + state.dropped + state.foreign + state.malformed, 0);
	}
	ck_assert_uint_eq(fake.entries, 3);
}
END_TEST

/* What devices without CIDs resume goes to all nodes. Where the session of an address is does not. */
START_TEST(sessions)
{
	static const uint8_t session[RESUMED_SESSION_OCTETS] = "session", address[RESUMED_ADDRESS_OCTETS] = "address";
	struct learned *of_first = &nodes[0].sessions, *of_second = &nodes[1].sessions;

	node_follow(&nodes[0]);
	learned_add(of_first, address, sizeof address, learned_member(of_first, "a"));
	learned_add(of_first, session, sizeof session, learned_member(of_first, "b"));
	learn(&nodes[0], 0, 1, "a");
	RUN_UNTIL(look(&nodes[0]).pushed == 2);
	node_follow(&nodes[1]);
	RUN_UNTIL(*who_of(of_second, session, sizeof session) && *who(&nodes[1], 0, 1));
	ck_assert_str_eq(who_of(of_second, session, sizeof session), "b");
	ck_assert_str_eq(who(&nodes[1], 0, 1), "a");
	ck_assert_uint_eq(learned_count(of_second), 1);
	ck_assert_uint_eq(learned_count(&nodes[1].learned[0]), 1);
	ck_assert_uint_eq(fake.entries, 2);
	/* And while both read. */
	learned_add(of_second, &session[1], sizeof session - 1, learned_member(of_second, "a"));
	learned_add(of_second, address, sizeof session, learned_member(of_second, "a"));
	RUN_UNTIL(*who_of(of_first, address, sizeof session));
	ck_assert_str_eq(who_of(of_first, address, sizeof session), "a");
	ck_assert_uint_eq(fake.entries, 3);
}
END_TEST

/* More than one reply holds. */
START_TEST(a_new_node_reads_it_all)
{
	node_follow(&nodes[0]);
	for (uint32_t i = 0; i < 1000; i++)
		learn(&nodes[0], i % 2, i, i % 3 ? "a" : "b");
	RUN_UNTIL(look(&nodes[0]).pushed == 1000);
	node_follow(&nodes[1]);
	RUN_UNTIL(look(&nodes[1]).taken == 1000);
	for (uint32_t i = 0; i < 1000; i++)
		ck_assert_str_eq(who(&nodes[1], i % 2, i), i % 3 ? "a" : "b");
}
END_TEST

/* What is learned while the server is away waits; what it has lost, the nodes still know. */
START_TEST(the_server_comes_back_empty)
{
	for (size_t i = 0; i < NODES; i++)
		node_follow(&nodes[i]);
	learn(&nodes[0], 0, 1, "a");
	RUN_UNTIL(*who(&nodes[1], 0, 1));
	fake.closes = fake.rude = true;
	fake_redis_hang_up();
	RUN_UNTIL(!look(&nodes[0]).connected && !look(&nodes[1]).connected);
	ck_assert_str_eq(look(&nodes[0]).reason, "has closed the connection");
	for (uint32_t i = 2; i < 100; i++)
		learn(&nodes[0], 0, i, "b");
	RUN_UNTIL(look(&nodes[0]).waiting == 98);
	fake_redis_flush();
	fake.closes = fake.rude = false;
	RUN_UNTIL(look(&nodes[0]).waiting == 0 && look(&nodes[1]).connected && *who(&nodes[1], 0, 99));
	ck_assert_str_eq(who(&nodes[1], 0, 1), "a");
	ck_assert_str_eq(who(&nodes[1], 0, 99), "b");
	ck_assert_uint_eq(fake.entries, 98);
}
END_TEST

START_TEST(the_server_is_full)
{
	for (size_t i = 0; i < NODES; i++)
		node_follow(&nodes[i]);
	RUN_UNTIL(look(&nodes[0]).connected);
	fake.to_add = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
	learn(&nodes[0], 0, 1, "a");
	RUN_UNTIL(!look(&nodes[0]).connected && *look(&nodes[0]).reason);
	ck_assert_str_eq(look(&nodes[0]).reason, "is full (OOM)");
	ck_assert_uint_eq(look(&nodes[0]).waiting, 1);
	fake.to_add = NULL;
	RUN_UNTIL(*who(&nodes[1], 0, 1) && look(&nodes[0]).connected);
}
END_TEST

START_TEST(what_cannot_wait_is_counted)
{
	enum { MORE = 100, POSTED = SHARE_WAITING + LEARNED_NEWS + MORE };
	uint32_t posted = 0;

	nodes[0].conf.redis.addr.port = 1;
	node_follow(&nodes[0]);
	while (posted < POSTED) {
		for (uint32_t i = 0; i < LEARNED_NEWS / 2 && posted < POSTED; i++, posted++)
			learned_news_post(&nodes[0].news[0], (const uint8_t *)&posted, sizeof posted, 0);
		if (posted < SHARE_WAITING)
			RUN_UNTIL(look(&nodes[0]).waiting == posted);
	}
	RUN_UNTIL(look(&nodes[0]).waiting == SHARE_WAITING);
	ck_assert_uint_ge(look(&nodes[0]).dropped, MORE);
	ck_assert_uint_le(look(&nodes[0]).dropped, MORE + LEARNED_NEWS);
	/* They stay counted when nothing is shared any more. */
	const uint64_t dropped = look(&nodes[0]).dropped;
	nodes[0].conf.has_redis = false;
	node_follow(&nodes[0]);
	ck_assert_uint_eq(look(&nodes[0]).dropped, dropped);
	ck_assert(!look(&nodes[0]).configured);
}
END_TEST

START_TEST(a_wrong_password)
{
	nodes[0].conf.redis.password[0] ^= 1;
	node_follow(&nodes[0]);
	RUN_UNTIL(*look(&nodes[0]).reason);
	ck_assert(!look(&nodes[0]).connected);
	/* Whatever it says beyond: here, the password. */
	ck_assert_str_eq(look(&nodes[0]).reason, "refuses the user or the password (WRONGPASS)");
	nodes[0].conf.redis.password[0] ^= 1;
	node_follow(&nodes[0]);
	RUN_UNTIL(look(&nodes[0]).connected);
}
END_TEST

#define STREAM(key, entries) "*1\r\n*2\r\n$7\r\n" key "\r\n" entries
#define HOSTILE(text, why)                                                                                             \
	{                                                                                                              \
		text, sizeof(text) - 1, why                                                                            \
	}
static const char no_redis[] = "answers what no Redis does";
static const char no_redis_or_too_much[] = "answers what no Redis does, or more than 1 MiB at once";

static const struct {
	const char *text;
	size_t octets;
	const char *why;
} hostile[] = {
	HOSTILE("HTTP/1.1 400 Bad Request\r\n\r\n", no_redis_or_too_much),
	HOSTILE("\0\0\0\0", no_redis_or_too_much),
	HOSTILE("*999999999999\r\n", no_redis_or_too_much),
	HOSTILE("$536870912\r\n", "does not answer"),
	HOSTILE("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", no_redis_or_too_much),
	HOSTILE("-GO away\r\n", "answers with an error"),
	HOSTILE("-LOADING Redis is loading the dataset in memory\r\n", "is loading its data (LOADING)"),
	HOSTILE("-WRONGTYPE x\r\n",
		"the key of a pool is not a stream: redis.prefix is used by something else (WRONGTYPE)"),
	HOSTILE("-OOMPH\r\n", "answers with an error"),
	HOSTILE("-\r\n", "answers with an error"),
	HOSTILE("+OK\r\n", no_redis),
	HOSTILE(":1\r\n", no_redis),
	HOSTILE("*1\r\n:1\r\n", no_redis),
	HOSTILE("*1\r\n*0\r\n", no_redis),
	HOSTILE("*1\r\n*-1\r\n", no_redis),
	HOSTILE(STREAM("cidlb:x", "*0\r\n"), no_redis),
	HOSTILE(STREAM("cidlb:p", "*-1\r\n"), no_redis),
	HOSTILE(STREAM("cidlb:p", "*1\r\n:1\r\n"), no_redis),
	HOSTILE(STREAM("cidlb:p", "*1\r\n*2\r\n$3\r\n0-0\r\n*0\r\n"), no_redis),
	HOSTILE(STREAM("cidlb:p", "*1\r\n*2\r\n$2\r\n1-\r\n*0\r\n"), no_redis),
	HOSTILE(STREAM("cidlb:p", "*1\r\n*2\r\n$2\r\n-1\r\n*0\r\n"), no_redis),
	HOSTILE(STREAM("cidlb:p", "*1\r\n*2\r\n$22\r\n18446744073709551616-1\r\n*0\r\n"), no_redis),
	HOSTILE(STREAM("cidlb:p", "*2\r\n*2\r\n$3\r\n2-0\r\n*0\r\n*2\r\n$3\r\n1-0\r\n*0\r\n"), no_redis),
	HOSTILE(STREAM("cidlb:p", "*1\r\n*2\r\n$3\r\n1-0\r\n*1\r\n$1\r\nx\r\n"), no_redis),
	HOSTILE(STREAM("cidlb:p", "*1\r\n*2\r\n$3\r\n1-0\r\n*-1\r\n"), no_redis),
	HOSTILE(STREAM("cidlb:p", "*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n:1\r\n:2\r\n"), no_redis),
	HOSTILE("*-1\r\n*-1\r\n", NULL), /* the second one nobody waits for */
	HOSTILE("+PONG\r\n+PONG\r\n", NULL),
};

/* To one node whatever it asks, and to the other, too, while it is greeted. It is told from what Redis answers, said in
 * words of ours, and once that is over, all is as if nothing had been. */
START_TEST(hostile_answers)
{
	fake.answer = hostile[_i].text;
	fake.answer_octets = hostile[_i].octets;
	learn(&nodes[0], 0, 1, "a");
	node_follow(&nodes[0]);
	RUN_UNTIL(*look(&nodes[0]).reason);
	fake.rude = true;
	node_follow(&nodes[1]);
	RUN_UNTIL(*look(&nodes[1]).reason && fake.connections >= 6);
	if (hostile[_i].why) {
		ck_assert(!look(&nodes[0]).connected);
		ck_assert_str_eq(look(&nodes[0]).reason, hostile[_i].why);
	}
	ck_assert(!look(&nodes[1]).connected);
	ck_assert_uint_eq(learned_count(&nodes[0].learned[0]), 1);
	ck_assert_uint_eq(learned_count(&nodes[1].learned[0]), 0);
	learn(&nodes[0], 0, 2, "b");
	fake.answer = NULL;
	RUN_UNTIL(look(&nodes[0]).connected && look(&nodes[1]).connected && *who(&nodes[1], 0, 2));
}
END_TEST

#define FIELD(octets, text)     "$" octets "\r\n" text "\r\n"
#define FIELDS(server, at, cid) "*6\r\n" FIELD("6", "server") server FIELD("2", "at") at FIELD("3", "cid") cid
#define A                       FIELD("1", "a")
#define AT_A                    FIELD("13", "10.0.0.1:5684")
#define CID                     FIELD("4", "\1\1\1\1")

enum kind { TAKEN, FOREIGN, MALFORMED };
static const struct {
	const char *fields;
	enum kind kind;
} others[] = {
	{ FIELDS(A, AT_A, CID), TAKEN },
	{ "*8\r\n" FIELD("3", "new") CID FIELD("3", "cid") CID FIELD("2", "at") AT_A FIELD("6", "server") A, TAKEN },
	/* It has moved, or this node knows it by its name. */
	{ FIELDS(A, FIELD("13", "10.0.0.9:5684"), CID), TAKEN },
	{ FIELDS(A, FIELD("0", ""), CID), TAKEN },
	{ FIELDS(A, AT_A, FIELD("20", "12345678901234567890")), TAKEN },
	/* It is another one here, or none. */
	{ FIELDS(A, FIELD("13", "10.0.0.2:5684"), CID), FOREIGN },
	{ FIELDS(FIELD("1", "c"), AT_A, CID), FOREIGN },
	{ FIELDS(FIELD("2", "ab"), AT_A, CID), FOREIGN },
	{ FIELDS(FIELD("0", ""), AT_A, CID), FOREIGN },
	{ FIELDS(A, AT_A, FIELD("0", "")), MALFORMED },
	{ FIELDS(A, AT_A, FIELD("21", "123456789012345678901")), MALFORMED },
	{ "*4\r\n" FIELD("6", "server") A FIELD("3", "cid") CID, MALFORMED },
	{ "*4\r\n" FIELD("2", "at") AT_A FIELD("3", "cid") CID, MALFORMED },
	{ "*2\r\n" FIELD("3", "cid") CID, MALFORMED },
	{ "*0\r\n", MALFORMED },
};

/* Each is one entry, and the next one is taken whatever it is. */
START_TEST(entries_of_others)
{
	const size_t of_kind = others[_i].kind;

	node_follow(&nodes[0]);
	fake_redis_add("cidlb:p", others[_i].fields);
	fake_redis_add("cidlb:p", FIELDS(FIELD("1", "b"), FIELD("13", "10.0.0.2:5684"), FIELD("4", "\2\2\2\2")));
	RUN_UNTIL(*who(&nodes[0], 0, 0x02020202));
	ck_assert_str_eq(who(&nodes[0], 0, 0x02020202), "b");
	ck_assert_uint_eq(look(&nodes[0]).taken, 1 + (of_kind == TAKEN));
	ck_assert_uint_eq(look(&nodes[0]).foreign, of_kind == FOREIGN);
	ck_assert_uint_eq(look(&nodes[0]).malformed, of_kind == MALFORMED);
	ck_assert_uint_eq(learned_count(&nodes[0].learned[0]), 1 + (of_kind == TAKEN));
	ck_assert(look(&nodes[0]).connected);
}
END_TEST

/* Each stream has entries of its own kind. */
START_TEST(entries_of_another_kind)
{
	static const struct {
		const char *key, *fields;
	} wrong[] = {
		{ "cidlb:p:sessions", FIELDS(A, AT_A, FIELD("8", "12345678")) },
		{ "cidlb:p:sessions",
		  "*6\r\n" FIELD("6", "server") A FIELD("2", "at") AT_A FIELD("7", "session") FIELD("9", "123456789") },
		{ "cidlb:p",
		  "*6\r\n" FIELD("6", "server") A FIELD("2", "at") AT_A FIELD("7", "session") FIELD("8", "12345678") },
	};

	node_follow(&nodes[0]);
	for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		fake_redis_add(wrong[i].key, wrong[i].fields);
		RUN_UNTIL(look(&nodes[0]).malformed == i + 1);
	}
	ck_assert_uint_eq(learned_count(&nodes[0].sessions) + learned_count(&nodes[0].learned[0]), 0);
	ck_assert(look(&nodes[0]).connected);
}
END_TEST

/* A reload brings a server that others know already. What waits is not forgotten, but what is of a pool that is gone.
 */
START_TEST(a_reload)
{
	for (size_t i = 0; i < NODES; i++)
		node_follow(&nodes[i]);
	nodes[1].pools[0].backend_count = 1;
	node_follow(&nodes[1]);
	learn(&nodes[0], 0, 1, "b");
	RUN_UNTIL(look(&nodes[1]).foreign == 1);
	nodes[1].pools[0].backend_count = 2;
	node_follow(&nodes[1]);
	RUN_UNTIL(*who(&nodes[1], 0, 1));
	ck_assert_str_eq(who(&nodes[1], 0, 1), "b");

	fake.to_add = "-OOM\r\n";
	learn(&nodes[1], 0, 2, "b");
	learn(&nodes[1], 1, 3, "a");
	RUN_UNTIL(look(&nodes[1]).waiting == 2);
	nodes[1].conf.pool_count = 1;
	node_follow(&nodes[1]);
	ck_assert_uint_eq(look(&nodes[1]).waiting, 1);
	fake.to_add = NULL;
	RUN_UNTIL(*who(&nodes[0], 0, 2));
	ck_assert_str_eq(who(&nodes[0], 1, 3), "");
}
END_TEST

/* Sharing ends and begins: what was learned in between is this node's alone. */
START_TEST(switched_off_and_on)
{
	node_follow(&nodes[1]);
	for (uint32_t i = 1; i <= 3; i++) {
		nodes[0].conf.has_redis = i % 2;
		node_follow(&nodes[0]);
		learn(&nodes[0], 0, i, "a");
	}
	RUN_UNTIL(*who(&nodes[1], 0, 3));
	ck_assert_str_eq(who(&nodes[1], 0, 1), "a");
	ck_assert_str_eq(who(&nodes[1], 0, 2), "");
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, LIMIT_MS / 1000);
	tcase_add_test(tests, one_learns_and_all_know);
	tcase_add_test(tests, sessions);
	tcase_add_test(tests, a_new_node_reads_it_all);
	tcase_add_test(tests, the_server_comes_back_empty);
	tcase_add_test(tests, the_server_is_full);
	tcase_add_test(tests, what_cannot_wait_is_counted);
	tcase_add_test(tests, a_wrong_password);
	tcase_add_loop_test(tests, hostile_answers, 0, (int)(sizeof hostile / sizeof *hostile));
	tcase_add_loop_test(tests, entries_of_others, 0, (int)(sizeof others / sizeof *others));
	tcase_add_test(tests, entries_of_another_kind);
	tcase_add_test(tests, a_reload);
	tcase_add_test(tests, switched_off_and_on);
}
