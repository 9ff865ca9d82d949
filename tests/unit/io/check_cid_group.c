/* Which socket of a group gets a datagram: real ones on loopback. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "io/cid_group.h"
#include "tests/fixtures/octets.h"
#include "tests/fixtures/open_socket.h"
#include "tests/unit/suite.h"

enum { SOCKETS = 4, SOURCES = 40, OCTETS = 8, ROOM = 64, NUMBER = 100 };

static int group[SOCKETS], sources[SOURCES];
static struct addr to_addr;

static void set_up(void)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof name;
	struct addr addr;

	ck_assert_int_eq(addr_parse_ip(&to_addr, "127.0.0.1"), 0);
	for (size_t i = 0; i < SOCKETS; i++) {
		group[i] = socket_bind(&to_addr, SOCKET_LISTENER, i == 0 ? SOCKET_FIRST : SOCKET_FURTHER);
		ck_assert_int_ge(group[i], 0);
		ck_assert_int_eq(getsockname(group[i], (struct sockaddr *)&name, &len), 0);
		to_addr = sockaddr_read(&name);
	}
	for (size_t i = 0; i < SOURCES; i++)
		sources[i] = open_socket("127.0.0.1", SOCKET_LISTENER, &addr);
}

static void tear_down(void)
{
	for (size_t i = 0; i < SOCKETS; i++)
		close(group[i]);
	for (size_t i = 0; i < SOURCES; i++)
		close(sources[i]);
}

static void attach(unsigned octets)
{
	ck_assert_int_eq(cid_group_attach(group[0], &(struct cid_group){ octets, SOCKETS }), 0);
}

struct record {
	uint8_t octets[ROOM];
	size_t len;
};

/* Type 25: version, epoch 1, record number, CID, length 8, payload. */
static struct record of_1_2(uint32_t number, const uint8_t *cid, size_t cid_len)
{
	struct record record = {
		{ 25, 0xfe, 0xfd, 0, 1, 0, 0, (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
		  (uint8_t)number },
		11 + cid_len + 10,
	};

	memcpy(record.octets + 11, cid, cid_len);
	record.octets[11 + cid_len + 1] = 8;
	return record;
}

/* 001CSLEE: C, S, L and epoch bits 3; CID, number, length 16, payload. */
static struct record of_1_3(uint16_t number, const uint8_t *cid, size_t cid_len)
{
	struct record record = { { 0x3f }, 1 + cid_len + 4 + 16 };

	memcpy(record.octets + 1, cid, cid_len);
	record.octets[1 + cid_len] = (uint8_t)(number >> 8);
	record.octets[1 + cid_len + 1] = (uint8_t)number;
	record.octets[1 + cid_len + 3] = 16;
	return record;
}

/* Sends it. Returns which socket got it. */
static size_t goes_to(size_t source, const struct record *record)
{
	struct pollfd polled[SOCKETS];
	struct sockaddr_storage name;
	const socklen_t name_len = sockaddr_write(&name, &to_addr);
	uint8_t room[ROOM];
	size_t at = 0;

	ck_assert_int_eq(sendto(sources[source], record->octets, record->len, 0, (struct sockaddr *)&name, name_len),
			 (ssize_t)record->len);
	for (size_t i = 0; i < SOCKETS; i++)
		polled[i] = (struct pollfd){ .fd = group[i], .events = POLLIN };
	ck_assert_int_eq(poll(polled, SOCKETS, 5000), 1);
	while (!(polled[at].revents & POLLIN))
		at++;
	ck_assert_int_eq(recv(group[at], room, sizeof room, MSG_DONTWAIT), (ssize_t)record->len);
	return at;
}

/* Where all sources' goes; SOCKETS: not to one. */
static size_t all_go_to(const struct record *record)
{
	const size_t first = goes_to(0, record);

	for (size_t i = 1; i < SOURCES; i++)
		if (goes_to(i, record) != first)
			return SOCKETS;
	return first;
}

/* As what is no DTLS does. */
static bool all_go_by_source(const struct record *record)
{
	static const struct record other = { "GET /", 5 };

	for (size_t i = 0; i < SOURCES; i++)
		if (goes_to(i, record) != goes_to(i, &other))
			return false;
	return true;
}

START_TEST(one_cid_goes_to_one_socket)
{
	attach(OCTETS);
	for (uint8_t i = 0; i < 8; i++) {
		const uint8_t cid[OCTETS] = { 1, i, 2, 3, 4, 5, 6, 7 };
		const struct record early = of_1_2(CID_GROUP_EARLY, cid, OCTETS),
				    late = of_1_2(UINT32_MAX, cid, OCTETS), of_1_3_one = of_1_3(0, cid, OCTETS),
				    of_1_3_other = of_1_3(77, cid, OCTETS);
		const size_t at = all_go_to(&early);

		ck_assert_uint_lt(at, SOCKETS);
		ck_assert_uint_eq(all_go_to(&late), at);
		ck_assert_uint_eq(all_go_to(&of_1_3_one), at);
		ck_assert_uint_eq(all_go_to(&of_1_3_other), at);
	}
}
END_TEST

/* Behind a CID of which only so many octets count, the rest does not. */
START_TEST(what_is_behind_does_not_count)
{
	attach((unsigned)_i);
	for (uint8_t i = 0; i < 20; i++) {
		uint8_t cid[20] = { 9, 8, 7, 6, 5, 4, 3, 2, 1, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 };
		const struct record whole = of_1_2(NUMBER, cid, sizeof cid);
		const size_t at = goes_to(0, &whole);
		struct record other;

		if (i < _i)
			continue;
		cid[i] ^= 0xff;
		other = of_1_2(NUMBER + 1, cid, sizeof cid);
		ck_assert_uint_eq(all_go_to(&other), at);
	}
}
END_TEST

static const struct {
	unsigned octets, first, last; /* what differs */
} spreads[] = {
	{ 1, 0, 0 }, { 2, 0, 0 }, { 2, 1, 1 },  { 3, 0, 0 },    { 3, 1, 1 },    { 3, 2, 2 }, { 4, 0, 0 },
	{ 4, 3, 3 }, { 5, 4, 4 }, { 6, 0, 0 },  { 6, 1, 1 },    { 6, 5, 5 },    { 8, 0, 0 }, { 8, 3, 3 },
	{ 8, 4, 4 }, { 8, 7, 7 }, { 20, 0, 0 }, { 20, 16, 16 }, { 20, 19, 19 }, { 8, 0, 7 },
};

/* Each gets more than half of its share. */
START_TEST(cids_are_spread)
{
	unsigned got[SOCKETS] = { 0 };

	attach(spreads[_i].octets);
	for (unsigned i = 0; i < 256; i++) {
		uint8_t cid[20] = { 0 };
		struct record record;

		for (unsigned at = spreads[_i].first; at <= spreads[_i].last; at++)
			cid[at] = (uint8_t)(i * (2 * at + 1) + at);
		record = of_1_2(NUMBER, cid, spreads[_i].octets);
		got[goes_to(0, &record)]++;
	}
	for (size_t i = 0; i < SOCKETS; i++)
		ck_assert_msg(got[i] > 32, "%u octets, those from %u to %u: %u of 256 go to %zu", spreads[_i].octets,
			      spreads[_i].first, spreads[_i].last, got[i], i);
}
END_TEST

static const uint8_t some_cid[OCTETS] = { 1, 2, 3, 4, 5, 6, 7, 8 };

/* A record with its first octet replaced, and cut to `len`. */
static const struct {
	const char *name;
	uint8_t first;
	uint32_t number;
	size_t len;
	bool by_cid;
} rows[] = {
	{ "whole", 25, NUMBER, 29, true },
	{ "the first record", 25, 0, 29, false },
	{ "the last one that may be of a handshake", 25, CID_GROUP_EARLY - 1, 29, false },
	{ "up to its CID", 25, NUMBER, 11 + OCTETS, true },
	{ "its CID is cut", 25, NUMBER, 11 + OCTETS - 1, false },
	{ "another type", 24, NUMBER, 29, false },
	{ "a handshake", 22, NUMBER, 29, false },
	{ "unified", 0x30, NUMBER, 29, true },
	{ "unified with all bits", 0x3f, NUMBER, 29, true },
	{ "unified up to its CID", 0x30, NUMBER, 1 + OCTETS, true },
	{ "unified, its CID is cut", 0x30, NUMBER, 1 + OCTETS - 1, false },
	{ "unified without a CID", 0x2f, NUMBER, 29, false },
	{ "behind the unified", 0x40, NUMBER, 29, false },
	{ "one octet", 25, NUMBER, 1, false },
	{ "nothing", 25, NUMBER, 0, false },
};

START_TEST(who_chooses)
{
	struct record record = of_1_2(rows[_i].number, some_cid, OCTETS);

	attach(OCTETS);
	record.octets[0] = rows[_i].first;
	record.len = rows[_i].len;
	ck_assert_msg((all_go_to(&record) < SOCKETS) == rows[_i].by_cid, "%s", rows[_i].name);
	ck_assert_msg(all_go_by_source(&record) != rows[_i].by_cid, "%s: by source", rows[_i].name);
}
END_TEST

/* The source chooses for what would have gone to the others. */
START_TEST(fewer_than_were_told)
{
	bool by_source = false;

	ck_assert_int_eq(cid_group_attach(group[0], &(struct cid_group){ 1, 2 * SOCKETS }), 0);
	for (uint8_t i = 0; i < 32; i++) {
		const struct record record = of_1_2(NUMBER, (const uint8_t[]){ i }, 1);
		const bool one = all_go_to(&record) < SOCKETS;

		ck_assert(one != all_go_by_source(&record));
		by_source |= !one;
	}
	ck_assert(by_source);
}
END_TEST

START_TEST(attached_and_detached)
{
	const struct record record = of_1_2(NUMBER, some_cid, OCTETS);

	ck_assert_int_eq(cid_group_detach(group[0]), -ENOENT);
	ck_assert(all_go_by_source(&record));
	attach(OCTETS);
	attach(OCTETS);
	ck_assert_uint_lt(all_go_to(&record), SOCKETS);
	ck_assert_int_eq(cid_group_detach(group[0]), 0);
	ck_assert(all_go_by_source(&record));
	ck_assert_int_eq(cid_group_attach(sources[0], &(struct cid_group){ OCTETS, 1 }), -EINVAL);
	ck_assert_int_eq(cid_group_detach(sources[0]), -EINVAL);
}
END_TEST

START_TEST(every_length_fits)
{
	struct sock_filter code[CID_GROUP_CODE];

	for (unsigned octets = 1; octets <= 20; octets++)
		ck_assert_uint_le(cid_group_program(code, &(struct cid_group){ octets, SOCKETS }), CID_GROUP_CODE);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, one_cid_goes_to_one_socket);
	tcase_add_loop_test(tests, what_is_behind_does_not_count, 1, 21);
	tcase_add_loop_test(tests, cids_are_spread, 0, COUNT_OF(spreads));
	tcase_add_loop_test(tests, who_chooses, 0, COUNT_OF(rows));
	tcase_add_test(tests, fewer_than_were_told);
	tcase_add_test(tests, attached_and_detached);
	tcase_add_test(tests, every_length_fits);
}
