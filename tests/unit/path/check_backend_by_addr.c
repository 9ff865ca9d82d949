/* Backends by the address that their datagrams come from. */
#include <stdlib.h>

#include "path/backend_by_addr.h"
#include "tests/unit/suite.h"

enum { MANY = 1024 };

static struct snapshot_backend backends[MANY];

static struct addr parsed(const char *text)
{
	struct addr a;

	ck_assert_int_eq(addr_parse(&a, text), 0);
	return a;
}

static struct backend_by_addr *index_of_addrs(size_t count)
{
	const struct snapshot_pool pool = { .backends = backends, .backend_count = count };
	struct backend_by_addr *backend_by_addr = backend_by_addr_new(&pool);

	ck_assert_ptr_nonnull(backend_by_addr);
	return backend_by_addr;
}

static uint16_t find(const struct backend_by_addr *backend_by_addr, const char *text)
{
	const struct addr a = parsed(text);

	return backend_by_addr_find(backend_by_addr, &a);
}

START_TEST(by_address_and_port)
{
	struct backend_by_addr *backend_by_addr;

	backends[0].addr = parsed("[2001:db8::1]:5684");
	backends[1].addr = parsed("[2001:db8::1]:5685");
	backends[2].addr = parsed("[2001:db8::2]:5684");
	backends[3].addr = parsed("192.0.2.1:5684");
	backend_by_addr = index_of_addrs(4);
	ck_assert_uint_eq(find(backend_by_addr, "[2001:db8::1]:5684"), 0);
	ck_assert_uint_eq(find(backend_by_addr, "[2001:db8::1]:5685"), 1);
	ck_assert_uint_eq(find(backend_by_addr, "[2001:db8::2]:5684"), 2);
	ck_assert_uint_eq(find(backend_by_addr, "192.0.2.1:5684"), 3);
	ck_assert_uint_eq(find(backend_by_addr, "[2001:db8::2]:5685"), SNAPSHOT_NO_BACKEND);
	ck_assert_uint_eq(find(backend_by_addr, "[2001:db8::3]:5684"), SNAPSHOT_NO_BACKEND);
	ck_assert_uint_eq(find(backend_by_addr, "[2001:db9::1]:5684"), SNAPSHOT_NO_BACKEND);
	ck_assert_uint_eq(find(backend_by_addr, "192.0.2.1:5685"), SNAPSHOT_NO_BACKEND);
	backend_by_addr_free(backend_by_addr);
}
END_TEST

/* A backend whose name has no address yet is not found. Of several backends at one address the first is found. */
START_TEST(without_address_and_twice)
{
	struct backend_by_addr *backend_by_addr;

	backends[0].addr = (struct addr){ .port = 5684 };
	backends[1].addr = parsed("[2001:db8::1]:5684");
	backends[2].addr = parsed("[2001:db8::1]:5684");
	backend_by_addr = index_of_addrs(3);
	ck_assert_uint_eq(find(backend_by_addr, "[2001:db8::1]:5684"), 1);
	ck_assert_uint_eq(backend_by_addr_find(backend_by_addr, &backends[0].addr), SNAPSHOT_NO_BACKEND);
	backend_by_addr_free(backend_by_addr);
}
END_TEST

START_TEST(as_many_as_a_pool_has)
{
	struct backend_by_addr *backend_by_addr;
	struct addr a = parsed("[2001:db8::]:5684");

	for (unsigned i = 0; i < MANY; i++) {
		a.ip[14] = (uint8_t)(i >> 8);
		a.ip[15] = (uint8_t)i;
		backends[i].addr = a;
	}
	backend_by_addr = index_of_addrs(MANY);
	for (uint16_t i = 0; i < MANY; i++)
		ck_assert_uint_eq(backend_by_addr_find(backend_by_addr, &backends[i].addr), i);
	for (unsigned i = MANY; i < 2 * MANY; i++) {
		a.ip[14] = (uint8_t)(i >> 8);
		a.ip[15] = (uint8_t)i;
		ck_assert_uint_eq(backend_by_addr_find(backend_by_addr, &a), SNAPSHOT_NO_BACKEND);
	}
	backend_by_addr_free(backend_by_addr);
	backend_by_addr = index_of_addrs(1);
	ck_assert_uint_eq(backend_by_addr_find(backend_by_addr, &backends[0].addr), 0);
	ck_assert_uint_eq(backend_by_addr_find(backend_by_addr, &backends[1].addr), SNAPSHOT_NO_BACKEND);
	backend_by_addr_free(backend_by_addr);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, by_address_and_port);
	tcase_add_test(tests, without_address_and_twice);
	tcase_add_test(tests, as_many_as_a_pool_has);
}
