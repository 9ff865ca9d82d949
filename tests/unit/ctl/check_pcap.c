/* Capture files, octet by octet. */
#include <errno.h>
#include <stdio.h>

#include "ctl/pcap.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

static char *file;
static size_t file_len;
static FILE *out;

static void set_up(void)
{
	out = open_memstream(&file, &file_len);
	ck_assert_ptr_nonnull(out);
}

static void tear_down(void)
{
	fclose(out);
	free(file);
}

static void expect(const char *hex)
{
	struct octets expected = octets_of(hex);

	ck_assert_int_eq(fflush(out), 0);
	ck_assert_uint_eq(file_len, expected.len);
	ck_assert_mem_eq(file, expected.at, expected.len);
	free(expected.at);
}

/* An hour, two seconds and three microseconds after the beginning of 1970. */
static struct pcap_datagram datagram_of(const char *from, const char *to, const uint8_t *data, size_t len)
{
	struct pcap_datagram datagram = { .time_us = UINT64_C(3602000003), .data = data, .len = len, .kept = len };

	ck_assert_int_eq(addr_parse(&datagram.from, from), 0);
	ck_assert_int_eq(addr_parse(&datagram.to, to), 0);
	return datagram;
}

START_TEST(head)
{
	ck_assert_int_eq(pcap_begin(out), 0);
	/* magic, version 2.4, zone, accuracy, longest packet, LINKTYPE_RAW */
	expect("d4c3b2a1 0200 0400 00000000 00000000 ffff0000 65000000");
}
END_TEST

START_TEST(ipv4)
{
	static const uint8_t data[] = { 0x16, 0xfe, 0xfd };
	const struct pcap_datagram datagram = datagram_of("192.0.2.1:5684", "192.0.2.2:40000", data, sizeof data);

	ck_assert_int_eq(pcap_write(out, &datagram), 0);
	expect("120e0000 03000000 1f000000 1f000000"               /* seconds, microseconds, 31 octets of 31 */
	       "45 00 001f 0000 0000 40 11 f6ca c0000201 c0000202" /* IPv4, 31 octets, TTL 64, UDP */
	       "1634 9c40 000b 0000 16fefd");                      /* ports, 11 octets, no checksum */
}
END_TEST

START_TEST(ipv6)
{
	static const uint8_t data[] = { 0x16, 0xfe, 0xfd };
	const struct pcap_datagram datagram =
		datagram_of("[2001:db8::1]:5684", "[2001:db8::2]:40000", data, sizeof data);

	ck_assert_int_eq(pcap_write(out, &datagram), 0);
	expect("120e0000 03000000 33000000 33000000"
	       "60000000 000b 11 40 20010db8000000000000000000000001 20010db8000000000000000000000002"
	       "1634 9c40 000b ddef 16fefd");
}
END_TEST

/* A checksum that comes to zero is written as ffff: RFC 8200, section 8.1. */
START_TEST(ipv6_checksum_zero)
{
	static const uint8_t data[] = { 0xf1, 0xf0 };
	const struct pcap_datagram datagram =
		datagram_of("[2001:db8::1]:5684", "[2001:db8::2]:40000", data, sizeof data);

	ck_assert_int_eq(pcap_write(out, &datagram), 0);
	expect("120e0000 03000000 32000000 32000000"
	       "60000000 000a 11 40 20010db8000000000000000000000001 20010db8000000000000000000000002"
	       "1634 9c40 000a ffff f1f0");
}
END_TEST

/* The end of a datagram is missing: lengths are those of the whole. */
START_TEST(cut)
{
	static const uint8_t data[] = { 0x16, 0xfe };
	struct pcap_datagram datagram = datagram_of("[2001:db8::1]:5684", "[2001:db8::2]:40000", data, 300);

	datagram.kept = sizeof data;
	ck_assert_int_eq(pcap_write(out, &datagram), 0);
	expect("120e0000 03000000 32000000 5c010000"
	       "60000000 0134 11 40 20010db8000000000000000000000001 20010db8000000000000000000000002"
	       "1634 9c40 0134 0000 16fe");
}
END_TEST

START_TEST(longest)
{
	static const uint8_t data[65507];
	struct pcap_datagram datagram = datagram_of("192.0.2.1:1", "192.0.2.2:2", data, sizeof data);

	ck_assert_int_eq(pcap_write(out, &datagram), 0);
	ck_assert_int_eq(fflush(out), 0);
	ck_assert_uint_eq(file_len, 16 + 65535);
	datagram.len++;
	ck_assert_int_eq(pcap_write(out, &datagram), -EMSGSIZE);
	datagram.len = 10;
	ck_assert_int_eq(pcap_write(out, &datagram), -EMSGSIZE);
}
END_TEST

START_TEST(disk_full)
{
	FILE *full = fopen("/dev/full", "wb");

	if (!full)
		return;
	setvbuf(full, NULL, _IONBF, 0);
	ck_assert_int_eq(pcap_begin(full), -ENOSPC);
	fclose(full);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, head);
	tcase_add_test(tests, ipv4);
	tcase_add_test(tests, ipv6);
	tcase_add_test(tests, ipv6_checksum_zero);
	tcase_add_test(tests, cut);
	tcase_add_test(tests, longest);
	tcase_add_test(tests, disk_full);
}
