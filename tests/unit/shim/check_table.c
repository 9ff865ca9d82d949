#include <stdio.h>

#include "shim/table.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

#define MAPPED [10] = 0xff, [11] = 0xff

static const struct addr device = { { MAPPED, 192, 0, 2, 1 }, 56324 };
static const struct addr service = { { MAPPED, 198, 51, 100, 7 }, 5684 };
static const struct addr node = { { MAPPED, 10, 0, 0, 2 }, 7200 };
static const struct addr device6 = { { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 }, 56324 };
static const struct addr service6 = { { 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, [15] = 7 }, 5684 };

static struct table table; /* 11 MiB */
static uint32_t now_s;

static struct addr device_of(unsigned i)
{
	return (struct addr){ { MAPPED, 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i }, 5000 };
}

static struct table_way way_of(unsigned i)
{
	return (struct table_way){ { { MAPPED, 10, 0, 0, 2 }, (uint16_t)(i % 60000 + 1) }, service, 0, 0 };
}

static void assert_way(unsigned port, const struct addr *to, const struct table_way *expected)
{
	struct table_way ways[TABLE_PAIRS];

	ck_assert_uint_eq(table_find(&table, port, to, ways), 1);
	ck_assert_mem_eq(&ways[0], expected, sizeof *ways);
}

static bool is_unknown(unsigned port, const struct addr *to)
{
	struct table_way ways[TABLE_PAIRS];

	return table_find(&table, port, to, ways) == 0;
}

/* A way of each of these letters, by node 1: services 198.51.100.LETTER. */
static struct table_way way_by(char letter)
{
	struct table_way way = { node, service, 0, 0 };

	way.service.ip[15] = (uint8_t)letter;
	return way;
}

/* The device sends to these service addresses, one after the other. */
static void hear(const char *letters)
{
	for (; *letters; letters++) {
		const struct table_way way = way_by(*letters);
		table_learn(&table, 0, &device, &way, now_s);
	}
}

static void assert_services(const struct addr *to, const char *expected)
{
	struct table_way ways[TABLE_PAIRS];
	char found[TABLE_PAIRS + 1] = "";

	const size_t count = table_find(&table, 0, to, ways);
	for (size_t i = 0; i < count; i++)
		found[i] = (char)ways[i].service.ip[15];
	ck_assert_str_eq(found, expected);
}

static void new_table(void)
{
	memset(&table, 0, sizeof table);
	table.key = (struct siphash_key){ 1, 2 };
	now_s = 1000000;
}

START_TEST(node_is_the_last_one)
{
	const struct table_way one = { node, service, 0, 0 },
			       two = { { { MAPPED, 10, 0, 0, 3 }, 7200 }, service, 0, 0 };

	ck_assert(is_unknown(0, &device));
	table_learn(&table, 0, &device, &one, now_s);
	assert_way(0, &device, &one);
	table_learn(&table, 0, &device, &two, now_s);
	assert_way(0, &device, &two);
	table_learn(&table, 0, &device, &one, now_s);
	assert_way(0, &device, &one);
}
END_TEST

START_TEST(unknown_devices_go_the_way_of_the_last_datagram)
{
	const struct table_way one = { node, service, 0, 0 },
			       two = { { { MAPPED, 10, 0, 0, 3 }, 7200 }, service, 0, 0 };
	const struct table_way six = { node, service6, 0, 0 };
	const struct addr stranger = device_of(9);

	table_learn(&table, 0, &device, &one, now_s);
	assert_way(0, &stranger, &one);
	table_learn(&table, 0, &service, &two, now_s);
	assert_way(0, &stranger, &two);
	assert_way(0, &device, &one);
	/* Not that of another family, for which the service address would be none. */
	ck_assert(is_unknown(0, &device6));
	table_learn(&table, 0, &device6, &six, now_s);
	assert_way(0, &service6, &six);
	assert_way(0, &stranger, &two);
}
END_TEST

START_TEST(probes_are_followed_by_nobody_else)
{
	const struct table_way one = { node, service, 0, 0 },
			       of_probes = { { { MAPPED, 10, 0, 0, 2 }, 7204 }, service, 0, 0 };
	const struct addr probe = { { MAPPED, 10, 0, 0, 2 }, 1024 }, stranger = device_of(9);

	/* But where nothing else is known. */
	table_learn(&table, 0, &probe, &of_probes, now_s);
	assert_way(0, &stranger, &of_probes);
	table_learn(&table, 0, &device, &one, now_s);
	table_learn(&table, 0, &probe, &of_probes, now_s);
	assert_way(0, &probe, &of_probes);
	assert_way(0, &stranger, &one);
}
END_TEST

/* Reasons and promises: table.h. */
static const struct {
	const char *heard;    /* a letter is a service address; '+': a second less than the silence; '1': a second */
	const char *services; /* by which the device is sent its datagrams, in this order */
} histories[] = {
	{ "a", "a" },
	{ "aaa", "a" },
	/* One datagram turns nothing, however long the device was silent. */
	{ "ab", "ab" },
	{ "a+1+1+1b", "ab" },
	{ "aba", "ab" },
	/* Many neither. */
	{ "abc", "abc" },
	{ "abcd", "abd" },
	{ "abcdefghbcdefgh", "abh" },
	{ "a+b+c+d", "abd" },
	/* A device at two service addresses. */
	{ "ab+ab+ab+ab+ab", "ab" },
	{ "ab+ba+ab", "ab" },
	/* One that has moved: the old way goes once the new one has been heard for long enough. */
	{ "ab+b", "ab" },
	{ "ab+1b", "b" },
	{ "a+1b+b", "ab" },
	{ "a+1b+1b", "b" },
	{ "a+1b+1a", "a" },
	/* Whoever spoofs must go on for all that time, without a word of the device. */
	{ "ab+a1b", "ab" },
	{ "ab+ab+b", "ab" },
	{ "ab+ab+1b", "b" },
	/* What a spoofer left behind goes likewise. */
	{ "abc+1a", "a" },
	{ "abc+c1a", "ac" },
	{ "a+1bcd+1ad", "ad" },
};

START_TEST(history)
{
	for (const char *event = histories[_i].heard; *event; event++) {
		const char letter[] = { *event, '\0' };
		if (*event == '+')
			now_s += TABLE_SILENCE_S - 1;
		else if (*event == '1')
			now_s += 1;
		else
			hear(letter);
	}
	assert_services(&device, histories[_i].services);
	/* They hold for devices without an entry, too. */
	const struct addr unknown = device_of(9);
	assert_services(&unknown, histories[_i].services);
}
END_TEST

START_TEST(times_may_come_late)
{
	/* Two threads: the one that read the clock first comes second. Also where the clock wraps. */
	now_s = 5;
	hear("a");
	now_s = UINT32_MAX;
	hear("b");
	now_s = 5;
	hear("a");
	assert_services(&device, "ab");
}
END_TEST

START_TEST(node_changes_make_no_copies)
{
	struct table_way way = { node, service, 0, 0 };

	for (uint16_t i = 0; i < 100; i++) {
		way.node.ip[15] = (uint8_t)(i % 7);
		way.node.port = i;
		table_learn(&table, 0, &device, &way, now_s);
		assert_way(0, &device, &way);
	}
}
END_TEST

static void hear_key(const struct addr *from, char letter, uint8_t key)
{
	struct table_way way = way_by(letter);

	way.key = key;
	table_learn(&table, 0, from, &way, now_s);
}

static void assert_keys(const struct addr *to, size_t count, const uint16_t *expected)
{
	struct table_way ways[TABLE_PAIRS];

	ck_assert_uint_eq(table_find(&table, 0, to, ways), count);
	for (size_t i = 0; i < count; i++)
		ck_assert_uint_eq(ways[i].key, expected[i]);
}

/* A device sleeps while its pool goes on to another key: what is sent to it has the new one. */
START_TEST(a_service_address_has_one_key)
{
	const struct addr other = device_of(1), probe = { { MAPPED, 10, 0, 0, 2 }, 1024 }, unknown = device_of(9);

	hear_key(&device, 'a', 0);
	hear_key(&device, 'b', 2);
	assert_keys(&device, 2, (const uint16_t[]){ 0, 2 });
	hear_key(&other, 'a', 1);
	assert_keys(&device, 2, (const uint16_t[]){ 1, 2 });
	assert_keys(&other, 1, (const uint16_t[]){ 1 });
	/* As soon as a probe has shown it. */
	hear_key(&probe, 'b', 3);
	assert_keys(&device, 2, (const uint16_t[]){ 1, 3 });
	hear_key(&probe, 'a', 0);
	assert_keys(&device, 2, (const uint16_t[]){ 0, 3 });
	assert_keys(&unknown, 2, (const uint16_t[]){ 0, 3 });
}
END_TEST

/* More of them than have a place: each device is still answered with a key of its service address. */
START_TEST(service_addresses_without_a_place_keep_their_key)
{
	enum { MANY = 4 * TABLE_SERVICES };
	struct table_way way = { node, service, 0, 0 };

	for (unsigned i = 0; i < MANY; i++) {
		const struct addr from = device_of(i);
		way.service.port = (uint16_t)(i + 1);
		way.key = (uint8_t)(i % 7);
		table_learn(&table, 0, &from, &way, now_s);
	}
	for (unsigned i = 0; i < MANY; i++) {
		const struct addr to = device_of(i);
		assert_keys(&to, 1, (const uint16_t[]){ (uint16_t)(i % 7) });
	}
}
END_TEST

START_TEST(ports_are_apart)
{
	const struct table_way secure = { node, service, 0, 0 };
	const struct table_way plain = { node, { { MAPPED, 198, 51, 100, 7 }, 5683 }, 0, 0 };

	table_learn(&table, 0, &device, &secure, now_s);
	ck_assert(is_unknown(15, &device));
	table_learn(&table, 15, &device, &plain, now_s);
	assert_way(0, &device, &secure);
	assert_way(15, &device, &plain);
}
END_TEST

/* Many more than it holds: those that came last are there, and the one that keeps coming always. */
START_TEST(oldest_of_a_set_makes_room)
{
	enum { MANY = 4 * TABLE_SETS * TABLE_WAYS, RECENT = TABLE_SETS };
	unsigned lost = 0;

	for (unsigned i = 0; i < MANY; i++) {
		const struct addr passing = device_of(i);
		const struct table_way way = way_of(i), own = { node, service, 0, 0 };
		table_learn(&table, 0, &passing, &way, now_s);
		if (i % TABLE_SETS == 0)
			table_learn(&table, 0, &device, &own, now_s);
	}
	assert_way(0, &device, &(struct table_way){ node, service, 0, 0 });
	for (unsigned i = MANY - RECENT; i < MANY; i++) {
		const struct addr passing = device_of(i);
		const struct table_way expected = way_of(i);
		struct table_way ways[TABLE_PAIRS];
		ck_assert_uint_ge(table_find(&table, 0, &passing, ways), 1);
		lost += memcmp(ways, &expected, sizeof expected) != 0;
	}
	/* One per set on average, and 8 have room: more come rarely. */
	ck_assert_uint_lt(lost, RECENT / 1000);
}
END_TEST

START_TEST(what_a_fork_caught_is_forgotten)
{
	const struct table_way one = { node, service, 0, 0 };
	const struct addr other = device_of(1);

	table_learn(&table, 0, &device, &one, now_s);
	table_learn(&table, 0, &other, &one, now_s);
	for (size_t i = 0; i < TABLE_LOCKS; i++)
		atomic_store(&table.locks[i], 1);
	/* Held by a thread that is gone: it ends, with what else is known. */
	assert_way(0, &device, &one);
	atomic_store(&table.last_lock, 1);
	ck_assert(is_unknown(0, &device));
	table_recover(&table);
	ck_assert(is_unknown(0, &device));
	table_learn(&table, 0, &device, &one, now_s);
	assert_way(0, &device, &one);
	table_recover(&table);
	assert_way(0, &device, &one);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, new_table, NULL);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, node_is_the_last_one);
	tcase_add_loop_test(tests, history, 0, COUNT_OF(histories));
	tcase_add_test(tests, times_may_come_late);
	tcase_add_test(tests, node_changes_make_no_copies);
	tcase_add_test(tests, unknown_devices_go_the_way_of_the_last_datagram);
	tcase_add_test(tests, probes_are_followed_by_nobody_else);
	tcase_add_test(tests, a_service_address_has_one_key);
	tcase_add_test(tests, service_addresses_without_a_place_keep_their_key);
	tcase_add_test(tests, ports_are_apart);
	tcase_add_test(tests, oldest_of_a_set_makes_room);
	tcase_add_test(tests, what_a_fork_caught_is_forgotten);
}
