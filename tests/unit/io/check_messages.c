/* What sendmmsg() is told of datagrams that leave alone, and of datagrams that leave together. */
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include "base/sockaddr.h"
#include "io/messages.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

static struct messages messages;

static struct io_send send_of(const char *to, const char *head, const char *data)
{
	struct io_send send = { .head = (const uint8_t *)head,
				.head_len = strlen(head),
				.data = (const uint8_t *)data,
				.len = strlen(data) };

	ck_assert_int_eq(addr_parse(&send.to, to), 0);
	return send;
}

static void assert_to(const struct msghdr *header, const struct addr *to)
{
	const struct addr name = sockaddr_read(header->msg_name);

	ck_assert(addr_equal(&name, to));
}

static void assert_octets(const struct msghdr *header, const char *expected)
{
	char octets[64];
	size_t len = 0;

	for (size_t i = 0; i < header->msg_iovlen; i++) {
		memcpy(octets + len, header->msg_iov[i].iov_base, header->msg_iov[i].iov_len);
		len += header->msg_iov[i].iov_len;
	}
	ck_assert_uint_eq(len, strlen(expected));
	ck_assert_mem_eq(octets, expected, len);
}

/* Returns the value of the only control message. */
static const void *control_of(struct msghdr *header, int level, int type, size_t len)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(header);

	ck_assert_ptr_nonnull(c);
	ck_assert_int_eq(c->cmsg_level, level);
	ck_assert_int_eq(c->cmsg_type, type);
	ck_assert_uint_eq(c->cmsg_len, CMSG_LEN(len));
	ck_assert_ptr_null(CMSG_NXTHDR(header, c));
	return CMSG_DATA(c);
}

/* They leave from the socket's own address, and from another one of either family. */
START_TEST(alone)
{
	static const uint8_t local[16] = { [10] = 0xff, 0xff, 192, 0, 2, 9 }, local6[16] = { 0xfd, [15] = 9 };
	struct io_send sends[] = { send_of("192.0.2.1:1000", "", "one"), send_of("192.0.2.2:1001", "h.", "two"),
				   send_of("[2001:db8::3]:1002", "", "three") };
	const struct gso groups = { 3, { { 0, 1, 0 }, { 1, 1, 0 }, { 2, 1, 0 } }, { 2, 0, 1 } };
	struct in6_pktinfo info6;
	struct in_pktinfo info;

	sends[1].local = local;
	sends[2].local = local6;
	messages_write(&messages, sends, &groups);
	for (int i = 0; i < COUNT_OF(sends); i++)
		assert_to(&messages.headers[i].msg_hdr, &sends[groups.order[i]].to);
	assert_octets(&messages.headers[0].msg_hdr, "three");
	assert_octets(&messages.headers[1].msg_hdr, "one");
	assert_octets(&messages.headers[2].msg_hdr, "h.two");
	memcpy(&info6, control_of(&messages.headers[0].msg_hdr, IPPROTO_IPV6, IPV6_PKTINFO, sizeof info6),
	       sizeof info6);
	ck_assert_mem_eq(&info6.ipi6_addr, local6, 16);
	ck_assert_uint_eq(info6.ipi6_ifindex, 0);
	ck_assert_uint_eq(messages.headers[1].msg_hdr.msg_controllen, 0);
	memcpy(&info, control_of(&messages.headers[2].msg_hdr, IPPROTO_IP, IP_PKTINFO, sizeof info), sizeof info);
	ck_assert_mem_eq(&info.ipi_spec_dst, local + 12, 4);
	ck_assert_int_eq(info.ipi_ifindex, 0);
}
END_TEST

/* Each datagram has its head, and the kernel is told where to cut. The next group's vectors start behind all of
 * them. */
START_TEST(together)
{
	struct io_pmtu pmtu = { .most = UINT16_MAX };
	struct io_send sends[] = { send_of("192.0.2.1:1000", "a.", "1"), send_of("192.0.2.1:1000", "b.", "2"),
				   send_of("192.0.2.1:1000", "", "end") };
	const struct gso groups = { 2, { { 0, 2, 3 }, { 2, 1, 0 } }, { 0, 1, 2 } };
	uint16_t segment;

	for (int i = 0; i < COUNT_OF(sends); i++)
		sends[i].pmtu = &pmtu;
	messages_write(&messages, sends, &groups);
	assert_octets(&messages.headers[0].msg_hdr, "a.1b.2");
	memcpy(&segment, control_of(&messages.headers[0].msg_hdr, SOL_UDP, UDP_SEGMENT, sizeof segment),
	       sizeof segment);
	ck_assert_uint_eq(segment, 3);
	assert_octets(&messages.headers[1].msg_hdr, "end");
	ck_assert_uint_eq(messages.headers[1].msg_hdr.msg_controllen, 0);
}
END_TEST

/* A full outbox of heads and payloads has a vector for each. */
START_TEST(as_many_as_there_can_be)
{
	struct io_send sends[IO_OUTBOX];
	struct gso groups = { .count = IO_OUTBOX };

	for (int i = 0; i < IO_OUTBOX; i++) {
		sends[i] = send_of("192.0.2.1:1000", "h", "d");
		groups.sends[i] = (struct gso_send){ (uint8_t)i, 1, 0 };
		groups.order[i] = (uint8_t)i;
	}
	messages_write(&messages, sends, &groups);
	for (int i = 0; i < IO_OUTBOX; i++)
		assert_octets(&messages.headers[i].msg_hdr, "hd");
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, alone);
	tcase_add_test(tests, together);
	tcase_add_test(tests, as_many_as_there_can_be);
}
