/* A tunnel's sockets from one configuration to the next. */
#include "tests/fixtures/sockets_bed.h"
#include "tests/unit/suite.h"

static uint64_t tunnelled(const struct worker *worker)
{
	return atomic_load(&worker->path.stats.tunnel_dropped[bed.configured.pool_uid][TUNNEL_OUTER_SOURCE]);
}

static void configure_tunnel(uint16_t port)
{
	bed.configured.pool.forward = FORWARD_TUNNEL;
	bed.configured.pool.nat.source_count = 0;
	bed.configured.pool.nat.single = true;
	ck_assert_int_eq(proxy2_parse_keys(&bed.configured.pool.tunnel.keys, "1:000102030405060708090a0b0c0d0e0f"), 0);
	ck_assert_int_eq(addr_parse_ip(&bed.configured.pool.tunnel.local, "127.0.0.1"), 0);
	bed.configured.pool.tunnel.local.port = port;
}

static void assert_tunnels_serve(uint16_t port)
{
	for (unsigned i = 0; i < WORKERS; i++)
		assert_serves("127.0.0.1", (uint16_t)(port + i), tunnelled);
}

/* A pool with another name. Its sockets are the old one's, but by other descriptors, which must leave epoll as well. */
START_TEST(tunnel_shared)
{
	const uint16_t port = bed.configured.pool.nat.port_first;
	struct sockets_change *change;
	size_t open;

	configure_tunnel(port);
	apply();
	open = descriptors();
	assert_tunnels_serve(port);
	const uint16_t before = bed.configured.pool_uid;
	bed.configured.pool.name = (char[]){ "q" };
	for (int i = 0; i < 3; i++) {
		adds_good = (unsigned)i;
		ck_assert_int_eq(prepare(&change), i < WORKERS ? -ENOSPC : 0);
		if (i == WORKERS)
			sockets_abandon(sockets, change);
		ck_assert_uint_eq(descriptors(), open);
	}
	adds_good = UINT32_MAX;
	apply();
	ck_assert_uint_ne(bed.configured.pool_uid, before);
	ck_assert_int_eq(workers[0]->path.pool_handles[before], -1);
	ck_assert_uint_eq(descriptors(), open);
	assert_tunnels_serve(port);
}
END_TEST

/* A pool with the same name and a new local address. */
START_TEST(tunnel_in_place)
{
	const uint16_t port = bed.configured.pool.nat.port_first;
	size_t open;

	configure_tunnel(port);
	apply();
	open = descriptors();
	configure_tunnel((uint16_t)(port + 1));
	graces = 0;
	apply();
	ck_assert_uint_eq(graces, 2); /* the table's, and one for the sockets of both workers */
	ck_assert_uint_eq(descriptors(), open);
	assert_tunnels_serve((uint16_t)(port + 1));
	ck_assert(range_is_free(port, 1));
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, tunnel_shared);
	tcase_add_test(tests, tunnel_in_place);
}
