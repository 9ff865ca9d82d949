#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "tests/fixtures/octets.h"
#include "tests/fixtures/shim_sockets.h"

enum { THREADS = 2, DEVICES = 500 };

static const struct addr device6 = { { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 }, 56324 };
static const struct addr service6 = { { 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, [15] = 7 }, 5684 };

static ssize_t take(char *buffer, size_t size, int flags, struct msghdr *msg)
{
	struct iovec piece = { buffer, size };

	msg->msg_iov = &piece;
	msg->msg_iovlen = 1;
	return datagram_receive(&shim, server, MARK, msg, flags | MSG_DONTWAIT);
}

START_TEST(as_without_a_tunnel)
{
	struct sockaddr_in name;
	struct msghdr msg = { .msg_name = &name, .msg_namelen = sizeof name };
	char buffer[16];

	send_up(node, &device, &service, "payload");
	ck_assert_int_eq(take(buffer, 7, 0, &msg), 7);
	ck_assert_mem_eq(buffer, "payload", 7);
	ck_assert_int_eq(msg.msg_flags & MSG_TRUNC, 0);
	ck_assert_uint_eq(msg.msg_namelen, sizeof name);
	ck_assert_uint_eq(name.sin_addr.s_addr, htonl(0xc0000201));
	ck_assert_uint_eq(ntohs(name.sin_port), 56324);

	send_up(node, &device, &service, "");
	ck_assert_int_eq(take(buffer, sizeof buffer, 0, &msg), 0);
	ck_assert_int_eq(take(buffer, sizeof buffer, 0, &msg), -1);
	ck_assert_int_eq(errno, EAGAIN);
}
END_TEST

START_TEST(cut_short)
{
	struct sockaddr_in name = { 0 };
	struct msghdr msg = { .msg_name = &name, .msg_namelen = 4 };
	char buffer[16] = "";

	send_up(node, &device, &service, "payload");
	ck_assert_int_eq(take(buffer, 6, MSG_PEEK, &msg), 6);
	ck_assert_int_ne(msg.msg_flags & MSG_TRUNC, 0);
	/* As much of the name as there is room for, and its whole length. */
	ck_assert_uint_eq(msg.msg_namelen, sizeof name);
	ck_assert_uint_eq(name.sin_addr.s_addr, 0);
	ck_assert_uint_eq(ntohs(name.sin_port), 56324);
	ck_assert_int_eq(take(buffer, 6, MSG_PEEK | MSG_TRUNC, &msg), 7);
	ck_assert_int_eq(take(buffer, 0, 0, &msg), 0);
	ck_assert_int_ne(msg.msg_flags & MSG_TRUNC, 0);
	ck_assert_int_eq(take(buffer, sizeof buffer, 0, &msg), -1);
}
END_TEST

START_TEST(dropped_and_counted)
{
	struct msghdr msg = { 0 };
	char buffer[16];

	send_up(stranger, &device, &service, "foreign");
	send_up(node, &device6, &service6, "family");
	ck_assert_int_eq(send(node, "no header", 9, 0), 9);
	ck_assert_int_eq(take(buffer, sizeof buffer, MSG_PEEK, &msg), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_uint_eq(shim.notice.dropped[NOTICE_FOREIGN], 1);
	ck_assert_uint_eq(shim.notice.dropped[NOTICE_FAMILY], 1);
	ck_assert_uint_eq(shim.notice.dropped[PROXY2_NO_HEADER], 1);
	send_up(stranger, &device, &service, "foreign");
	send_up(node, &device, &service, "good");
	ck_assert_int_eq(take(buffer, sizeof buffer, 0, &msg), 4);
	ck_assert_mem_eq(buffer, "good", 4);
	ck_assert_uint_eq(shim.notice.dropped[NOTICE_FOREIGN], 2);
}
END_TEST

static int refused(uint8_t mark, const struct addr *to, size_t pieces, int flags)
{
	static struct iovec empty[DATAGRAM_PIECES + 1];
	struct sockaddr_storage name;
	socklen_t len = 0;

	if (to)
		ck_assert(rewrite_name(&name, &len, AF_INET6, to));
	const struct msghdr msg = {
		.msg_name = to ? &name : NULL, .msg_namelen = len, .msg_iov = empty, .msg_iovlen = pieces
	};
	errno = 0;
	return datagram_send(&shim, server, mark, &msg, flags) < 0 ? errno : 0;
}

START_TEST(not_sent)
{
	struct msghdr msg = { 0 };
	char buffer[16];

	ck_assert_int_eq(refused(MARK, &device, 1, 0), EHOSTUNREACH);
	send_up(node, &device, &service, "");
	ck_assert_int_eq(take(buffer, sizeof buffer, 0, &msg), 0);
	ck_assert_int_eq(refused(MARK, &device, 1, 0), 0);
	ck_assert_int_eq(refused(MARK, &device, DATAGRAM_PIECES, 0), 0);
	ck_assert_int_eq(refused(MARK, &device, DATAGRAM_PIECES + 1, 0), EMSGSIZE);
	ck_assert_int_eq(refused(MARK, &device6, 1, 0), EHOSTUNREACH);
	ck_assert_int_eq(refused(MARK, NULL, 1, 0), EDESTADDRREQ);
	ck_assert_int_eq(refused(MARK, &device, 1, MSG_MORE), EOPNOTSUPP);
	ck_assert_int_eq(refused(MARK, &device, 1, MSG_ZEROCOPY), EOPNOTSUPP);
	ck_assert_int_eq(refused(MARK | MARK_REFUSED, &device, 1, 0), EACCES);
	msg.msg_iovlen = DATAGRAM_PIECES + 1;
	ck_assert_int_eq(datagram_receive(&shim, server, MARK, &msg, 0), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert_int_eq(datagram_receive(&shim, server, MARK | MARK_REFUSED, &msg, 0), -1);
	ck_assert_int_eq(errno, EACCES);
}
END_TEST

/* Echoes until a datagram says "end". */
static void *echo(void *unused)
{
	for (;;) {
		struct sockaddr_in name;
		char buffer[64];
		struct iovec piece = { buffer, sizeof buffer };
		struct msghdr msg = {
			.msg_name = &name, .msg_namelen = sizeof name, .msg_iov = &piece, .msg_iovlen = 1
		};
		const ssize_t len = datagram_receive(&shim, server, MARK, &msg, 0);
		if (len < 0 || (len == 3 && memcmp(buffer, "end", 3) == 0))
			return unused;
		piece.iov_len = (size_t)len;
		if (datagram_send(&shim, server, MARK, &msg, 0) != len)
			return unused;
	}
}

static void check_answer(void)
{
	uint8_t datagram[256];
	struct proxy2_ends ends;
	char expected[16];
	size_t octets;

	const ssize_t len = recv(node, datagram, sizeof datagram, 0);
	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(proxy2_read(&ends, &octets, &shim.settings.keys, PROXY2_DOWN, datagram, (size_t)len),
			 PROXY2_GOOD);
	ck_assert(addr_equal(&ends.source, &service));
	const int digits = snprintf(expected, sizeof expected, "%u", ends.destination.port);
	ck_assert_int_eq(digits, (int)(len - (ssize_t)octets));
	ck_assert_mem_eq(datagram + octets, expected, (size_t)digits);
}

START_TEST(threads_share_a_socket)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, echo, NULL), 0);
	for (uint16_t i = 1; i <= DEVICES; i++) {
		struct addr from = device;
		char payload[16];
		from.port = i;
		snprintf(payload, sizeof payload, "%u", i);
		send_up(node, &from, &service, payload);
		if (i % 10 == 0)
			send_up(stranger, &from, &service, payload);
		if (i > 20)
			check_answer();
	}
	for (int i = 0; i < 20; i++)
		check_answer();
	for (int i = 0; i < THREADS; i++)
		send_up(node, &device, &service, "end");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(shim.notice.dropped[NOTICE_FOREIGN], DEVICES / 10);
}
END_TEST

static void send_down(const struct addr *to, const char *source)
{
	char payload[] = "down", control[CMSG_SPACE(sizeof(struct in_pktinfo))] = { 0 };
	struct iovec piece = { payload, 4 };
	struct sockaddr_storage name;
	struct msghdr msg = { .msg_name = &name, .msg_iov = &piece, .msg_iovlen = 1 };
	struct in_pktinfo info = { 0 };
	struct addr from;

	ck_assert(rewrite_name(&name, &msg.msg_namelen, AF_INET, to));
	if (source) {
		ck_assert_int_eq(addr_parse_ip(&from, source), 0);
		memcpy(&info.ipi_spec_dst, from.ip + 12, 4);
		msg.msg_control = control;
		msg.msg_controllen = sizeof control;
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ CMSG_LEN(sizeof info), IPPROTO_IP, IP_PKTINFO };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &info, sizeof info);
	}
	ck_assert_int_eq(datagram_send(&shim, server, MARK, &msg, 0), 4);
}

/* The service addresses' last octets, in the order in which copies come to the node. */
static void assert_down(const struct addr *to, const char *expected)
{
	char found[8] = "";
	size_t count = 0;

	for (ssize_t len; count < sizeof found - 1;) {
		uint8_t datagram[256];
		struct proxy2_ends ends;
		size_t octets;
		len = recv(node, datagram, sizeof datagram, MSG_DONTWAIT);
		if (len < 0)
			break;
		ck_assert_int_eq(proxy2_read(&ends, &octets, &shim.settings.keys, PROXY2_DOWN, datagram, (size_t)len),
				 PROXY2_GOOD);
		ck_assert_uint_eq((size_t)len - octets, 4);
		ck_assert_mem_eq(datagram + octets, "down", 4);
		ck_assert(addr_equal(&ends.destination, to));
		found[count++] = (char)('0' + ends.source.ip[15]);
	}
	ck_assert_str_eq(found, expected);
}

START_TEST(copies_by_each_service_address)
{
	struct msghdr msg = { 0 };
	const struct addr other = { { [10] = 0xff, 0xff, 192, 0, 2, 2 }, 1 };
	char buffer[16];

	for (uint8_t i = 1; i <= 5; i++) {
		struct addr to = service;
		to.ip[15] = i;
		send_up(node, &device, &to, "");
		ck_assert_int_eq(take(buffer, sizeof buffer, 0, &msg), 0);
	}
	send_up(node, &other, &service, "");
	ck_assert_int_eq(take(buffer, sizeof buffer, 0, &msg), 0);
	send_down(&device, NULL);
	assert_down(&device, "125");
	send_down(&other, NULL);
	assert_down(&other, "7");
	/* The server says from where. */
	send_down(&device, "198.51.100.2");
	assert_down(&device, "2");
	send_down(&device, "198.51.100.5");
	assert_down(&device, "5");
	/* There the device has not been. */
	send_down(&device, "198.51.100.3");
	assert_down(&device, "125");
	send_down(&device, "0.0.0.0");
	assert_down(&device, "125");
	send_down(&other, "198.51.100.1");
	assert_down(&other, "7");
}
END_TEST

static void ask_in(enum proxy2_version version, enum proxy2_version expected)
{
	struct msghdr msg = { 0 };
	struct proxy2_ends ends;
	uint8_t datagram[256];
	char buffer[16];
	size_t octets;

	up_version = version;
	send_up(node, &device, &service, "up");
	ck_assert_int_eq(take(buffer, sizeof buffer, 0, &msg), 2);
	ck_assert_mem_eq(buffer, "up", 2);
	send_down(&device, NULL);
	const ssize_t len = recv(node, datagram, sizeof datagram, 0);
	ck_assert_int_eq(len, PROXY2_V4_OCTETS + 4);
	ck_assert_int_eq(proxy2_read(&ends, &octets, &shim.settings.keys, PROXY2_DOWN, datagram, (size_t)len),
			 PROXY2_GOOD);
	ck_assert_int_eq(ends.version, expected);
}

START_TEST(answers_in_a_version_that_the_node_reads)
{
	ask_in(PROXY2_V1_OFFER, PROXY2_V2);
	ask_in(PROXY2_V2, PROXY2_V2);
	ask_in(PROXY2_V1, PROXY2_V1);
	ask_in(PROXY2_V1_OFFER, PROXY2_V1); /* other nodes may have this address: versions.h */
}
END_TEST

/* The server's own port on loopback, where every address can be a service address. */
static struct addr service_at(const char *ip)
{
	struct sockaddr_in name;
	socklen_t len = sizeof name;
	struct addr at;

	ck_assert_int_eq(getsockname(server, (struct sockaddr *)&name, &len), 0);
	ck_assert_int_eq(addr_parse_ip(&at, ip), 0);
	at.port = ntohs(name.sin_port);
	shim.settings.ports[0] = at.port;
	return at;
}

static bool is_silent(int fd)
{
	char octet;

	return recv(fd, &octet, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

static void ask_directly(const struct addr *from, const struct addr *to)
{
	struct msghdr msg = { 0 };
	char buffer[16];

	up_version = PROXY2_V2_DIRECT;
	send_up(node, from, to, "up");
	ck_assert_int_eq(take(buffer, sizeof buffer, 0, &msg), 2);
}

static void assert_direct(int fd, const struct addr *expected)
{
	struct sockaddr_in name;
	socklen_t len = sizeof name;
	char buffer[16];
	struct addr from;

	ck_assert_int_eq(recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&name, &len), 4);
	ck_assert_mem_eq(buffer, "down", 4);
	ck_assert_int_eq(rewrite_addr(&from, (struct sockaddr *)&name, len), 0);
	ck_assert(addr_equal(&from, expected));
	ck_assert(is_silent(fd));
}

/* From the service address itself, without a header, and the node sees nothing of it. */
START_TEST(straight_to_the_device)
{
	const struct addr at = service_at("127.0.0.2"), other = service_at("127.0.0.3");
	struct sockaddr_in name;
	struct addr from;
	const int fd = bound(&name);

	ck_assert_int_eq(rewrite_addr(&from, (struct sockaddr *)&name, sizeof name), 0);
	ask_directly(&from, &at);
	send_down(&from, NULL);
	assert_direct(fd, &at);
	/* As with nodes: by each service address that it used, or by the one that the server names. */
	ask_directly(&from, &other);
	send_down(&from, "127.0.0.3");
	assert_direct(fd, &other);
	ck_assert(is_silent(node));
	/* The node wants its answers again. */
	up_version = PROXY2_V2;
	send_up(node, &from, &at, "up");
	ck_assert_int_eq(take((char[16]){ 0 }, 16, 0, &(struct msghdr){ 0 }), 2);
	send_down(&from, "127.0.0.2");
	assert_down(&from, "2");
	ck_assert(is_silent(fd));
	ck_assert_int_eq(shim.notice.not_direct_s, 0);
	close(fd);
}
END_TEST

/* Where the socket cannot send from the service address, the node delivers, and it is said. */
START_TEST(not_from_elsewhere)
{
	struct addr elsewhere = service_at("198.51.100.7"), other_port = service_at("127.0.0.4");
	struct sockaddr_in name;
	struct addr from;
	const int fd = bound(&name);

	ck_assert_int_eq(rewrite_addr(&from, (struct sockaddr *)&name, sizeof name), 0);
	ask_directly(&from, &elsewhere);
	send_down(&from, NULL);
	assert_down(&from, "7");
	ck_assert_int_ne(shim.notice.not_direct_s, 0);
	other_port.port ^= 1;
	ask_directly(&from, &other_port);
	send_down(&from, "127.0.0.4");
	assert_down(&from, "4");
	ck_assert(is_silent(fd));
	close(fd);
}
END_TEST

/* Nobody without a key makes a server send anything, or turns where its answers go. */
START_TEST(forged_ones_lead_nowhere)
{
	const struct addr at = service_at("127.0.0.2");
	struct proxy2_ends ends = { device, at, 0, PROXY2_V2 };
	struct sockaddr_in name;
	uint8_t datagram[PROXY2_MAX_OCTETS];
	struct msghdr msg = { 0 };
	char buffer[16];
	const int fd = bound(&name);

	ck_assert_int_eq(rewrite_addr(&ends.source, (struct sockaddr *)&name, sizeof name), 0);
	/* A header that was seen, with another direction. Behind that are the key's id and the tag. */
	const size_t octets = proxy2_write(datagram, &shim.settings.keys, PROXY2_UP, &ends);
	uint8_t *direction = datagram + octets - 10;
	ck_assert_uint_eq(*direction, 0x20);
	ck_assert_int_eq(send(node, datagram, octets, 0), (ssize_t)octets);
	ck_assert_int_eq(take(buffer, sizeof buffer, 0, &msg), 0);
	*direction = 0x22;
	ck_assert_int_eq(send(node, datagram, octets, 0), (ssize_t)octets);
	ck_assert_int_eq(take(buffer, sizeof buffer, 0, &msg), -1);
	ck_assert_uint_eq(shim.notice.dropped[PROXY2_TAG], 1);
	send_down(&ends.source, NULL);
	assert_down(&ends.source, "2");
	ck_assert(is_silent(fd));
	/* A good one of a stranger. */
	up_version = PROXY2_V2_DIRECT;
	send_up(stranger, &ends.source, &at, "up");
	ck_assert_int_eq(take(buffer, sizeof buffer, 0, &msg), -1);
	ck_assert_uint_eq(shim.notice.dropped[NOTICE_FOREIGN], 1);
	send_down(&ends.source, NULL);
	assert_down(&ends.source, "2");
	ck_assert(is_silent(fd));
	close(fd);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 2 * WAIT_S);
	tcase_add_test(tests, as_without_a_tunnel);
	tcase_add_test(tests, cut_short);
	tcase_add_test(tests, dropped_and_counted);
	tcase_add_test(tests, not_sent);
	tcase_add_test(tests, threads_share_a_socket);
	tcase_add_test(tests, copies_by_each_service_address);
	tcase_add_test(tests, answers_in_a_version_that_the_node_reads);
	tcase_add_test(tests, straight_to_the_device);
	tcase_add_test(tests, not_from_elsewhere);
	tcase_add_test(tests, forged_ones_lead_nowhere);
}
