/* What a worker makes of an event that was true when it was fetched. A reload can come before its turn. */
#include <poll.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sockaddr.h"
#include "path/worker.h"
#include "tests/fixtures/open_socket.h"
#include "tests/fixtures/path_bed.h"
#include "tests/unit/suite.h"

static struct path_bed bed;
static struct worker *worker;
static int port_fd, other[2]; /* the socket of the port, and the one that later has its number */
static struct addr port_addr;
static void (*between)(void); /* called when an event of a socket is fetched and not yet served */
static _Atomic unsigned rounds;

/* This stands in for the C library's. The worker is off-line in it. */
int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms)
{
	const int count = (int)syscall(SYS_epoll_pwait, epoll, events, most, timeout_ms, NULL, 0);

	/* Only the eventfd that ends the thread has the tag 0. */
	if (count == 1 && events[0].data.u64 != 0 && between) {
		between();
		between = NULL;
	}
	rounds++;
	return count;
}

/* The pool's only source is 127.0.0.1, at ports that were free a moment ago. */
static void single_source(void)
{
	struct conf_nat *nat = &bed.configured.pool.nat;
	struct addr addr;

	close(open_socket("127.0.0.1", SOCKET_LISTENER, &port_addr));
	addr = port_addr;
	addr.port = 0;
	nat->single = true;
	nat->sources[0] = (struct conf_prefix){ addr, 32 };
	nat->port_first = nat->port_last = port_addr.port;
}

static void set_up(void)
{
	rounds = 0;
	path_bed_share(&bed);
	single_source();
	path_bed_publish(&bed);
	ck_assert_int_eq(worker_new(&worker, &bed.shared), 0);
	port_fd = worker_open_port(worker, path_bed_table(&bed)->pools[0].ports[IO_V4], port_addr.port);
	ck_assert_int_ge(port_fd, 0);
	rcu_thread_offline();
}

static void tear_down(void)
{
	rcu_thread_online();
	path_bed_unshare(&bed);
}

/* Wakes the worker up with a datagram. Returns when everything that was fetched then is served. */
static void one_event(void)
{
	struct sockaddr_storage name;
	socklen_t len = sockaddr_write(&name, &port_addr);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert_int_eq(worker_start(worker, NULL), 0);
	ck_assert_int_eq(sendto(fd, "stray", 5, 0, (struct sockaddr *)&name, len), 5);
	close(fd);
	while (rounds < 1)
		usleep(1000);
}

static uint64_t strays(void)
{
	return atomic_load(&worker->path.stats.strays);
}

/* The reload gives the pool another range of ports, so that its socket is closed. The next socket has the same
 * number. */
static void reload(void)
{
	bed.configured.pool.nat.port_first = 1;
	bed.configured.pool.nat.port_last = 1;
	path_bed_publish(&bed);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, other), 0);
	ck_assert_int_ne(other[1], port_fd);
	if (other[0] != port_fd) {
		ck_assert_int_eq(dup2(other[0], port_fd), port_fd);
		close(other[0]);
	}
	other[0] = port_fd;
	ck_assert_int_eq(send(other[1], "command", 7, 0), 7);
}

static bool has_work(void)
{
	struct pollfd one = { .fd = worker_events(worker), .events = POLLIN };

	return poll(&one, 1, 0) == 1;
}

/* The thread does not run yet, as one that waits for a CPU. */
START_TEST(work_that_waits)
{
	struct sockaddr_storage name;
	const socklen_t len = sockaddr_write(&name, &port_addr);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert(!has_work());
	ck_assert_int_eq(sendto(fd, "stray", 5, 0, (struct sockaddr *)&name, len), 5);
	close(fd);
	ck_assert(has_work());
	ck_assert_int_eq(worker_start(worker, NULL), 0);
	while (has_work())
		usleep(1000);
	worker_free(worker);
}
END_TEST

START_TEST(event_of_a_socket_that_is_gone)
{
	char data[16];

	between = reload;
	one_event();
	worker_free(worker);
	ck_assert_int_eq(recv(other[0], data, sizeof data, MSG_DONTWAIT), 7);
	ck_assert_mem_eq(data, "command", 7);
	close(other[0]);
	close(other[1]);
}
END_TEST

/* The same sockets are in the next table again, with the same serial number. */
static void reload_alike(void)
{
	path_bed_publish(&bed);
}

START_TEST(event_of_a_socket_that_stays)
{
	between = reload_alike;
	one_event();
	for (int i = 0; i < 10000 && strays() == 0; i++)
		usleep(1000);
	ck_assert_uint_eq(strays(), 1);
	worker_free(worker);
}
END_TEST

/* The event is of another pool, at a port of the same number. */
START_TEST(serial_numbers)
{
	struct addr a, b;
	struct port_sockets *first, *second;
	const struct table *table = path_bed_table(&bed);

	ck_assert_int_eq(addr_parse_ip(&a, "127.0.0.1"), 0);
	ck_assert_int_eq(addr_parse_ip(&b, "127.0.0.2"), 0);
	first = port_sockets_new(&a, 1, 2);
	second = port_sockets_new(&b, 1, 2);
	ck_assert_uint_ne(port_sockets_serial(first), port_sockets_serial(second));
	ck_assert_ptr_null(table_ports(table, port_sockets_serial(first)));
	ck_assert_ptr_eq(table_ports(table, port_sockets_serial(table->pools[0].ports[IO_V4])),
			 table->pools[0].ports[IO_V4]);
	port_sockets_drop(first);
	port_sockets_drop(second);
	worker_free(worker);
}
END_TEST

/* Of several, one that has heard a server is enough for those who ask for all. */
START_TEST(versions_of_a_tunnel)
{
	struct worker *second;
	const uint16_t uid = bed.configured.uid[0], other_uid = bed.configured.uid[1];

	rcu_thread_online();
	ck_assert_int_eq(worker_new(&second, &bed.shared), 0);
	struct worker *const both[] = { worker, second };
	ck_assert_int_eq(worker_version_for(both, 2, uid), PROXY2_V1_OFFER);
	worker_hear_version(both, 2, uid, PROXY2_V2);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(worker_version_for(&both[i], 1, uid), PROXY2_V2);
	path_hear_version(&worker->path, uid, PROXY2_V1, 1);
	ck_assert_int_eq(worker_version_for(both, 1, uid), PROXY2_V1_OFFER);
	ck_assert_int_eq(worker_version_for(both, 2, uid), PROXY2_V2);
	worker_hear_version(both, 2, uid, PROXY2_V1);
	ck_assert_int_eq(worker_version_for(both, 2, uid), PROXY2_V1_OFFER);
	ck_assert_int_eq(worker_version_for(both, 2, other_uid), PROXY2_V1_OFFER);
	worker_free(second);
	worker_free(worker);
	rcu_thread_offline();
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, work_that_waits);
	tcase_add_test(tests, event_of_a_socket_that_is_gone);
	tcase_add_test(tests, event_of_a_socket_that_stays);
	tcase_add_test(tests, versions_of_a_tunnel);
	tcase_add_test(tests, serial_numbers);
}
