/* The outbox with real sockets on loopback. What leaves in groups arrives as the datagrams that were queued. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fixtures/octets.h"
#include "tests/fixtures/open_socket.h"
#include "tests/unit/suite.h"

static struct io_outbox *outbox;
static struct io *io;
static struct stats_sent sent;
static stats_counter refused, segmented, fragmented;
static struct io_pmtu path;
static int from, to;
static struct addr to_addr;

static void open_sockets(const char *ip, enum socket_use receiver)
{
	struct addr from_addr;

	from = open_socket(ip, SOCKET_TUNNEL, &from_addr);
	to = open_socket(ip, receiver, &to_addr);
	path = (struct io_pmtu){
		.to = to_addr, .most = UINT16_MAX, .segmented = &segmented, .fragmented = &fragmented
	};
}

static void set_up(void)
{
	sent.datagrams = sent.octets = refused = segmented = fragmented = 0;
	io = socket_io_new();
	ck_assert_ptr_nonnull(io);
	outbox = io_outbox_new(io, NULL, NULL);
	ck_assert_ptr_nonnull(outbox);
}

static void tear_down(void)
{
	close(from);
	close(to);
	io_outbox_free(outbox);
	socket_io_free(io);
}

static void queue(const char *head, const char *data, uint64_t stream)
{
	io_queue(outbox, &(struct io_send){
				 .handle = from,
				 .head = (const uint8_t *)head,
				 .head_len = strlen(head),
				 .data = (const uint8_t *)data,
				 .len = strlen(data),
				 .to = to_addr,
				 .pmtu = &path,
				 .stream = stream,
				 .sent = &sent,
				 .refused = &refused,
			 });
}

/* Returns what arrives, until there are `count` datagrams. Blanks separate them. */
static const char *received(size_t count)
{
	static char text[8192];
	size_t used = 0, seen = 0;

	text[0] = '\0';
	while (seen < count) {
		struct pollfd ready = { .fd = to, .events = POLLIN };
		struct io_datagram *datagrams;
		uint32_t drops;

		ck_assert_msg(poll(&ready, 1, 10000) == 1, "%zu of %zu arrived", seen, count);
		const size_t got = io->ops->receive(io, to, &datagrams, &drops);
		for (size_t i = 0; i < got; i++) {
			const size_t step = datagrams[i].segment ? datagrams[i].segment : datagrams[i].len;

			for (size_t at = 0; at < datagrams[i].len; at += step, seen++) {
				const size_t left = datagrams[i].len - at;

				used += (size_t)sprintf(text + used, "%s%.*s", used ? " " : "",
							(int)(left < step ? left : step),
							(const char *)datagrams[i].data + at);
			}
		}
	}
	return text;
}

START_TEST(leaves_in_groups)
{
	static const char *const ips[] = { "127.0.0.1", "::1" };

	open_sockets(ips[_i / 2], _i % 2 ? SOCKET_TUNNEL : SOCKET_LISTENER);
	queue("h1.", "first", 1);
	queue("h2.", "longer-one", 2);
	queue("h3.", "third", 3);
	queue("h4.", "four", 4);
	io_flush(outbox);
	ck_assert_str_eq(received(4), "h1.first h3.third h4.four h2.longer-one");
	ck_assert_uint_eq(sent.datagrams, 4);
	ck_assert_uint_eq(segmented, 3);
	ck_assert_uint_eq(refused + fragmented, 0);
	ck_assert_uint_eq(path.most, UINT16_MAX);
}
END_TEST

/* They also arrive together. */
START_TEST(is_received_in_one)
{
	struct pollfd ready = { .events = POLLIN };
	struct io_datagram *datagrams;
	uint32_t drops;

	open_sockets("127.0.0.1", SOCKET_TUNNEL);
	for (int i = 0; i < 8; i++)
		queue("head", i < 7 ? "payload" : "end", (uint64_t)i);
	io_flush(outbox);
	ready.fd = to;
	ck_assert_int_eq(poll(&ready, 1, 10000), 1);
	ck_assert_uint_eq(io->ops->receive(io, to, &datagrams, &drops), 1);
	ck_assert_uint_eq(datagrams[0].len, 7 * 11 + 7);
	ck_assert_uint_eq(datagrams[0].segment, 11);
	/* The next datagram comes alone. What was said of the last one is forgotten. */
	queue("", "alone", 1);
	io_flush(outbox);
	ck_assert_int_eq(poll(&ready, 1, 10000), 1);
	ck_assert_uint_eq(io->ops->receive(io, to, &datagrams, &drops), 1);
	ck_assert_uint_eq(datagrams[0].len, 5);
	ck_assert_uint_eq(datagrams[0].segment, 0);
}
END_TEST

/* A socket without checksums refuses UDP_SEGMENT with EINVAL. Old kernels refuse what is too large in the same way.
 * Everything arrives all the same. */
START_TEST(the_kernel_refuses_groups)
{
	int one = 1;

	open_sockets("127.0.0.1", SOCKET_LISTENER);
	ck_assert_int_eq(setsockopt(from, SOL_SOCKET, SO_NO_CHECK, &one, sizeof one), 0);
	queue("a", "-1", 1);
	queue("b", "-two", 2);
	queue("c", "-3", 3);
	queue("d", "-four", 4);
	io_flush(outbox);
	ck_assert_str_eq(received(4), "a-1 b-two c-3 d-four");
	ck_assert_uint_eq(sent.datagrams, 4);
	ck_assert_uint_eq(refused + segmented + fragmented, 0);
	ck_assert_uint_eq(path.most, 0);
}
END_TEST

/* These datagrams may be too large. So the path takes them for that, and smaller ones are tried again. */
START_TEST(the_kernel_refuses_large_ones)
{
	static char large[1200];
	int one = 1;

	open_sockets("127.0.0.1", SOCKET_LISTENER);
	ck_assert_int_eq(setsockopt(from, SOL_SOCKET, SO_NO_CHECK, &one, sizeof one), 0);
	memset(large, 'x', sizeof large - 1);
	queue("a", large, 1);
	io_flush(outbox);
	ck_assert_uint_eq(path.most, 1199);
	ck_assert_uint_eq(fragmented, 1);
	queue("b", large, 1);
	queue("c", large, 2);
	io_flush(outbox);
	ck_assert_uint_eq(fragmented, 3);
	ck_assert_uint_eq(sent.datagrams, 3);
	ck_assert_uint_eq(strlen(received(3)), 3 * 1200 + 2);
	ck_assert_uint_eq(refused + segmented, 0);
}
END_TEST

/* There are more than fit at once. */
START_TEST(flushes_when_full)
{
	open_sockets("127.0.0.1", SOCKET_TUNNEL);
	for (int i = 0; i < 3 * IO_OUTBOX + 1; i++)
		queue("h", "x", 1);
	ck_assert_uint_eq(sent.datagrams, 3 * IO_OUTBOX);
	io_flush(outbox);
	ck_assert_uint_eq(strlen(received(3 * IO_OUTBOX + 1)), (3 * IO_OUTBOX + 1) * 3 - 1);
	ck_assert_uint_eq(sent.datagrams, 3 * IO_OUTBOX + 1);
	ck_assert_uint_eq(segmented, 3 * IO_OUTBOX);
}
END_TEST

START_TEST(who_is_alone_stays_alone)
{
	struct addr elsewhere;

	open_sockets("127.0.0.1", SOCKET_TUNNEL);
	ck_assert_int_eq(socket_bind(&to_addr, SOCKET_TUNNEL, SOCKET_ALONE), -EADDRINUSE);
	ck_assert_int_eq(socket_bind(&to_addr, SOCKET_LISTENER, SOCKET_FURTHER), -EADDRINUSE);
	ck_assert_int_eq(socket_bind(&to_addr, SOCKET_ENDPOINT, SOCKET_FIRST), -EADDRINUSE);
	ck_assert_int_eq(addr_parse(&elsewhere, "192.0.2.1:7200"), 0);
	ck_assert_int_eq(socket_bind(&elsewhere, SOCKET_TUNNEL, SOCKET_ALONE), -EADDRNOTAVAIL);
	ck_assert_int_eq(addr_parse(&elsewhere, "[2001:db8::1]:7200"), 0);
	ck_assert_int_eq(socket_bind(&elsewhere, SOCKET_TUNNEL, SOCKET_ALONE), -EADDRNOTAVAIL);
}
END_TEST

/* The kernel takes no broadcast from this socket. What stands behind such a datagram leaves all the same. */
START_TEST(goes_on_behind_what_is_refused)
{
	static const char *const texts[] = { "a", "b", "c", "d", "e" };
	struct addr broadcast;

	open_sockets("127.0.0.1", SOCKET_LISTENER);
	ck_assert_int_eq(addr_parse(&broadcast, "255.255.255.255:9"), 0);
	for (size_t i = 0; i < 5; i++)
		io_queue(outbox, &(struct io_send){
					 .handle = from,
					 .data = (const uint8_t *)texts[i],
					 .len = 1,
					 .to = i % 2 ? broadcast : to_addr,
					 .sent = &sent,
					 .refused = &refused,
				 });
	io_flush(outbox);
	ck_assert_str_eq(received(3), "a c e");
	ck_assert_uint_eq(sent.datagrams, 3);
	ck_assert_uint_eq(refused, 2);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, leaves_in_groups, 0, 4);
	tcase_add_test(tests, is_received_in_one);
	tcase_add_test(tests, the_kernel_refuses_groups);
	tcase_add_test(tests, the_kernel_refuses_large_ones);
	tcase_add_test(tests, flushes_when_full);
	tcase_add_test(tests, goes_on_behind_what_is_refused);
	tcase_add_test(tests, who_is_alone_stays_alone);
}
