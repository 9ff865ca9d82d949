/* Checksums and fragments were computed by another implementation, in Python. */
#include "common/udp_packet.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

static const struct addr device = { { [10] = 0xff, 0xff, 192, 0, 2, 1 }, 56324 };
static const struct addr service = { { [10] = 0xff, 0xff, 198, 51, 100, 7 }, 5684 };
static const struct addr device6 = { { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 }, 56324 };
static const struct addr service6 = { { 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, [15] = 7 }, 5684 };

#define IPS4  "c0000201 c6336407"
#define IPS6  "20010db8000000000000000000000001 20010db8ffff00000000000000000007"
#define PORTS "dc04 1634"

static const struct {
	const char *name;
	const struct addr *from, *to;
	const char *payload, *head;
} wholes[] = {
	{ "nothing", &device, &service, "", "4500001c000040003f114f95" IPS4 PORTS "0008 2169" },
	{ "one octet", &device, &service, "19", "4500001d000040003f114f94" IPS4 PORTS "0009 0867" },
	{ "three octets", &device, &service, "19fefd", "4500001f000040003f114f92" IPS4 PORTS "000b 0a64" },
	{ "eight octets", &device, &service, "0102030405060708", "45000024000040003f114f8d" IPS4 PORTS "0010 1145" },
	{ "a sum of 0", &device, &service, "2165", "4500001e000040003f114f93" IPS4 PORTS "000a ffff" },
	{ "nothing, IPv6", &device6, &service6, "", "600000000008113f" IPS6 PORTS "0008 b22b" },
	{ "one octet, IPv6", &device6, &service6, "19", "600000000009113f" IPS6 PORTS "0009 9929" },
	{ "three octets, IPv6", &device6, &service6, "19fefd", "60000000000b113f" IPS6 PORTS "000b 9b26" },
	{ "eight octets, IPv6", &device6, &service6, "0102030405060708", "600000000010113f" IPS6 PORTS "0010 a207" },
};

static void assert_part(const struct udp_packet_part *part, const char *head, const uint8_t *data, size_t len)
{
	const struct octets expected = octets_of(head);

	ck_assert_uint_eq(part->head_len, expected.len);
	ck_assert_mem_eq(part->head, expected.at, expected.len);
	ck_assert_ptr_eq(part->data, data);
	ck_assert_uint_eq(part->len, len);
	free(expected.at);
}

START_TEST(whole)
{
	const struct octets payload = octets_of(wholes[_i].payload);
	const struct udp_packet packet = { *wholes[_i].from, *wholes[_i].to, 63, 0, payload.at, payload.len };
	struct udp_packet_part part;

	udp_packet_whole(&part, &packet);
	assert_part(&part, wholes[_i].head, payload.at, payload.len);
	ck_assert_uint_eq(udp_packet_octets(&packet), part.head_len + part.len);
	free(payload.at);
}
END_TEST

/* A device's address of a link has the number of an interface here, and none on the wire. */
START_TEST(scopes_stay_here)
{
	struct udp_packet packet = { { { 0xfe, 0x80, [15] = 1 }, 1 }, service6, 63, 0, (const uint8_t *)"", 0 };
	struct udp_packet_part bare, scoped;

	udp_packet_whole(&bare, &packet);
	addr_set_scope(packet.from.ip, 3);
	udp_packet_whole(&scoped, &packet);
	ck_assert_mem_eq(scoped.head, bare.head, bare.head_len);
}
END_TEST

/* DSCP "expedited forwarding" and ECT(1). The rest is as without, but for the checksum of IPv4. */
START_TEST(traffic_class)
{
	struct udp_packet packet = { device, service, 63, 0xb9, (const uint8_t *)"", 0 };
	struct udp_packet_part part;

	udp_packet_whole(&part, &packet);
	assert_part(&part, "45b9001c000040003f114edc" IPS4 PORTS "0008 2169", packet.data, 0);
	packet.from = device6;
	packet.to = service6;
	udp_packet_whole(&part, &packet);
	assert_part(&part, "6b9000000008113f" IPS6 PORTS "0008 b22b", packet.data, 0);
}
END_TEST

enum { LARGE = 1300 };

static void fill(uint8_t data[static LARGE])
{
	for (size_t i = 0; i < LARGE; i++)
		data[i] = (uint8_t)(i * 7 + 3);
}

START_TEST(fragments)
{
	uint8_t data[LARGE];
	const struct udp_packet packet = { device, service, 63, 0, data, sizeof data };
	struct udp_packet_cut cut = { .mtu = 576, .id = 0x1234 };
	struct udp_packet_part part;

	fill(data);
	ck_assert(udp_packet_next(&part, &packet, &cut));
	assert_part(&part, "4500023c123420003f115b41" IPS4 PORTS "051c 41a3", data, 544);
	ck_assert(udp_packet_next(&part, &packet, &cut));
	assert_part(&part, "4500023c123420453f115afc" IPS4, data + 544, 552);
	ck_assert(udp_packet_next(&part, &packet, &cut));
	assert_part(&part, "450000e01234008a3f117c13" IPS4, data + 1096, 204);
	ck_assert(!udp_packet_next(&part, &packet, &cut));
}
END_TEST

START_TEST(fragments_of_ipv6)
{
	uint8_t data[LARGE];
	const struct udp_packet packet = { device6, service6, 63, 0, data, sizeof data };
	struct udp_packet_cut cut = { .mtu = 1280, .id = 0xabcd1234 };
	struct udp_packet_part part;

	fill(data);
	ck_assert(udp_packet_next(&part, &packet, &cut));
	assert_part(&part, "6000000004d82c3f" IPS6 "11000001abcd1234" PORTS "051c d265", data, 1224);
	ck_assert(udp_packet_next(&part, &packet, &cut));
	assert_part(&part, "6000000000542c3f" IPS6 "110004d0abcd1234", data + 1224, 76);
	ck_assert(!udp_packet_next(&part, &packet, &cut));
}
END_TEST

/* Whatever the sizes: no fragment is larger than the MTU, all but the last end at a multiple of 8, and together they
 * are the payload. */
START_TEST(any_size)
{
	static uint8_t data[4000];

	for (uint16_t mtu = UDP_PACKET_V4_MTU; mtu < 620; mtu++) {
		for (size_t len = 1; len < sizeof data; len += 61) {
			const struct udp_packet packet = { device, service, 63, 0, data, len };
			struct udp_packet_cut cut = { .mtu = mtu };
			struct udp_packet_part part;
			size_t done = 0;

			while (udp_packet_next(&part, &packet, &cut)) {
				ck_assert_uint_le(part.head_len + part.len, mtu);
				ck_assert_ptr_eq(part.data, data + done);
				done += part.len;
				ck_assert(done == len || (8 + done) % 8 == 0);
				ck_assert(done == len || part.head_len + part.len > mtu - 8U);
			}
			ck_assert_uint_eq(done, len);
		}
	}
}
END_TEST

#define DATAGRAM "45000024000040003f114f8d" IPS4 PORTS "0010 1145 0102030405060708"

/* A datagram is read, or not; `sum` is who looks after its checksum. */
static const struct {
	const char *name;
	bool is_one;
	enum udp_packet_sum sum;
	const char *packet;
} reads[] = {
	{ "as it was written", true, UDP_PACKET_SUM_HERE, DATAGRAM },
	{ "padded", true, UDP_PACKET_SUM_HERE, DATAGRAM "000000000000" },
	{ "with an option", true, UDP_PACKET_SUM_HERE,
	  "46000028000040003f114c88" IPS4 "01010100" PORTS "0010 1145 0102030405060708" },
	{ "without a checksum of UDP", true, UDP_PACKET_SUM_HERE,
	  "45000024000040003f114f8d" IPS4 PORTS "0010 0000 0102030405060708" },
	{ "a checksum that nobody has written yet", true, UDP_PACKET_SUM_NOT,
	  "45000024000040003f114f8d" IPS4 PORTS "0010 abcd 0102030405060708" },
	{ "a wrong one", false, UDP_PACKET_SUM_HERE,
	  "45000024000040003f114f8d" IPS4 PORTS "0010 abcd 0102030405060708" },
	{ "another octet", false, UDP_PACKET_SUM_HERE,
	  "45000024000040003f114f8d" IPS4 PORTS "0010 1145 0102030405060709" },
	{ "a wrong checksum of IP", false, UDP_PACKET_SUM_NOT,
	  "45000024000040003f114f8e" IPS4 PORTS "0010 1145 0102030405060708" },
	{ "nothing", false, UDP_PACKET_SUM_NOT, "" },
	{ "an octet too few", false, UDP_PACKET_SUM_NOT,
	  "45000024000040003f114f8d" IPS4 PORTS "0010 1145 01020304050607" },
	{ "less of IP than a header", false, UDP_PACKET_SUM_NOT, "45000024000040003f114f8d c0000201 c63364" },
	{ "options cut short", false, UDP_PACKET_SUM_NOT, "4f000044000040003f11436c" IPS4 "01010100" },
	{ "a header of 16 octets", false, UDP_PACKET_SUM_NOT,
	  "44000024000040003f117ac8" IPS4 PORTS "0010 1145 0102030405060708" },
	{ "IPv6", false, UDP_PACKET_SUM_NOT, "600000000010113f" IPS6 PORTS "0010 a207 0102030405060708" },
	{ "not UDP", false, UDP_PACKET_SUM_NOT, "45000024000040003f064f98" IPS4 PORTS "0010 1145 0102030405060708" },
	{ "a first fragment", false, UDP_PACKET_SUM_NOT,
	  "45000024000020003f116f8d" IPS4 PORTS "0010 1145 0102030405060708" },
	{ "a last fragment", false, UDP_PACKET_SUM_NOT,
	  "45000024000000013f118f8c" IPS4 PORTS "0010 1145 0102030405060708" },
	{ "a length of UDP beyond the packet", false, UDP_PACKET_SUM_NOT,
	  "45000024000040003f114f8d" IPS4 PORTS "0011 1145 0102030405060708 00" },
	{ "a length of UDP of 7", false, UDP_PACKET_SUM_NOT,
	  "45000024000040003f114f8d" IPS4 PORTS "0007 1145 0102030405060708" },
};

START_TEST(read)
{
	const struct octets packet = octets_of(reads[_i].packet);
	struct udp_packet out;

	ck_assert_msg(udp_packet_read_v4(&out, packet.at, packet.len, reads[_i].sum) == reads[_i].is_one, "%s",
		      reads[_i].name);
	if (reads[_i].is_one) {
		ck_assert(addr_equal(&out.from, &device) && addr_equal(&out.to, &service));
		ck_assert_uint_eq(out.ttl, 63);
		ck_assert_uint_eq(out.len, 8);
		ck_assert_mem_eq(out.data, "\1\2\3\4\5\6\7\10", 8);
	}
	free(packet.at);
}
END_TEST

/* What is written is read, and no octet may be another. */
START_TEST(every_bit_counts)
{
	static const uint8_t data[5] = { 1, 2, 3, 4, 5 };
	const struct udp_packet packet = { device, service, 63, 0xb9, data, sizeof data };
	uint8_t octets[UDP_PACKET_V4_OCTETS + sizeof data];
	struct udp_packet_part part;
	struct udp_packet out;

	udp_packet_whole(&part, &packet);
	memcpy(octets, part.head, part.head_len);
	memcpy(octets + part.head_len, part.data, part.len);
	ck_assert(udp_packet_read_v4(&out, octets, sizeof octets, UDP_PACKET_SUM_HERE));
	ck_assert_uint_eq(out.tos, 0xb9);
	for (size_t bit = 0; bit < 8 * sizeof octets; bit++) {
		octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_msg(!udp_packet_read_v4(&out, octets, sizeof octets, UDP_PACKET_SUM_HERE), "bit %zu", bit);
		octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, whole, 0, COUNT_OF(wholes));
	tcase_add_test(tests, scopes_stay_here);
	tcase_add_test(tests, traffic_class);
	tcase_add_test(tests, fragments);
	tcase_add_test(tests, fragments_of_ipv6);
	tcase_add_test(tests, any_size);
	tcase_add_loop_test(tests, read, 0, COUNT_OF(reads));
	tcase_add_test(tests, every_bit_counts);
}
