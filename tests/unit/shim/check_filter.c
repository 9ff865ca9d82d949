/* The kernel itself is asked what the filter does. A datagram to loopback is in the receiver's queue when send
 * returns. */
#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "common/proxy2.h"
#include "shim/filter.h"
#include "shim/rewrite.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

enum { DATAGRAM_OCTETS = 256 };

/* Where the server's socket is, and where it is sent to. */
static const struct {
	sa_family_t family;
	const char *at, *to, *from;
} sockets[] = {
	{ AF_INET, "127.0.0.1", "127.0.0.1", "127.0.0.1" },
	{ AF_INET6, "::1", "::1", "::1" },
	{ AF_INET6, "::", "::1", "::1" },
	{ AF_INET6, "::", "127.0.0.1", "127.0.0.1" },
};

/* With its port; 0: the kernel's choice. */
static int bound(sa_family_t family, const char *ip, struct addr *at)
{
	struct sockaddr_storage name;
	socklen_t len;
	const int fd = socket(family, SOCK_DGRAM, 0);

	if (at->port == 0)
		ck_assert_int_eq(addr_parse_ip(at, ip), 0);
	ck_assert(rewrite_name(&name, &len, family, at));
	if (bind(fd, (struct sockaddr *)&name, len) != 0) {
		close(fd);
		return -1;
	}
	len = sizeof name;
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&name, &len), 0);
	ck_assert_int_eq(rewrite_addr(at, (struct sockaddr *)&name, len), 0);
	return fd;
}

static bool passes(int to, int from, const struct addr *at, const void *data, size_t len)
{
	struct sockaddr_storage name;
	char buffer[DATAGRAM_OCTETS];
	socklen_t name_len;
	int domain = 0;
	socklen_t domain_len = sizeof domain;

	ck_assert_int_eq(getsockopt(from, SOL_SOCKET, SO_DOMAIN, &domain, &domain_len), 0);
	ck_assert(rewrite_name(&name, &name_len, (sa_family_t)domain, at));
	ck_assert_int_eq(sendto(from, data, len, 0, (struct sockaddr *)&name, name_len), (ssize_t)len);
	const ssize_t got = recv(to, buffer, sizeof buffer, MSG_DONTWAIT);
	if (got < 0)
		return false;
	ck_assert_int_eq(got, (ssize_t)len);
	ck_assert_mem_eq(buffer, data, len);
	return true;
}

/* A header with a tag of any key: that is not the filter's business. */
static size_t header(uint8_t out[static PROXY2_MAX_OCTETS], const char *device)
{
	struct proxy2_keys keys = { .count = 1 };
	struct proxy2_ends ends = { .key = 0 };

	ck_assert_int_eq(addr_parse(&ends.source, device), 0);
	ck_assert_int_eq(addr_parse(&ends.destination, "198.51.100.7:5684"), 0);
	return proxy2_write(out, &keys, PROXY2_UP, &ends);
}

static sa_family_t family_of(const char *ip)
{
	return strchr(ip, ':') ? AF_INET6 : AF_INET;
}

/* As many others as there may be before and behind the ones that count. */
static void fill(struct settings *settings, const struct addr *node)
{
	*settings = (struct settings){ .node_count = SETTINGS_NODES };
	for (size_t i = 0; i < SETTINGS_NODES; i++) {
		struct settings_node *other = &settings->nodes[i];
		ck_assert_int_eq(addr_parse(&other->first, i % 2 ? "10.0.0.2:7200" : "[2001:db8::2]:7200"), 0);
		other->first.ip[14] = (uint8_t)i;
		other->last_port = UINT16_MAX;
	}
	settings->nodes[SETTINGS_NODES - 2] = (struct settings_node){ *node, (uint16_t)(node->port + 1) };
}

START_TEST(nodes_pass_and_strangers_do_not)
{
	struct addr at = { 0 }, to, node = { 0 };
	uint8_t data[PROXY2_MAX_OCTETS];
	struct settings settings;

	const int server = bound(sockets[_i].family, sockets[_i].at, &at);
	ck_assert_int_eq(addr_parse_ip(&to, sockets[_i].to), 0);
	to.port = at.port;
	const int sender = bound(family_of(sockets[_i].from), sockets[_i].from, &node);
	fill(&settings, &node);
	ck_assert_int_eq(filter_attach(server, &settings, sockets[_i].family), 0);
	const size_t len = header(data, "192.0.2.1:56324");
	ck_assert(passes(server, sender, &to, data, len));
	/* Another port is told of, and so gets there. */
	settings.nodes[SETTINGS_NODES - 2].first.port++;
	ck_assert_int_eq(filter_attach(server, &settings, sockets[_i].family), 0);
	ck_assert(passes(server, sender, &to, data, len));
	/* The right port of another address. */
	settings.nodes[SETTINGS_NODES - 2].first.port--;
	settings.nodes[SETTINGS_NODES - 2].first.ip[15]++;
	ck_assert_int_eq(filter_attach(server, &settings, sockets[_i].family), 0);
	ck_assert(!passes(server, sender, &to, data, len));
	close(sender);
	close(server);
}
END_TEST

static const struct {
	const char *device; /* of the header */
	int at;             /* this octet is changed; -1: none */
	size_t len;         /* what is left of it; 0: all */
	bool v4, v6;        /* passes at a socket of that family */
} headers[] = {
	{ "192.0.2.1:56324", -1, 0, true, true },
	{ "192.0.2.1:56324", -1, 14, true, true }, /* the rest is not for a filter */
	{ "192.0.2.1:56324", -1, 13, false, false },
	{ "192.0.2.1:56324", -1, 11, false, false },
	{ "192.0.2.1:56324", 0, 0, false, false },
	{ "192.0.2.1:56324", 7, 0, false, false },
	{ "192.0.2.1:56324", 11, 0, false, false },
	{ "192.0.2.1:56324", 12, 0, false, false }, /* LOCAL, another version */
	{ "192.0.2.1:56324", 13, 0, false, false }, /* STREAM, UNIX */
	{ "192.0.2.1:56324", 14, 0, true, true },
	{ "192.0.2.1:56324", 40, 0, true, true }, /* the tag */
	{ "[2001:db8::1]:56324", -1, 0, false, true },
	{ "[::1.2.3.4]:56324", -1, 0, false, true },
	{ "[::fffe:1.2.3.4]:56324", -1, 0, false, true },
	{ "[2001:db8::ffff:1.2.3.4]:56324", -1, 0, false, true },
};

START_TEST(headers_pass_and_others_do_not)
{
	for (int v6 = 0; v6 <= 1; v6++) {
		struct addr at = { 0 }, node = { 0 };
		uint8_t data[PROXY2_MAX_OCTETS];
		struct settings settings = { .node_count = 1 };
		const int server = bound(v6 ? AF_INET6 : AF_INET, v6 ? "::1" : "127.0.0.1", &at);
		const int sender = bound(v6 ? AF_INET6 : AF_INET, v6 ? "::1" : "127.0.0.1", &node);
		size_t len = header(data, headers[_i].device);

		settings.nodes[0] = (struct settings_node){ node, node.port };
		ck_assert_int_eq(filter_attach(server, &settings, v6 ? AF_INET6 : AF_INET), 0);
		if (headers[_i].at >= 0)
			data[headers[_i].at]++;
		len = headers[_i].len > 0 ? headers[_i].len : len;
		ck_assert(passes(server, sender, &at, data, len) == (v6 ? headers[_i].v6 : headers[_i].v4));
		close(server);
		close(sender);
	}
}
END_TEST

/* As proxy2_write() does not write it, but may be written. */
START_TEST(mapped_device_in_a_long_header)
{
	struct addr at = { 0 }, node = { 0 };
	uint8_t data[PROXY2_MAX_OCTETS];
	struct settings settings = { .node_count = 1 };
	const int server = bound(AF_INET, "127.0.0.1", &at), sender = bound(AF_INET, "127.0.0.1", &node);
	const size_t len = header(data, "[2001:db8::1]:56324");

	settings.nodes[0] = (struct settings_node){ node, node.port };
	ck_assert_int_eq(filter_attach(server, &settings, AF_INET), 0);
	ck_assert(!passes(server, sender, &at, data, len));
	memcpy(data + 16, (uint8_t[]){ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, 12);
	ck_assert(passes(server, sender, &at, data, len));
	close(server);
	close(sender);
}
END_TEST

START_TEST(no_socket_no_filter)
{
	const struct settings settings = { .node_count = 1 };

	ck_assert_int_eq(filter_attach(-1, &settings, AF_INET), -EBADF);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, nodes_pass_and_strangers_do_not, 0, COUNT_OF(sockets));
	tcase_add_loop_test(tests, headers_pass_and_others_do_not, 0, COUNT_OF(headers));
	tcase_add_test(tests, mapped_device_in_a_long_header);
	tcase_add_test(tests, no_socket_no_filter);
}
