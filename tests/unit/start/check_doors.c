/* admin.http opens, moves and closes with the configuration, or the configuration is refused. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include <urcu-qsbr.h>

#include "base/sockaddr.h"
#include "control/apply.h"
#include "control/control.h"
#include "start/doors.h"
#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

static struct event_base *base;
static struct control *control;
static struct doors *doors;
static struct addr first, second; /* free when a test begins */
static int refusal;               /* the result of the part that comes after the door */

/* Makes a listening socket. If `addr` has no port yet, it becomes the socket's address. */
static int take(struct addr *addr)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (addr->port == 0)
		ck_assert_int_eq(addr_parse_ip(addr, "127.0.0.1"), 0);
	len = sockaddr_write(&sa, addr);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	addr->port = ntohs(((struct sockaddr_in *)&sa)->sin_port);
	return fd;
}

static bool is_open(const struct addr *addr)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_write(&sa, addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool open = connect(fd, (struct sockaddr *)&sa, len) == 0;

	close(fd);
	return open;
}

/* Applies a configuration with admin.http at `addr`, or without it (NULL). */
static int apply_with(const struct addr *addr)
{
	char text[1024], http[ADDR_TEXT_OCTETS] = "", line[128] = "";
	struct conf_report report;
	struct conf *conf;
	int err;

	if (addr)
		snprintf(line, sizeof line, "admin = { http = \"%s\"; };\n", addr_format(addr, http));
	snprintf(text, sizeof text,
		 "user = \"nobody\"; hash_key = \"000102030405060708090a0b0c0d0e0f\"; workers = 1;\n%s"
		 "listeners = ( { name = \"p\"; address = \"127.0.0.1:5684\"; pool = \"p\"; } );\n"
		 "pools = ( { name = \"p\"; protocol = \"udp\"; health = { probe = \"none\"; };\n"
		 "            backends = ( { name = \"a\"; address = \"127.0.0.1:7001\"; } ); } );\n",
		 line);
	conf = load_text(&report, text);
	ck_assert_str_eq(join_lines(report.errors, report.error_count), "");
	conf_report_free(&report);
	err = apply_conf(control, conf);
	if (err)
		conf_free(conf);
	return err;
}

static int on_prepare(void *ctx, struct apply_step *step)
{
	(void)ctx;
	(void)step;
	return refusal;
}

static void setup(void)
{
	static const struct conf nobody = { .workers = 0 };
	int fds[2];

	conf_dir_enter();
	rcu_register_thread();
	rcu_thread_offline();
	first = second = (struct addr){ .port = 0 };
	fds[0] = take(&first);
	fds[1] = take(&second);
	close(fds[0]);
	close(fds[1]);
	refusal = 0;
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	ck_assert_int_eq(control_new(&control, base, &nobody), 0);
	ck_assert_int_eq(doors_new(&doors, control, base), 0);
	ck_assert_int_eq(apply_register(control, &(struct apply_part){ .name = "test", .prepare = on_prepare }), 0);
	ck_assert_int_eq(apply_with(&first), 0);
	ck_assert(is_open(&first));
}

static void teardown(void)
{
	doors_free(doors);
	control_free(control);
	event_base_free(base);
	rcu_unregister_thread();
	conf_dir_leave();
}

START_TEST(moves)
{
	ck_assert_int_eq(apply_with(&second), 0);
	ck_assert(is_open(&second));
	ck_assert(!is_open(&first));
	ck_assert_int_eq(apply_with(&second), 0);
	ck_assert(is_open(&second));
}
END_TEST

START_TEST(closes_and_opens)
{
	ck_assert_int_eq(apply_with(NULL), 0);
	ck_assert(!is_open(&first));
	ck_assert_int_eq(apply_with(&first), 0);
	ck_assert(is_open(&first));
}
END_TEST

START_TEST(cannot_be_bound)
{
	int fd = take(&second);

	ck_assert_int_eq(apply_with(&second), -EADDRINUSE);
	ck_assert(is_open(&first));
	close(fd);
	ck_assert_int_eq(apply_with(&second), 0);
	ck_assert(!is_open(&first));
}
END_TEST

START_TEST(another_part_refuses)
{
	refusal = -ENOMEM;
	ck_assert_int_eq(apply_with(&second), -ENOMEM);
	ck_assert(is_open(&first));
	ck_assert(!is_open(&second));
	ck_assert_int_eq(apply_with(NULL), -ENOMEM);
	ck_assert(is_open(&first));
	refusal = 0;
	ck_assert_int_eq(apply_with(&second), 0);
	ck_assert(is_open(&second));
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, moves);
	tcase_add_test(tests, closes_and_opens);
	tcase_add_test(tests, cannot_be_bound);
	tcase_add_test(tests, another_part_refuses);
}
