/* Socket addresses there and back. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/sockaddr.h"
#include "tests/unit/suite.h"

static struct addr parsed(const char *text)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse(&addr, text), 0);
	return addr;
}

START_TEST(v4)
{
	const struct addr addr = parsed("192.0.2.1:5684");
	struct sockaddr_storage name;
	struct sockaddr_in in;
	struct addr back;

	ck_assert_uint_eq(sockaddr_write(&name, &addr), sizeof in);
	memcpy(&in, &name, sizeof in);
	ck_assert_int_eq(in.sin_family, AF_INET);
	ck_assert_uint_eq(ntohs(in.sin_port), 5684);
	ck_assert_uint_eq(ntohl(in.sin_addr.s_addr), 0xc0000201);
	back = sockaddr_read(&name);
	ck_assert(addr_equal(&back, &addr));
}
END_TEST

START_TEST(v6)
{
	const struct addr addr = parsed("[2001:db8::1]:5684");
	struct sockaddr_storage name;
	struct sockaddr_in6 in6;
	struct addr back;

	ck_assert_uint_eq(sockaddr_write(&name, &addr), sizeof in6);
	memcpy(&in6, &name, sizeof in6);
	ck_assert_int_eq(in6.sin6_family, AF_INET6);
	ck_assert_uint_eq(ntohs(in6.sin6_port), 5684);
	ck_assert_mem_eq(&in6.sin6_addr, addr.ip, 16);
	ck_assert_uint_eq(in6.sin6_flowinfo + in6.sin6_scope_id, 0);
	back = sockaddr_read(&name);
	ck_assert(addr_equal(&back, &addr));
}
END_TEST

START_TEST(of_a_link)
{
	const struct addr addr = parsed("[fe80::1%7]:5684"), none = { 0 };
	struct sockaddr_storage name;
	struct sockaddr_in6 in6;
	struct addr back;

	ck_assert_uint_eq(sockaddr_write(&name, &addr), sizeof in6);
	memcpy(&in6, &name, sizeof in6);
	ck_assert_uint_eq(in6.sin6_scope_id, 7);
	ck_assert_uint_eq(in6.sin6_addr.s6_addr[7], 0);
	back = sockaddr_read(&name);
	ck_assert(addr_equal(&back, &addr));
	/* No host has this one, which looks like one with a scope. */
	in6.sin6_addr.s6_addr[7] = 7;
	memcpy(&name, &in6, sizeof in6);
	back = sockaddr_read(&name);
	ck_assert(addr_equal(&back, &none));
}
END_TEST

START_TEST(other_families)
{
	const struct sockaddr_storage name = { .ss_family = AF_UNIX };
	const struct addr none = { 0 }, back = sockaddr_read(&name);

	ck_assert(addr_equal(&back, &none));
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, v4);
	tcase_add_test(tests, v6);
	tcase_add_test(tests, of_a_link);
	tcase_add_test(tests, other_families);
}
