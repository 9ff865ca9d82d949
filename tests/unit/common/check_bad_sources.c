/* Rule 0: which sources nobody can be answered at. Held against a slow search of everything, too. */
#include <stdlib.h>

#include "common/bad_sources.h"
#include "tests/unit/suite.h"

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

static struct addr addr_of(const char *text)
{
	struct addr addr;

	ck_assert_msg(addr_parse(&addr, text) == 0, "%s", text);
	return addr;
}

static struct port_set open_ports;
static struct bad_sources *sources;

static bool have(const struct addr *source)
{
	return bad_sources_have(sources, bad_sources_marks(sources), source);
}

static void setup(void)
{
	static struct addr pairs[1004];
	const struct bad_prefix prefixes[] = {
		{ addr_of("127.64.0.0:1"), 10 },  { addr_of("10.128.0.0:1"), 9 },   { addr_of("[2001:db8:7::]:1"), 64 },
		{ addr_of("127.0.0.0:5684"), 8 }, { addr_of("[64:ff9b::]:1"), 96 }, { addr_of("192.0.2.8:1"), 30 },
	};
	const struct bad_single singles[] = { { addr_of("198.51.100.9:1"), &open_ports },
					      { addr_of("[2001:db8::9]:1"), &open_ports } };
	struct bad_prefix any_port[COUNT_OF(prefixes)];
	size_t count = 0;

	memcpy(any_port, prefixes, sizeof any_port);
	for (int i = 0; i < COUNT_OF(prefixes); i++)
		any_port[i].addr.port = i == 3 ? 5684 : 0;
	for (unsigned i = 0; i < 1000; i++) {
		pairs[count] = addr_of("203.0.113.0:5684");
		pairs[count].ip[14] = (uint8_t)(i >> 8);
		pairs[count++].ip[15] = (uint8_t)i;
	}
	pairs[count++] = addr_of("203.0.0.7:5684"); /* a second time */
	pairs[count++] = addr_of("[2001:db8::5]:5683");
	pairs[count++] = addr_of("198.51.100.1:65535");
	pairs[count++] = (struct addr){ .ip = { [10] = 0xff, 0xff, 192, 0, 2, 200 } }; /* not known yet: port 0 */
	port_set_add(&open_ports, 20007);
	sources = bad_sources_new(&(struct bad_sources_spec){ pairs, count, any_port, COUNT_OF(any_port), singles, 2 });
	ck_assert_ptr_nonnull(sources);
}

static void teardown(void)
{
	bad_sources_free(sources);
}

static const struct {
	const char *source;
	bool bad;
} cases[] = {
	/* Of no host. */
	{ "0.0.0.0:5684", true },
	{ "[::]:5684", true },
	{ "0.0.0.1:40000", false }, /* an address like any, since Linux 5.3 */
	{ "223.255.255.255:1", false },
	{ "224.0.0.0:1", true },
	{ "239.255.255.255:1", true },
	{ "240.0.0.0:1", false },
	{ "255.255.255.254:1", false },
	{ "255.255.255.255:1", true },
	{ "[ff00::]:1", true },
	{ "[ff02::1]:1", true },
	{ "[fe80::1]:1", false },
	{ "[::1]:1", false },
	{ "[::ffff:224.0.0.1]:1", true },
	/* Pairs. */
	{ "203.0.0.0:5684", true },
	{ "203.0.3.231:5684", true },
	{ "203.0.3.232:5684", false },
	{ "203.0.0.7:5683", false },
	{ "203.0.0.7:5684", true },
	{ "[2001:db8::5]:5683", true },
	{ "[2001:db8::5]:5684", false },
	{ "[2001:db8::6]:5683", false },
	{ "198.51.100.1:65535", true },
	{ "198.51.100.1:65534", false },
	{ "192.0.2.200:5684", false },
	/* A device that uses a server's port. */
	{ "100.64.0.1:5684", false },
	/* Prefixes. */
	{ "127.64.0.0:1", true },
	{ "127.127.255.255:65535", true },
	{ "127.63.255.255:1", false },
	{ "127.128.0.0:1", false },
	{ "10.127.255.255:9", false },
	{ "10.128.0.0:9", true },
	{ "10.255.255.255:9", true },
	{ "11.128.0.0:9", false },
	{ "192.0.2.7:9", false },
	{ "192.0.2.8:9", true },
	{ "192.0.2.11:9", true },
	{ "192.0.2.12:9", false },
	{ "[2001:db8:7::1]:9", true },
	{ "[2001:db8:7:0:ffff::]:9", true },
	{ "[2001:db8:7:1::]:9", false },
	{ "[64:ff9b::102:304]:9", true },
	{ "[64:ff9b:0:0:0:1::]:9", false },
	/* … with a port. */
	{ "127.0.0.1:5684", true },
	{ "127.0.0.1:5685", false },
	{ "127.255.255.255:5684", true },
	{ "126.0.0.1:5684", false },
	/* Single addresses. */
	{ "198.51.100.9:20007", true },
	{ "198.51.100.9:20008", false },
	{ "198.51.100.8:20007", false },
	{ "[2001:db8::9]:20007", true },
	{ "[2001:db8::9]:20006", false },
};

START_TEST(one_source)
{
	const struct addr source = addr_of(cases[_i].source);

	ck_assert_msg(have(&source) == cases[_i].bad, "%s", cases[_i].source);
}
END_TEST

START_TEST(port_0)
{
	struct addr source = addr_of("100.64.0.1:1");

	ck_assert(!have(&source));
	source.port = 0;
	ck_assert(have(&source));
	ck_assert(bad_sources_have(NULL, &bad_marks_always, &source));
}
END_TEST

/* Before anything is known of cidlb. */
START_TEST(always)
{
	for (int i = 0; i < 14; i++) {
		const struct addr source = addr_of(cases[i].source);

		ck_assert_msg(bad_sources_have(NULL, &bad_marks_always, &source) == cases[i].bad, "%s",
			      cases[i].source);
	}
	const struct addr of_server = addr_of("203.0.0.7:5684");
	ck_assert(!bad_sources_have(NULL, &bad_marks_always, &of_server));
}
END_TEST

/* A port that is opened later counts at once. */
START_TEST(port_is_opened)
{
	struct port_set open = { 0 };
	const struct bad_single single = { addr_of("198.51.100.9:1"), &open };
	struct bad_sources *of_one =
		bad_sources_new(&(struct bad_sources_spec){ .singles = &single, .single_count = 1 });
	const struct addr source = addr_of("198.51.100.9:65535");

	ck_assert(!bad_sources_have(of_one, bad_sources_marks(of_one), &source));
	port_set_add(&open, 65535);
	ck_assert(bad_sources_have(of_one, bad_sources_marks(of_one), &source));
	bad_sources_free(of_one);
}
END_TEST

/* The marks never hide a source. */
START_TEST(marks_hide_nothing)
{
	for (unsigned i = 0; i < 2000000; i++) {
		const struct addr near = addr_of(cases[i % COUNT_OF(cases)].source);
		struct addr source = near;
		const unsigned roll = i * 2654435761u;

		source.ip[roll >> 28] ^= (uint8_t)(roll >> 8);
		if (roll & 1)
			source.port = (uint16_t)(roll >> 12);
		ck_assert_int_eq(have(&source), bad_sources_have_marked(sources, &source));
	}
}
END_TEST

struct visited {
	size_t count;
	struct bad_prefix prefixes[1100];
};

static void note(void *ctx, const struct bad_prefix *prefix)
{
	struct visited *visited = ctx;

	ck_assert_uint_lt(visited->count, sizeof visited->prefixes / sizeof *visited->prefixes);
	visited->prefixes[visited->count++] = *prefix;
}

static bool was_visited(const struct visited *visited, const char *text, uint16_t port, uint8_t bits)
{
	struct addr addr = addr_of(text);

	addr.port = port;
	for (size_t i = 0; i < visited->count; i++)
		if (visited->prefixes[i].bits == bits && addr_equal(&visited->prefixes[i].addr, &addr))
			return true;
	return false;
}

/* All of the specification is shown: pairs once, prefixes and single addresses. */
START_TEST(each_is_shown)
{
	static struct visited visited;
	size_t pairs = 0;

	bad_sources_each(sources, note, &visited);
	ck_assert(was_visited(&visited, "127.64.0.0:1", 0, 10));
	ck_assert(was_visited(&visited, "10.128.0.0:1", 0, 9));
	ck_assert(was_visited(&visited, "[2001:db8:7::]:1", 0, 64));
	ck_assert(was_visited(&visited, "127.0.0.0:1", 5684, 8));
	ck_assert(was_visited(&visited, "[64:ff9b::]:1", 0, 96));
	ck_assert(was_visited(&visited, "192.0.2.8:1", 0, 30));
	ck_assert(was_visited(&visited, "198.51.100.9:1", 0, 32));
	ck_assert(was_visited(&visited, "[2001:db8::9]:1", 0, 128));
	for (size_t i = 0; i < visited.count; i++) {
		struct bad_prefix *prefix = &visited.prefixes[i];

		if (prefix->addr.port && prefix->bits >= 32) {
			ck_assert_msg(have(&prefix->addr), "pair %zu", i);
			pairs++;
		}
	}
	ck_assert_uint_ge(pairs, 1000);
	ck_assert_uint_eq(visited.count, pairs + 8);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_unchecked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, one_source, 0, COUNT_OF(cases));
	tcase_add_test(tests, port_0);
	tcase_add_test(tests, always);
	tcase_add_test(tests, port_is_opened);
	tcase_add_test(tests, marks_hide_nothing);
	tcase_add_test(tests, each_is_shown);
}
