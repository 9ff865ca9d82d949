/* The program in this kernel, by BPF_PROG_TEST_RUN: what is taken out of what, and that everything else is passed up as
 * it was. Where there is no bpf() to be had the tests say so. */
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "decap/program.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

enum { ROOM = 2048, ETHERNET = 14, V4 = 20, V6 = 40 };

#define MACS  "020000000011 020000000001"
#define ETH4  MACS "0800"
#define ETH6  MACS "86dd"
#define NODE  "0a090001"
#define OWN   "0a09000b"
#define NODE6 "fd090000000000000000000000000001"
#define OWN6  "fd090000000000000000000000000011"

/* 192.0.2.1:4000 to 198.51.100.7:5684, "abc" and no checksum of UDP: 31 octets. The checksum of IP is not looked at. */
#define UDP4   "0fa0 1634 000b 0000 616263"
#define INNER4 "45 00 001f 0000 4000 3f 11 0000 c0000201 c6336407" UDP4
/* The same between 2001:db8::1 and 2001:db8::7: 51 octets. */
#define INNER6 "60000000 000b 11 3f 20010db8000000000000000000000001 20010db8000000000000000000000007" UDP4

/* The outer headers, of 51 and 91 octets in all. */
#define OUTER4 "45 00 0033 0000 4000 40 04 26aa" NODE OWN
#define OUTER6 "60000000 0033 29 40" NODE6 OWN6

static struct decap_program *program;
static uint8_t out[ROOM];

static void set_up(void)
{
	struct decap_options options = { .own.count = 2, .nodes.count = 2 };
	char why[EBPF_WHY_OCTETS];

	ck_assert_int_eq(addr_parse_ip(&options.own.at[0], "10.9.0.11"), 0);
	ck_assert_int_eq(addr_parse_ip(&options.own.at[1], "fd09::11"), 0);
	ck_assert_int_eq(addr_parse_ip(&options.nodes.at[0], "10.9.0.1"), 0);
	ck_assert_int_eq(addr_parse_ip(&options.nodes.at[1], "fd09::1"), 0);
	const int err = decap_program_load(&program, &options, why);
	if (err == -EPERM || err == -ENOSYS)
		printf("skip: no bpf() here\n");
	else
		ck_assert_msg(err == 0, "%s: %s", strerror(-err), why);
}

static void tear_down(void)
{
	if (program)
		decap_program_free(program);
}

/* A header's checksum, RFC 1071. */
static void sum_set(uint8_t *ip)
{
	uint32_t sum = 0;

	ip[10] = ip[11] = 0;
	for (int i = 0; i < V4; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = (uint8_t)(~sum >> 8);
	ip[11] = (uint8_t)~sum;
}

static uint64_t counted(enum decap_count what)
{
	uint64_t counts[DECAP_COUNTS];

	decap_program_count(counts, program);
	return counts[what];
}

/* The packet inside the frame comes out, behind the same Ethernet header. */
static void assert_taken(const uint8_t *frame, size_t octets, size_t outer)
{
	const uint64_t before = counted(DECAP_TAKEN);
	size_t out_octets;

	ck_assert_int_eq(decap_program_try(program, frame, octets, out, sizeof out, &out_octets), XDP_PASS);
	ck_assert_uint_eq(out_octets, octets - outer);
	ck_assert_mem_eq(out, frame, ETHERNET);
	ck_assert_mem_eq(out + ETHERNET, frame + ETHERNET + outer, octets - outer - ETHERNET);
	ck_assert_uint_eq(counted(DECAP_TAKEN), before + 1);
}

/* It is passed up as it was, and counted as that; DECAP_COUNTS: not at all. */
static void assert_passed(const char *name, const uint8_t *frame, size_t octets, enum decap_count as)
{
	uint64_t before[DECAP_COUNTS], after[DECAP_COUNTS];
	size_t out_octets;

	decap_program_count(before, program);
	ck_assert_int_eq(decap_program_try(program, frame, octets, out, sizeof out, &out_octets), XDP_PASS);
	decap_program_count(after, program);
	ck_assert_msg(out_octets == octets && memcmp(out, frame, octets) == 0, "%s: changed", name);
	for (enum decap_count what = 0; what < DECAP_COUNTS; what++)
		ck_assert_msg(after[what] == before[what] + (what == as), "%s: counted otherwise", name);
}

START_TEST(taken)
{
	const struct octets four = octets_of(ETH4 OUTER4 INNER4), six = octets_of(ETH6 OUTER6 INNER6);
	/* As on a link whose frames have 60 octets at least, and more. */
	const struct octets padded = octets_of(ETH4 OUTER4 INNER4 "000000000000000000");

	if (program) {
		assert_taken(four.at, four.len, V4);
		assert_taken(six.at, six.len, V6);
		assert_taken(padded.at, padded.len, V4);
	}
	free(four.at);
	free(six.at);
	free(padded.at);
}
END_TEST

static const struct {
	const char *name;
	enum decap_count as;
	bool sums; /* the outer checksum is made right */
	const char *hex;
} passed[] = {
	{ "ARP", DECAP_COUNTS, false, MACS "0806 0001080006040001 020000000001 0a090001 000000000000 0a09000b" },
	{ "an Ethernet header alone", DECAP_COUNTS, false, ETH4 },
	{ "plain UDP", DECAP_COUNTS, false, ETH4 INNER4 },
	{ "a VLAN's", DECAP_COUNTS, false, MACS "81000005 0800" OUTER4 INNER4 },
	{ "to another address", DECAP_COUNTS, true, ETH4 "45 00 0033 0000 4000 40 04 0000" NODE "0a09000c" INNER4 },
	{ "to another IPv6 address", DECAP_COUNTS, false,
	  ETH6 "60000000 0033 29 40" NODE6 "fd090000000000000000000000000012" INNER6 },
	{ "of a stranger", DECAP_STRANGER, true, ETH4 "45 00 0033 0000 4000 40 04 0000 0a090002" OWN INNER4 },
	{ "of the server itself", DECAP_STRANGER, true, ETH4 "45 00 0033 0000 4000 40 04 0000" OWN OWN INNER4 },
	{ "of an IPv6 stranger", DECAP_STRANGER, false,
	  ETH6 "60000000 0033 29 40 fd090000000000000000000000000002" OWN6 INNER6 },
	{ "the first fragment", DECAP_ODD, true, ETH4 "45 00 0033 0001 2000 40 04 0000" NODE OWN INNER4 },
	{ "another fragment", DECAP_ODD, true, ETH4 "45 00 0033 0001 0001 40 04 0000" NODE OWN INNER4 },
	{ "a reserved bit", DECAP_ODD, true, ETH4 "45 00 0033 0001 8000 40 04 0000" NODE OWN INNER4 },
	{ "an IPv6 fragment", DECAP_COUNTS, false, ETH6 "60000000 003b 2c 40" NODE6 OWN6 "29 00 0001 00000001" INNER6 },
	{ "options", DECAP_ODD, false, ETH4 "46 00 0037 0000 4000 40 04 0000" NODE OWN "01010101" INNER4 },
	{ "IPv6 options", DECAP_COUNTS, false, ETH6 "60000000 003b 3c 40" NODE6 OWN6 "2900 040100000000" INNER6 },
	{ "a wrong checksum", DECAP_ODD, false, ETH4 "45 00 0033 0000 4000 40 04 26a9" NODE OWN INNER4 },
	{ "marked as congested", DECAP_ODD, true, ETH4 "45 03 0033 0000 4000 40 04 0000" NODE OWN INNER4 },
	{ "IPv6 marked as congested", DECAP_ODD, false, ETH6 "60300000 0033 29 40" NODE6 OWN6 INNER6 },
	{ "longer than the frame", DECAP_ODD, true, ETH4 "45 00 0034 0000 4000 40 04 0000" NODE OWN INNER4 },
	{ "longer than the IPv6 frame", DECAP_ODD, false, ETH6 "60000000 0034 29 40" NODE6 OWN6 INNER6 },
	{ "shorter than what is in it", DECAP_ODD, true, ETH4 "45 00 0032 0000 4000 40 04 0000" NODE OWN INNER4 },
	{ "IPv6 shorter than what is in it", DECAP_ODD, false, ETH6 "60000000 0032 29 40" NODE6 OWN6 INNER6 },
	{ "IPv4 in IPv6", DECAP_COUNTS, false, ETH6 "60000000 001f 04 40" NODE6 OWN6 INNER4 },
	{ "IPv6 in IPv4", DECAP_COUNTS, true, ETH4 "45 00 0047 0000 4000 40 29 0000" NODE OWN INNER6 },
	{ "no IPv4 in it", DECAP_ODD, true, ETH4 "45 00 0047 0000 4000 40 04 0000" NODE OWN INNER6 },
	{ "TCP in it", DECAP_ODD, true, ETH4 OUTER4 "45 00 001f 0000 4000 3f 06 0000 c0000201 c6336407" UDP4 },
	{ "a fragment in it", DECAP_ODD, true, ETH4 OUTER4 "45 00 001f 0000 2000 3f 11 0000 c0000201 c6336407" UDP4 },
	{ "options in it", DECAP_ODD, true,
	  ETH4 "45 00 0037 0000 4000 40 04 0000" NODE OWN
	       "46 00 0023 0000 4000 3f 11 0000 c0000201 c6336407 01010101" UDP4 },
	{ "no room for UDP in it", DECAP_ODD, true,
	  ETH4 OUTER4 "45 00 001b 0000 4000 3f 11 0000 c0000201 c6336407" UDP4 },
	{ "a packet in a packet in a packet", DECAP_ODD, true,
	  ETH4 "45 00 0047 0000 4000 40 04 0000" NODE OWN "45 00 0033 0000 4000 40 04 26aa" NODE OWN INNER4 },
};

START_TEST(passed_up)
{
	const struct octets frame = octets_of(passed[_i].hex);

	if (passed[_i].sums)
		sum_set(frame.at + ETHERNET);
	if (program)
		assert_passed(passed[_i].name, frame.at, frame.len, passed[_i].as);
	free(frame.at);
}
END_TEST

/* Every prefix of a good frame, and every good frame with one bit changed, is passed up as it was, or it is one of
 * those bits that say nothing here. */
START_TEST(cut_and_changed)
{
	static const char *const good[] = { ETH4 OUTER4 INNER4, ETH6 OUTER6 INNER6 };
	const struct octets frame = octets_of(good[_i]);
	const size_t outer = _i ? V6 : V4, heads = ETHERNET + 2 * outer;
	size_t out_octets, changed = 0;

	for (size_t len = ETHERNET; program && len < frame.len; len++)
		assert_passed("cut", frame.at, len, len < ETHERNET + outer ? DECAP_COUNTS : DECAP_ODD);
	for (size_t bit = 0; program && bit < 8 * heads; bit++) {
		frame.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(decap_program_try(program, frame.at, frame.len, out, sizeof out, &out_octets),
				 XDP_PASS);
		if (out_octets == frame.len)
			ck_assert_mem_eq(out, frame.at, frame.len);
		else
			ck_assert_mem_eq(out + ETHERNET, frame.at + ETHERNET + outer, frame.len - ETHERNET - outer);
		changed += out_octets == frame.len;
		frame.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	/* IPv4: the outer header is under its checksum, 160 bits, and the type of the frame is 16. */
	ck_assert(!program || changed >= (_i ? 16 + 4 + 8 + 256 : 16 + 160));
	free(frame.at);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, taken);
	tcase_add_loop_test(tests, passed_up, 0, sizeof passed / sizeof *passed);
	tcase_add_loop_test(tests, cut_and_changed, 0, 2);
}
