/* The socket of commands in a directory of its own. The test turns its loop, and clients are plain non-blocking
 * sockets. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/socket.h"
#include "tests/unit/suite.h"

static char dir[] = "/tmp/check_unix.XXXXXX";
static char path[64]; /* its directory is missing */
static struct event_base *base;
static struct admin_socket *door;
static unsigned asked;
static size_t answer_octets;

/* What is added to the clock of the door. */
static int64_t clock_shift_s;
int64_t __real_clock_s(void);
int64_t __wrap_clock_s(void);

int64_t __wrap_clock_s(void)
{
	return __real_clock_s() + clock_shift_s;
}

static struct admin_client *streaming;
static unsigned gone;

static void on_gone(void *ctx)
{
	ck_assert_ptr_eq(ctx, &gone);
	gone++;
	streaming = NULL;
}

/* "re: LINE", or as many octets as the test wants. "stream": more lines may follow. */
static char *answer(void *ctx, struct admin_client *client, const char *line)
{
	char *text = malloc(answer_octets + strlen(line) + 5);

	ck_assert_ptr_eq(ctx, &asked);
	asked++;
	if (strcmp(line, "stream") == 0) {
		streaming = client;
		admin_socket_stream_begin(client, on_gone, &gone);
	}
	if (strcmp(line, "die") == 0) {
		free(text);
		return NULL;
	}
	memset(text, 'x', answer_octets);
	sprintf(text + answer_octets, "re: %s", line);
	return text;
}

static int open_at(const char *where)
{
	return admin_socket_open(&door, base, &(struct admin_socket_path){ where, getuid(), getgid() },
				 &(struct admin_socket_source){ answer, &asked });
}

static void setup(void)
{
	signal(SIGPIPE, SIG_IGN); /* as cidlb does */
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/run/s", dir);
	base = event_base_new();
	ck_assert_int_eq(open_at(path), 0);
}

static void teardown(void)
{
	admin_socket_close(door);
	event_base_free(base);
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void turn(void)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

/* Until the door has looked for clients that take too long, which it does each second. */
static void look(void)
{
	usleep(1100000);
	turn();
}

/* -1: too many wait. */
static int try_dial(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(name.sun_path, path);
	if (connect(fd, (struct sockaddr *)&name, sizeof name) == 0)
		return fd;
	ck_assert_int_eq(errno, EAGAIN);
	close(fd);
	return -1;
}

static int dial(void)
{
	int fd = try_dial();

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void say(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	turn();
}

/* All that is there to read. *ended: then comes the end. */
static const char *hear(int fd, bool *ended)
{
	static char text[1 << 20];
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, sizeof text - 1 - len)) > 0) {
		len += (size_t)n;
		turn();
	}
	*ended = n == 0;
	ck_assert(n == 0 || errno == EAGAIN);
	text[len] = '\0';
	return text;
}

static void expect(int fd, const char *text, bool then_ended)
{
	bool ended;

	ck_assert_str_eq(hear(fd, &ended), text);
	ck_assert_int_eq(ended, then_ended);
}

START_TEST(lines)
{
	int fd = dial();

	say(fd, "one");
	expect(fd, "", false);
	say(fd, " line\ntwo\n\nthree");
	expect(fd, "re: one line\nre: two\nre: \n", false);
	say(fd, "\n");
	expect(fd, "re: three\n", false);
	close(fd);
}
END_TEST

/* What was asked before the end is answered, but not half a line. */
START_TEST(end_of_input)
{
	int fd = dial();

	say(fd, "one\ntwo");
	shutdown(fd, SHUT_WR);
	turn();
	expect(fd, "re: one\n", true);
	ck_assert_uint_eq(asked, 1);
	close(fd);
}
END_TEST

static void say_long(int fd, size_t octets, const char *end)
{
	char text[ADMIN_SOCKET_LINE_OCTETS + 3];

	memset(text, 'y', octets);
	strcpy(text + octets, end);
	say(fd, text);
}

START_TEST(longest_line)
{
	int fd = dial();
	bool ended;

	say_long(fd, ADMIN_SOCKET_LINE_OCTETS, "\n");
	ck_assert_uint_eq(strlen(hear(fd, &ended)), ADMIN_SOCKET_LINE_OCTETS + 5);
	ck_assert(!ended);
	close(fd);
}
END_TEST

START_TEST(too_long_line)
{
	int fd = dial();

	say_long(fd, ADMIN_SOCKET_LINE_OCTETS + 1, "");
	expect(fd, "{\"ok\":false,\"error\":\"a line has at most 4096 octets\"}\n", true);
	ck_assert_uint_eq(asked, 0);
	close(fd);
}
END_TEST

/* A client asks and does not read. It gets no answer after the first one that does not leave. */
START_TEST(answers_wait_for_the_reader)
{
	int fd = dial();
	bool ended;

	answer_octets = 900000;
	say(fd, "1\n2\n3\n");
	ck_assert_uint_eq(asked, 1);
	ck_assert_uint_ge(strlen(hear(fd, &ended)), answer_octets);
	close(fd);
	turn();
	ck_assert_uint_le(asked, 3);
}
END_TEST

START_TEST(no_answer_ends_the_client)
{
	int fd = dial();

	say(fd, "die\nmore\n");
	expect(fd, "", true);
	ck_assert_uint_eq(asked, 1);
	close(fd);
}
END_TEST

/* One client more than there is room for ends the one that has asked nothing for longest. A stream goes last. */
START_TEST(clients_are_bounded)
{
	int fds[ADMIN_SOCKET_CLIENTS + 2];

	fds[0] = dial();
	say(fds[0], "stream\n");
	expect(fds[0], "re: stream\n", false);
	fds[1] = dial();
	say(fds[1], "x\n");
	expect(fds[1], "re: x\n", false);
	clock_shift_s += 5;
	for (int i = 2; i < ADMIN_SOCKET_CLIENTS; i++)
		fds[i] = dial();
	turn();
	clock_shift_s += 5;
	usleep(30000); /* that all had their time */
	for (int i = ADMIN_SOCKET_CLIENTS; i < ADMIN_SOCKET_CLIENTS + 2; i++) {
		fds[i] = dial();
		say(fds[i], "x\n");
		expect(fds[i], "re: x\n", false);
	}
	expect(fds[1], "", true);
	expect(fds[2], "", true);
	say(fds[3], "x\n");
	expect(fds[3], "re: x\n", false);
	ck_assert_ptr_nonnull(streaming);
	for (int i = 0; i < ADMIN_SOCKET_CLIENTS + 2; i++)
		close(fds[i]);
}
END_TEST

/* Many that say nothing, with some among them that ask. */
START_TEST(crowd)
{
	enum { MANY = 10 * ADMIN_SOCKET_CLIENTS, EVERY = 7 };
	int fds[MANY];
	unsigned asking = 0;

	for (int i = 0; i < MANY; i++) {
		for (fds[i] = try_dial(); fds[i] < 0; fds[i] = try_dial()) {
			usleep(1000);
			turn();
		}
		if (i % EVERY == 0) {
			ck_assert_int_eq(write(fds[i], "x\n", 2), 2);
			asking++;
		}
	}
	for (int i = 0; i < 200 && asked < asking; i++) {
		usleep(5000);
		turn();
	}
	for (int i = 0; i < MANY; i++) {
		bool ended;

		ck_assert_str_eq(hear(fds[i], &ended), i % EVERY == 0 ? "re: x\n" : "");
		close(fds[i]);
	}
}
END_TEST

/* An octet now and then does not keep a client. */
START_TEST(a_line_takes_its_time)
{
	int fd = dial(), other = dial();

	say(other, "x\n");
	expect(other, "re: x\n", false);
	for (int i = 0; i < 4; i++) {
		say(fd, "x");
		expect(fd, "", false);
		clock_shift_s += 10;
	}
	look();
	expect(fd, "", true);
	say(other, "y\n"); /* it was only silent, which libevent's timeout sees to */
	expect(other, "re: y\n", false);
	close(fd);
	close(other);
}
END_TEST

START_TEST(permissions)
{
	struct stat file;

	ck_assert_int_eq(stat(path, &file), 0);
	ck_assert(S_ISSOCK(file.st_mode));
	ck_assert_uint_eq(file.st_mode & 07777, 0660);
	ck_assert_int_eq(umask(022), 022);
}
END_TEST

START_TEST(living_one_stays)
{
	struct admin_socket *first = door;
	int fd;

	ck_assert_int_eq(open_at(path), -EADDRINUSE);
	ck_assert_ptr_null(door);
	door = first;
	fd = dial();
	say(fd, "x\n");
	expect(fd, "re: x\n", false);
	close(fd);
}
END_TEST

/* A killed process leaves the file without a listener. */
START_TEST(stale_one_is_replaced)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int dead = socket(AF_UNIX, SOCK_STREAM, 0), fd;

	admin_socket_close(door);
	ck_assert_int_eq(access(path, F_OK), -1);
	strcpy(name.sun_path, path);
	ck_assert_int_eq(bind(dead, (struct sockaddr *)&name, sizeof name), 0);
	close(dead);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(open_at(path), 0);
	fd = dial();
	say(fd, "x\n");
	expect(fd, "re: x\n", false);
	close(fd);
}
END_TEST

START_TEST(other_files_stay)
{
	char other[80], deep[80], relative[] = "s";

	snprintf(other, sizeof other, "%s.file", path);
	snprintf(deep, sizeof deep, "%s/x/y/s", dir);
	admin_socket_close(door);
	close(open(other, O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(open_at(other), -EEXIST);
	ck_assert_int_eq(unlink(other), 0);
	ck_assert_int_eq(open_at(deep), -ENOENT);
	ck_assert_int_eq(open_at(relative), -EINVAL);
}
END_TEST

/* Somebody has put another file there. It is not ours to remove. */
START_TEST(only_its_own_file_is_removed)
{
	ck_assert_int_eq(unlink(path), 0);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	admin_socket_close(door);
	door = NULL;
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(stream)
{
	int fd = dial(), other = dial();
	bool ended;

	say(fd, "stream\n");
	ck_assert_str_eq(hear(fd, &ended), "re: stream\n");
	ck_assert_uint_eq(admin_socket_stream_owed(streaming), 0);
	ck_assert(admin_socket_stream_line(streaming, "one"));
	ck_assert(admin_socket_stream_line(streaming, "two"));
	ck_assert_uint_eq(admin_socket_stream_owed(streaming), 8);
	say(fd, "nobody listens\n");
	say(other, "as ever\n");
	ck_assert_str_eq(hear(fd, &ended), "one\ntwo\n");
	ck_assert_str_eq(hear(other, &ended), "re: as ever\n");
	ck_assert(admin_socket_stream_line(streaming, "end"));
	admin_socket_stream_end(streaming);
	turn();
	say(fd, "again\n");
	ck_assert_str_eq(hear(fd, &ended), "end\nre: again\n");
	ck_assert(!ended);
	close(fd);
	close(other);
	turn();
	ck_assert_uint_eq(gone, 0);
}
END_TEST

START_TEST(stream_to_nobody)
{
	int fd = dial();
	bool ended;

	say(fd, "stream\n");
	close(fd);
	turn();
	ck_assert_uint_eq(gone, 1);
	fd = dial();
	say(fd, "stream\n");
	ck_assert_str_eq(hear(fd, &ended), "re: stream\n");
	admin_socket_close(door);
	door = NULL;
	ck_assert_uint_eq(gone, 2);
	close(fd);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, lines);
	tcase_add_test(tests, end_of_input);
	tcase_add_test(tests, longest_line);
	tcase_add_test(tests, too_long_line);
	tcase_add_test(tests, answers_wait_for_the_reader);
	tcase_add_test(tests, no_answer_ends_the_client);
	tcase_add_test(tests, clients_are_bounded);
	tcase_add_test(tests, crowd);
	tcase_add_test(tests, a_line_takes_its_time);
	tcase_add_test(tests, stream);
	tcase_add_test(tests, stream_to_nobody);
	tcase_add_test(tests, permissions);
	tcase_add_test(tests, living_one_stays);
	tcase_add_test(tests, stale_one_is_replaced);
	tcase_add_test(tests, other_files_stay);
	tcase_add_test(tests, only_its_own_file_is_removed);
}
