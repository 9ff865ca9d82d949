/* Sockets from one configuration to the next, with two workers that run. All are opened or none. What stays is served
 * without a break, and what goes is closed. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sockaddr.h"
#include "control/sockets.h"
#include "tests/fixtures/path_bed.h"
#include "tests/unit/suite.h"

#include <urcu-qsbr.h>

enum { WORKERS = 2, PORTS = 25 };

static struct path_bed bed;
static struct worker *workers[WORKERS];
static struct sockets *sockets;
static struct sockets_failure failure;
static _Atomic unsigned adds, adds_good; /* EPOLL_CTL_ADDs, and how many of them succeed */
static _Atomic unsigned waits;
static _Thread_local unsigned graces;  /* grace periods that a thread has waited for */
static _Thread_local size_t open_then; /* open descriptors when it began to wait */

/* These two stand in for those of the C library. */
int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
	if (what == EPOLL_CTL_ADD && adds++ >= adds_good) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epoll, what, fd, event);
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms)
{
	waits++;
	return (int)syscall(SYS_epoll_pwait, epoll, events, most, timeout_ms, NULL, 0);
}

static size_t descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

void synchronize_rcu(void)
{
	void (*real)(void);

	*(void **)&real = dlsym(RTLD_NEXT, "urcu_qsbr_synchronize_rcu");
	open_then = descriptors();
	graces++;
	real();
}

static bool range_is_free(uint16_t first, unsigned count)
{
	struct addr any;
	unsigned port;

	ck_assert_int_eq(addr_parse_ip(&any, "0.0.0.0"), 0);
	for (port = first; port < first + count; port++) {
		any.port = (uint16_t)port;
		int fd = socket_bind(&any, SOCKET_LISTENER, SOCKET_FIRST);
		if (fd < 0)
			break;
		close(fd);
	}
	return port == first + count;
}

/* Finds ports that nobody has, below those that the kernel gives out. */
static uint16_t range_find(unsigned count)
{
	static unsigned next = 12000;

	for (next += (unsigned)getpid() % 97 * 100; next + count < 32768; next += count)
		if (range_is_free((uint16_t)next, count))
			return (uint16_t)next;
	ck_abort_msg("no ports");
}

static struct table *table(void)
{
	return nat_table_build(&bed.configured, path_bed_table(&bed));
}

static int prepare(struct sockets_change **change)
{
	struct table_spec spec;
	int err;

	ck_assert_int_eq(table_spec_make(&spec, &bed.configured.conf, bed.configured.pools, bed.configured.backends),
			 0);
	bed.configured.pool_uid = spec.pools[0].uid;
	adds = 0;
	err = sockets_prepare(change, sockets,
			      &(struct sockets_of){ &bed.configured.conf, &spec, &bed.configured.listener_uid },
			      &failure);
	table_spec_free(&spec);
	return err;
}

/* Reloads what is configured now. */
static void apply(void)
{
	struct sockets_change *change;

	ck_assert_int_eq(prepare(&change), 0);
	sockets_add(sockets, change);
	publisher_publish(&bed.publisher, table());
	sockets_remove(sockets, change);
}

static void set_up(void)
{
	path_bed_share(&bed);
	rcu_thread_offline();
	adds_good = UINT32_MAX;
	bed.configured.conf.rcvbuf_octets = 1 << 16;
	bed.configured.pool.nat.port_first = range_find(1 + 2 * PORTS);
	bed.configured.pool.nat.port_last = bed.configured.pool.nat.port_first;
	bed.configured.listener.addr.port = (uint16_t)(bed.configured.pool.nat.port_first + 2 * PORTS);
	path_bed_publish(&bed);
	for (unsigned i = 0; i < WORKERS; i++)
		ck_assert_int_eq(worker_new(&workers[i], &bed.shared), 0);
	sockets = sockets_new(workers, WORKERS);
	ck_assert_ptr_nonnull(sockets);
	for (unsigned i = 0; i < WORKERS; i++)
		ck_assert_int_eq(worker_start(workers[i]), 0);
}

static void tear_down(void)
{
	for (unsigned i = 0; i < WORKERS; i++)
		worker_free(workers[i]);
	sockets_free(sockets);
	rcu_thread_online();
	path_bed_unshare(&bed);
}

static void send_to(const char *ip, uint16_t port)
{
	struct sockaddr_storage name;
	struct addr addr;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert_int_eq(addr_parse_ip(&addr, ip), 0);
	addr.port = port;
	ck_assert_int_eq(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sockaddr_write(&name, &addr)), 1);
	close(fd);
}

static uint64_t received(const struct worker *worker)
{
	return atomic_load(&worker->path.stats.received[bed.configured.listener_uid]);
}

static uint64_t strays(const struct worker *worker)
{
	return atomic_load(&worker->path.stats.strays);
}

static uint64_t tunnelled(const struct worker *worker)
{
	return atomic_load(&worker->path.stats.tunnel_dropped[bed.configured.pool_uid][TUNNEL_OUTER_SOURCE]);
}

static uint64_t of_all(uint64_t (*count)(const struct worker *worker))
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		sum += count(workers[i]);
	return sum;
}

static void assert_serves(const char *ip, uint16_t port, uint64_t (*count)(const struct worker *worker))
{
	uint64_t before = of_all(count);

	send_to(ip, port);
	for (int i = 0; i < 10000 && of_all(count) == before; i++)
		usleep(1000);
	ck_assert_msg(of_all(count) == before + 1, "%s:%u is not served", ip, port);
}

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
	tcase_add_loop_test(tests, refused_by_epoll, 0, 3 * WORKERS);
	tcase_add_test(tests, commit_cannot_fail);
	tcase_add_test(tests, refused_by_the_kernel);
	tcase_add_test(tests, one_grace_period_for_all);
	tcase_add_test(tests, not_given_yet);
	tcase_add_test(tests, tunnel_shared);
	tcase_add_test(tests, tunnel_in_place);
}
