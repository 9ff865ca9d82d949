/* On which interface what has the address of a backend may come in. */
#include <stdio.h>

#include "path/backend_ifaces.h"
#include "tests/unit/suite.h"

enum { BACKENDS = 200 };

static struct snapshot_backend backends[2][BACKENDS];
static struct snapshot_pool pools[2] = { { .backends = backends[0] }, { .backends = backends[1] } };
static const struct snapshot snapshot = { .pools = pools, .pool_count = 2 };

static void add(unsigned pool, const char *address, uint32_t iface)
{
	struct snapshot_backend *backend = &backends[pool][pools[pool].backend_count++];

	*backend =
		(struct snapshot_backend){ .uid = (uint16_t)(1000 * pool + pools[pool].backend_count), .iface = iface };
	ck_assert_int_eq(addr_parse(&backend->addr, address), 0);
}

static uint16_t elsewhere(const struct backend_ifaces *ifaces, const char *ip, uint32_t iface)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse_ip(&addr, ip), 0);
	return backend_ifaces_elsewhere(ifaces, addr.ip, iface);
}

static void set_up(void)
{
	pools[0].backend_count = pools[1].backend_count = 0;
}

START_TEST(none)
{
	struct backend_ifaces *ifaces = backend_ifaces_new(&snapshot);

	ck_assert_uint_eq(elsewhere(ifaces, "10.0.0.1", 1), SNAPSHOT_NO_BACKEND);
	ck_assert_uint_eq(elsewhere(ifaces, "::", 1), SNAPSHOT_NO_BACKEND);
	backend_ifaces_free(ifaces);
}
END_TEST

START_TEST(one_way)
{
	struct backend_ifaces *ifaces;

	add(0, "10.0.0.1:5684", 3);
	add(0, "[fd00::1]:5684", 4);
	ifaces = backend_ifaces_new(&snapshot);
	ck_assert_uint_eq(elsewhere(ifaces, "10.0.0.1", 3), SNAPSHOT_NO_BACKEND);
	ck_assert_uint_eq(elsewhere(ifaces, "10.0.0.1", 4), 1);
	ck_assert_uint_eq(elsewhere(ifaces, "fd00::1", 3), 2);
	ck_assert_uint_eq(elsewhere(ifaces, "fd00::1", 4), SNAPSHOT_NO_BACKEND);
	ck_assert_uint_eq(elsewhere(ifaces, "10.0.0.2", 4), SNAPSHOT_NO_BACKEND);
	backend_ifaces_free(ifaces);
}
END_TEST

/* What one pool cannot say, another may not narrow: in whatever order they come. */
START_TEST(any_way)
{
	struct backend_ifaces *ifaces;

	add(0, "10.0.0.1:5684", 0);
	add(0, "10.0.0.2:5684", 3);
	add(0, "10.0.0.2:5685", 3);
	add(0, "10.0.0.3:5684", 3);
	add(0, "10.0.0.4:5684", 0);
	add(1, "10.0.0.3:5684", 4);
	add(1, "10.0.0.3:5685", 3);
	add(1, "10.0.0.4:5684", 3);
	ifaces = backend_ifaces_new(&snapshot);
	for (uint32_t iface = 1; iface < 6; iface++) {
		ck_assert_uint_eq(elsewhere(ifaces, "10.0.0.1", iface), SNAPSHOT_NO_BACKEND);
		ck_assert_uint_eq(elsewhere(ifaces, "10.0.0.3", iface), SNAPSHOT_NO_BACKEND);
		ck_assert_uint_eq(elsewhere(ifaces, "10.0.0.4", iface), SNAPSHOT_NO_BACKEND);
		ck_assert_int_eq(elsewhere(ifaces, "10.0.0.2", iface) == SNAPSHOT_NO_BACKEND, iface == 3);
	}
	backend_ifaces_free(ifaces);
}
END_TEST

START_TEST(many)
{
	struct backend_ifaces *ifaces;
	char text[32];

	for (unsigned i = 0; i < BACKENDS; i++) {
		snprintf(text, sizeof text, "10.0.%u.7:5684", i);
		add(i % 2, text, 2 + i);
	}
	ifaces = backend_ifaces_new(&snapshot);
	for (unsigned i = 0; i < BACKENDS; i++) {
		snprintf(text, sizeof text, "10.0.%u.7", i);
		ck_assert_uint_eq(elsewhere(ifaces, text, 2 + i), SNAPSHOT_NO_BACKEND);
		ck_assert_uint_eq(elsewhere(ifaces, text, 1), 1000 * (i % 2) + i / 2 + 1);
	}
	backend_ifaces_free(ifaces);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_test(tests, none);
	tcase_add_test(tests, one_way);
	tcase_add_test(tests, any_way);
	tcase_add_test(tests, many);
}
