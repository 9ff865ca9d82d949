/* Sockets from one configuration to the next. All are opened or none. What stays is served without a break, and what
 * goes is closed. */
#include "tests/fixtures/sockets_bed.h"
#include "tests/unit/suite.h"

static void assert_all_serve(void)
{
	assert_serves("127.0.0.1", bed.configured.listener.addr.port, received);
	for (unsigned port = bed.configured.pool.nat.port_first; port <= bed.configured.pool.nat.port_last; port++)
		assert_serves("127.0.0.1", (uint16_t)port, strays);
}

/* Three more ports take six registrations, each of which may fail. */
START_TEST(refused_by_epoll)
{
	struct sockets_change *change;
	const uint16_t last = bed.configured.pool.nat.port_last;
	size_t open;

	apply();
	open = descriptors();
	bed.configured.pool.nat.port_last = (uint16_t)(last + 3);
	adds_good = (unsigned)_i;
	ck_assert_int_eq(prepare(&change), -ENOSPC);
	ck_assert_uint_eq(adds, (unsigned)_i + 1);
	ck_assert(failure.unwatched);
	ck_assert_int_eq(failure.addr.port, last + 1 + _i / WORKERS);
	ck_assert_uint_eq(descriptors(), open);
	for (unsigned port = last + 1; port <= last + 3u; port++)
		ck_assert_int_eq(workers[0]->path.endpoint_handles[IO_V4][port], -1);
	bed.configured.pool.nat.port_last = last;
	assert_all_serve();
	/* Nothing of it is in the way of the next change. */
	adds_good = UINT32_MAX;
	bed.configured.pool.nat.port_last = (uint16_t)(last + 3);
	apply();
	assert_all_serve();
}
END_TEST

/* Handing over needs no registration any more. */
START_TEST(commit_cannot_fail)
{
	struct sockets_change *change;

	ck_assert_int_eq(prepare(&change), 0);
	ck_assert_uint_eq(adds, 2 * WORKERS);
	adds_good = 0;
	sockets_add(sockets, change);
	publisher_publish(&bed.publisher, table());
	sockets_remove(sockets, change);
	assert_all_serve();
}
END_TEST

START_TEST(refused_by_the_kernel)
{
	struct sockets_change *change;
	struct addr taken = { .ip = { [10] = 0xff, 0xff }, .port = (uint16_t)(bed.configured.pool.nat.port_last + 2) };
	int fd = socket_bind(&taken, SOCKET_LISTENER, SOCKET_FIRST);
	size_t open;

	ck_assert_int_ge(fd, 0);
	apply();
	open = descriptors();
	bed.configured.pool.nat.port_last = (uint16_t)(taken.port + 1);
	ck_assert_int_eq(prepare(&change), -EADDRINUSE);
	ck_assert(!failure.unwatched);
	ck_assert(addr_equal(&failure.addr, &taken));
	ck_assert_uint_eq(descriptors(), open);
	bed.configured.pool.nat.port_last = (uint16_t)(taken.port - 2);
	assert_all_serve();
	close(fd);
}
END_TEST

/* Whether somebody of the present user gets in beside the sockets at this port. */
static bool is_open_to_others(uint16_t port)
{
	static const char *const addresses[] = { "0.0.0.0", "127.0.0.1" };
	bool is_open = false;

	for (int i = 0; i < 2; i++) {
		struct addr addr;
		int fd;

		ck_assert_int_eq(addr_parse_ip(&addr, addresses[i]), 0);
		addr.port = port;
		fd = socket_bind(&addr, SOCKET_LISTENER, SOCKET_FURTHER);
		is_open |= fd >= 0;
		if (fd >= 0)
			close(fd);
	}
	return is_open;
}

/* What was root once opens one socket for all workers, and nobody of its user gets a share. */
START_TEST(opened_after_root)
{
	const uint16_t first = bed.configured.pool.nat.port_first, last = bed.configured.pool.nat.port_last;
	const uint16_t listener = bed.configured.listener.addr.port;
	size_t open;

	if (geteuid() != 0)
		return;
	apply();
	ck_assert(is_open_to_others(first)); /* to root */
	ck_assert_int_eq(seteuid(65534), 0);
	ck_assert(!is_open_to_others(first));
	ck_assert(!is_open_to_others(listener));
	open = descriptors();
	bed.configured.pool.nat.port_last = (uint16_t)(last + 3);
	apply();
	ck_assert_uint_eq(descriptors(), open + 3 * WORKERS);
	for (unsigned port = last + 1; port <= last + 3u; port++) {
		ck_assert(!is_open_to_others((uint16_t)port));
		for (unsigned i = 0; i < WORKERS; i++)
			ck_assert_int_ge(workers[i]->path.endpoint_handles[IO_V4][port], 0);
	}
	assert_all_serve();
	bed.configured.pool.nat.port_last = last;
	apply();
	ck_assert_uint_eq(descriptors(), open);
	bed.configured.pool.nat.port_last = (uint16_t)(last + 3);
	apply();
	assert_all_serve();
	ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

/* A listener has another number at another address. */
static void move_to(const char *ip)
{
	const uint16_t port = bed.configured.listener.addr.port;

	bed.configured.listener_uid = *ip == '0';
	ck_assert_int_eq(addr_parse_ip(&bed.configured.listener.addr, ip), 0);
	bed.configured.listener.addr.port = port;
}

static uint64_t received_at_both(const struct worker *worker)
{
	return atomic_load(&worker->path.stats.received[0]) + atomic_load(&worker->path.stats.received[1]);
}

/* From one address of a port to all of them, and back. */
START_TEST(moved)
{
	static const char *const there_and_back[] = { "0.0.0.0", "127.0.0.1", "0.0.0.0", "127.0.0.1" };
	const uint16_t port = bed.configured.listener.addr.port;
	struct sockets_change *change;
	size_t open;

	move_to("127.0.0.1");
	apply();
	open = descriptors();
	for (int i = 0; i < COUNT_OF(there_and_back); i++) {
		move_to(there_and_back[i]);
		/* Nothing of it stays if it is given up. */
		ck_assert_int_eq(prepare(&change), 0);
		sockets_abandon(sockets, change);
		ck_assert_uint_eq(descriptors(), open);
		adds_good = 1;
		ck_assert_int_eq(prepare(&change), -ENOSPC);
		adds_good = UINT32_MAX;
		ck_assert_uint_eq(descriptors(), open);
		apply();
		ck_assert_uint_eq(descriptors(), open);
		assert_serves("127.0.0.1", port, received_at_both);
		if (i % 2 == 0)
			assert_serves("127.0.0.2", port, received_at_both);
	}
}
END_TEST

/* What arrived at the old sockets is read before they are closed, and what the kernel gives them meanwhile, too. */
START_TEST(moved_while_datagrams_arrive)
{
	const uint16_t port = bed.configured.listener.addr.port;
	struct sockets_change *change;
	uint64_t before;

	move_to("127.0.0.1");
	apply();
	for (int i = 0; i < 20; i++) {
		before = of_all(received_at_both);
		for (int j = 0; j < 50; j++)
			send_to("127.0.0.1", port);
		move_to(i % 2 ? "127.0.0.1" : "0.0.0.0");
		ck_assert_int_eq(prepare(&change), 0);
		for (int j = 0; j < 50; j++)
			send_to("127.0.0.1", port);
		sockets_add(sockets, change);
		for (int j = 0; j < 50; j++)
			send_to("127.0.0.1", port);
		publisher_publish(&bed.publisher, table());
		sockets_remove(sockets, change);
		for (int j = 0; j < 5000 && of_all(received_at_both) < before + 150; j++)
			usleep(1000);
		ck_assert_uint_eq(of_all(received_at_both), before + 150);
	}
}
END_TEST

START_TEST(one_grace_period_for_all)
{
	const uint16_t first = bed.configured.pool.nat.port_first, last = (uint16_t)(first + PORTS);
	struct sockets_change *change;
	size_t open;

	bed.configured.pool.nat.port_last = last;
	apply();
	open = descriptors();
	bed.configured.pool.nat.port_last = first;
	ck_assert_int_eq(prepare(&change), 0);
	sockets_add(sockets, change);
	publisher_publish(&bed.publisher, table());
	graces = 0;
	sockets_remove(sockets, change);
	ck_assert_uint_eq(graces, 1);
	ck_assert_uint_eq(open_then, open);
	ck_assert_uint_eq(descriptors(), open - PORTS * WORKERS);
	for (unsigned i = 0; i < WORKERS; i++)
		for (unsigned port = first + 1; port <= last; port++)
			ck_assert_int_eq(workers[i]->path.endpoint_handles[IO_V4][port], -1);
	assert_all_serve();
	/* If nothing goes, nobody waits. */
	ck_assert_int_eq(prepare(&change), 0);
	sockets_add(sockets, change);
	graces = 0;
	sockets_remove(sockets, change);
	ck_assert_uint_eq(graces, 0);
}
END_TEST

/* A socket keeps what comes before it is handed over. It keeps errors too, and they do not keep a worker busy. */
START_TEST(not_given_yet)
{
	struct sockets_change *change;
	unsigned before;

	ck_assert_int_eq(prepare(&change), 0);
	send_to("127.0.0.1", bed.configured.listener.addr.port);
	usleep(20000);
	ck_assert_uint_eq(of_all(received), 0);
	sockets_add(sockets, change);
	publisher_publish(&bed.publisher, table());
	sockets_remove(sockets, change);
	for (int i = 0; i < 10000 && of_all(received) == 0; i++)
		usleep(1000);
	ck_assert_uint_eq(of_all(received), 1);

	struct addr addr = { .ip = { [10] = 0xff, 0xff }, .port = (uint16_t)(bed.configured.pool.nat.port_last + 1) },
		    nobody;
	struct sockaddr_storage name;
	int fd = socket_bind(&addr, SOCKET_ENDPOINT, SOCKET_FIRST);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(worker_admit(workers[0], fd), 0);
	before = waits;
	ck_assert_int_eq(addr_parse(&nobody, "127.0.0.1:1"), 0);
	ck_assert_int_eq(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sockaddr_write(&name, &nobody)), 1);
	usleep(50000);
	ck_assert_uint_le(waits - before, 2);
	ck_assert_uint_eq(of_all(strays), 0);
	ck_assert_int_eq(worker_set_endpoint(workers[0], IO_V4, addr.port, fd), -1);
	for (int i = 0; i < 10000 && of_all(strays) == 0; i++)
		usleep(1000);
	ck_assert_uint_eq(of_all(strays), 1);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, refused_by_epoll, 0, 3 * WORKERS);
	tcase_add_test(tests, commit_cannot_fail);
	tcase_add_test(tests, refused_by_the_kernel);
	tcase_add_test(tests, opened_after_root);
	tcase_add_test(tests, moved);
	tcase_add_test(tests, moved_while_datagrams_arrive);
	tcase_add_test(tests, one_grace_period_for_all);
	tcase_add_test(tests, not_given_yet);
}
