/* Mode dsr: what leaves, octet for octet, and what does not. */
#include <errno.h>

#include "path/errors.h"
#include "path/forward.h"
#include "tests/fixtures/path_bed.h"
#include "tests/unit/suite.h"

enum { KEPT = 16, HANDLE = 100 /* and the next ones: of enum bare */ };

#define RECORD                                                                                                         \
	"19fefd0001000000000001 0120b1d07b359d3c 0020 "                                                                \
	"000100000000000100112233445566778899aabbccddeeff0011223344556677"

/* In place of sockets: keeps what leaves. */
static struct wire {
	struct io io;
	struct {
		int handle;
		struct addr to;
		struct io_link link; /* all zero: none */
		uint32_t queue;
		uint8_t octets[2048];
		size_t len;
	} kept[KEPT];
	size_t count;
	struct icmp_error error; /* read once */
	bool has_error;
} wire;

static struct path_bed bed;

static int wire_send(struct io *io, int handle, const struct io_send *sends, const struct gso *groups, size_t first)
{
	(void)io;
	for (size_t i = first; i < groups->count; i++) {
		const struct io_send *send = &sends[groups->order[groups->sends[i].at]];

		ck_assert_uint_eq(groups->sends[i].count, 1);
		ck_assert_uint_lt(wire.count, KEPT);
		wire.kept[wire.count].handle = handle;
		wire.kept[wire.count].to = send->to;
		wire.kept[wire.count].link = send->link ? *send->link : (struct io_link){ 0 };
		wire.kept[wire.count].queue = send->queue;
		memcpy(wire.kept[wire.count].octets, send->head, send->head_len);
		memcpy(wire.kept[wire.count].octets + send->head_len, send->data, send->len);
		wire.kept[wire.count++].len = send->head_len + send->len;
	}
	return (int)(groups->count - first);
}

static size_t wire_errors(struct io *io, int handle, struct icmp_error **out, bool *more)
{
	const bool had = wire.has_error;

	(void)io;
	(void)handle;
	wire.has_error = false;
	*out = &wire.error;
	*more = false;
	return had;
}

static void set_up(void)
{
	static const struct io_ops ops = { .send = wire_send, .errors = wire_errors };

	wire = (struct wire){ .io = { &ops } };
	path_bed_begin(&bed, &wire.io);
	for (int i = 0; i < BARES; i++)
		bed.path->bare_handles[i] = HANDLE + i;
	bed.configured.pool.nat = (struct conf_nat){ 0 };
	bed.configured.pool.forward = FORWARD_DSR;
	bed.configured.pool.dsr.encap = ENCAP_IPIP;
	bed.configured.hop = (struct table_hop){ .link = { 7, { 2, 0, 0, 0, 0, 9 } }, .mtu = 1500 };
	ck_assert_int_eq(addr_parse(&bed.configured.listener.addr, "198.51.100.7:5684"), 0);
	path_bed_publish(&bed);
}

static void tear_down(void)
{
	bed.io.sockets = NULL;
	path_bed_end(&bed);
}

static void receive(const char *from, const char *hex, uint8_t ttl)
{
	const struct octets in = octets_of(hex);
	struct io_datagram datagram = { .data = in.at, .len = in.len, .ttl = ttl };

	ck_assert_int_eq(addr_parse(&datagram.from, from), 0);
	batch_uplink(bed.path, path_bed_table(&bed), bed.configured.listener_uid, &datagram, 1);
	io_flush(bed.path->outbox);
	free(in.at);
}

static void assert_left(size_t at, const char *hex)
{
	const struct octets expected = octets_of(hex);

	ck_assert_uint_lt(at, wire.count);
	ck_assert_uint_eq(wire.kept[at].len, expected.len);
	ck_assert_mem_eq(wire.kept[at].octets, expected.at, expected.len);
	free(expected.at);
}

static uint64_t refused(enum refused reason)
{
	return atomic_load(&bed.path->stats.refused_up[bed.configured.pool_uid][reason]);
}

static const struct stats_sent *sent(int backend)
{
	return &bed.path->stats.sent_up[bed.configured.uid[backend]];
}

/* The checksums are those of Python (check_udp_packet.c). */
#define PACKET(rest) "45000051000040003f114f60 c0000201 c6336407 dc04 1634 003d" rest RECORD

START_TEST(packet_in_a_packet)
{
	receive("192.0.2.1:56324", RECORD, 64);
	assert_left(0, PACKET("2eab"));
	ck_assert_int_eq(wire.kept[0].handle, HANDLE + BARE_IPIP_V4);
	ck_assert_uint_eq(wire.kept[0].to.port, 0);
	ck_assert_mem_eq(wire.kept[0].to.ip, bed.configured.backend[0].addr.ip, 16);
	ck_assert_uint_eq(wire.kept[0].link.iface, 0);
	ck_assert_uint_eq(wire.kept[0].queue, ERRORS_BARE);
	ck_assert_uint_eq(sent(0)->datagrams, 1);
	ck_assert_uint_eq(sent(0)->octets, 53);
}
END_TEST

START_TEST(packet_in_a_frame)
{
	bed.configured.pool.dsr.encap = ENCAP_L2;
	path_bed_publish(&bed);
	receive("192.0.2.1:56324", RECORD, 64);
	assert_left(0, PACKET("2eab"));
	ck_assert_int_eq(wire.kept[0].handle, HANDLE + BARE_LINK);
	ck_assert_mem_eq(&wire.kept[0].link, &bed.configured.hop.link, sizeof wire.kept[0].link);
	ck_assert_uint_eq(wire.kept[0].queue, 0);
}
END_TEST

START_TEST(time_to_live)
{
	for (unsigned ttl = 255; ttl > 1; ttl -= 127) {
		receive("192.0.2.1:56324", RECORD, (uint8_t)ttl);
		ck_assert_uint_eq(wire.kept[wire.count - 1].octets[8], ttl - 1);
	}
	receive("192.0.2.1:56324", RECORD, 1);
	ck_assert_uint_eq(wire.count, 2);
	ck_assert_uint_eq(refused(REFUSED_TTL), 1);
	/* It came in before the socket was told to say. */
	receive("192.0.2.1:56324", RECORD, 0);
	ck_assert_uint_eq(wire.kept[2].octets[8], 63);
}
END_TEST

START_TEST(traffic_class)
{
	const struct octets in = octets_of(RECORD);
	struct io_datagram datagram = { .data = in.at, .len = in.len, .ttl = 64, .tos = 0xb9 };

	ck_assert_int_eq(addr_parse(&datagram.from, "192.0.2.1:56324"), 0);
	batch_uplink(bed.path, path_bed_table(&bed), bed.configured.listener_uid, &datagram, 1);
	io_flush(bed.path->outbox);
	ck_assert_uint_eq(wire.count, 1);
	ck_assert_uint_eq(wire.kept[0].octets[1], 0xb9);
	free(in.at);
}
END_TEST

START_TEST(nowhere_to_send)
{
	bed.configured.hop.mtu = 0;
	path_bed_publish(&bed);
	receive("192.0.2.1:56324", RECORD, 64);
	ck_assert_uint_eq(refused(REFUSED_NEXT_HOP), 1);
	bed.configured.backend[0].addr = (struct addr){ .port = 5684 };
	path_bed_publish(&bed);
	receive("192.0.2.1:56324", RECORD, 64);
	ck_assert_uint_eq(refused(REFUSED_NO_ADDRESS), 1);
	ck_assert_uint_eq(wire.count, 0);
	ck_assert_uint_eq(sent(0)->datagrams, 0);
	ck_assert_uint_eq(bed.path->stats.verdicts[bed.configured.listener_uid][VERDICT_CID], 2);
}
END_TEST

START_TEST(not_routed)
{
	receive("192.0.2.1:56324", "00010203", 64);
	receive("192.0.2.1:56324", "19fefd0001000000000001 0920b1d07b359d3c 0010 00112233445566778899aabbccddeeff", 64);
	ck_assert_uint_eq(wire.count, 0);
	ck_assert_uint_eq(bed.path->stats.verdicts[bed.configured.listener_uid][VERDICT_UNKNOWN_CID], 1);
}
END_TEST

/* A packet of 81 octets. In a frame it is cut up here, in a packet by the kernel. */
START_TEST(larger_than_the_link)
{
	bed.configured.hop.mtu = 81 + 20;
	path_bed_publish(&bed);
	receive("192.0.2.1:56324", RECORD, 64);
	ck_assert_uint_eq(bed.path->stats.dsr_fragmented[bed.configured.pool_uid], 0);
	bed.configured.hop.mtu--;
	path_bed_publish(&bed);
	receive("192.0.2.1:56324", RECORD, 64);
	ck_assert_uint_eq(bed.path->stats.dsr_fragmented[bed.configured.pool_uid], 1);
	ck_assert_uint_eq(wire.count, 2);
	bed.configured.pool.dsr.encap = ENCAP_L2;
	bed.configured.hop.mtu = 80;
	path_bed_publish(&bed);
	receive("192.0.2.1:56324", RECORD, 64);
	ck_assert_uint_eq(bed.path->stats.dsr_fragmented[bed.configured.pool_uid], 2);
	ck_assert_uint_eq(wire.count, 4);
	ck_assert_uint_eq(wire.kept[2].len, 20 + 56);
	ck_assert_uint_eq(wire.kept[3].len, 20 + 5);
	ck_assert_mem_eq(wire.kept[2].octets + 4, wire.kept[3].octets + 4, 2); /* the identification */
	ck_assert_uint_eq(sent(0)->datagrams, 3);
	ck_assert_uint_eq(sent(0)->octets, 3 * 53);
	/* Another packet has another one; and all of it counts as refused if its end was. */
	io_double_refuse(&bed.io, EPERM, 2);
	receive("192.0.2.1:56324", RECORD, 64);
	ck_assert_uint_eq(refused(REFUSED_SEND), 1);
	receive("192.0.2.1:56324", RECORD, 64);
	ck_assert_mem_ne(wire.kept[2].octets + 4, wire.kept[4].octets + 4, 2);
	ck_assert_uint_eq(sent(0)->datagrams, 4);
}
END_TEST

#define HELLO                                                                                                          \
	"16fefd0000000000000000 0034 01 000028 0000 000000 000028 fefd"                                                \
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 00 00 0002 c0a8"
#define KEY_EXCHANGE "16fefd0000000000000002 000d 10 000001 0002 000000 000001 00"

/* No answer is seen, and all of a handshake reaches one server. */
START_TEST(a_handshake)
{
	bed.configured.backend[1].admin = bed.configured.backend[2].admin = BACKEND_MAINT;
	path_bed_publish(&bed);
	receive("192.0.2.1:56324", HELLO, 64);
	bed.configured.backend[1].admin = BACKEND_READY;
	bed.configured.backend[0].admin = BACKEND_DRAIN;
	path_bed_publish(&bed);
	receive("192.0.2.1:56324", KEY_EXCHANGE, 64);
	ck_assert_uint_eq(sent(0)->datagrams, 2);
	receive("192.0.2.1:56325", KEY_EXCHANGE, 64);
	ck_assert_uint_eq(sent(1)->datagrams, 1);
}
END_TEST

/* ICMP errors about the outer packet, whose protocol has no ports. */
START_TEST(errors)
{
	wire.error.to = bed.configured.backend[1].addr;
	wire.error.to.port = 0;
	wire.error.to.ip[15] = 77;
	wire.has_error = true;
	ck_assert_uint_eq(errors_drain(bed.path, path_bed_table(&bed), ERRORS_BARE, HANDLE), 1);
	ck_assert_uint_eq(bed.path->stats.strays, 1);
	wire.error.to.ip[15] = bed.configured.backend[1].addr.ip[15];
	wire.has_error = true;
	ck_assert_uint_eq(errors_drain(bed.path, path_bed_table(&bed), ERRORS_BARE, HANDLE), 1);
	ck_assert_uint_eq(bed.path->stats.strays, 1);
	/* All three have one address here. */
	ck_assert_uint_eq(bed.path->stats.icmp_errors[bed.configured.uid[0]], 1);
	ck_assert(bed.shared.alarm->rung[bed.configured.uid[0]]);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, packet_in_a_packet);
	tcase_add_test(tests, packet_in_a_frame);
	tcase_add_test(tests, time_to_live);
	tcase_add_test(tests, traffic_class);
	tcase_add_test(tests, nowhere_to_send);
	tcase_add_test(tests, not_routed);
	tcase_add_test(tests, larger_than_the_link);
	tcase_add_test(tests, a_handshake);
	tcase_add_test(tests, errors);
}
