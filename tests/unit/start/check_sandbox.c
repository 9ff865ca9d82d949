/* What a process in the sandbox can still do.
 *
 * Check times its tests, and asks timer_create() which clock to take. A test in the sandbox would be timed by one clock
 * at its beginning and by another at its end. So only processes that Check does not know of enter the sandbox. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/host_addrs.h"
#include "start/sandbox.h"
#include "tests/unit/suite.h"

enum { OUTCOME_GOOD = 0, OUTCOME_BAD = 1 };

#ifdef CIDLB_SANITIZED
static const bool there_is_none = true;
#else
static const bool there_is_none = false;
#endif

/* For processes in the sandbox: says which expectation was not met, and ends the process. */
#define MUST(condition) must(condition, #condition, __LINE__)
static void must(bool met, const char *condition, int line)
{
	if (met)
		return;
	fprintf(stderr, "check_sandbox.c:%d: in the sandbox: %s; errno %d\n", line, condition, errno);
	_exit(OUTCOME_BAD);
}

/* False: a sanitizer is built in, and nothing was done. */
static bool enter(void)
{
	int err = sandbox_enter();

	MUST(err == (there_is_none ? -ENOTSUP : 0));
	return !there_is_none;
}

/* Runs `body` in the sandbox, if there is a sandbox. */
static void sandboxed(void (*body)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (enter())
			body();
		_exit(OUTCOME_GOOD);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
	ck_assert_int_eq(WEXITSTATUS(status), OUTCOME_GOOD);
}

static void *thread(void *arg)
{
	*(int *)arg = 7;
	return arg;
}

static void go_on(void)
{
	char byte, *memory;
	pthread_t id;
	int ran = 0, fds[2];

	MUST(prctl(PR_SET_NAME, "x") == -1);
	MUST(pthread_create(&id, NULL, thread, &ran) == 0);
	MUST(pthread_join(id, NULL) == 0);
	MUST(ran == 7);
	memory = malloc(64 << 20);
	MUST(memory);
	memory[1 << 20] = 1;
	free(memory);
	fds[0] = socket(AF_INET, SOCK_DGRAM, 0);
	fds[1] = socket(AF_INET6, SOCK_STREAM, 0);
	MUST(fds[0] >= 0);
	MUST(fds[1] >= 0);
	MUST(recv(fds[0], &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
}

START_TEST(test_goes_on)
{
	sandboxed(go_on);
}
END_TEST

static char from[64], to[64];

/* Does what state_file.h does. */
static void replace_files(void)
{
	int fd = open(from, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	MUST(fd >= 0);
	MUST(write(fd, "x", 1) == 1);
	MUST(fsync(fd) == 0);
	MUST(rename(from, to) == 0);
	MUST(renameat(AT_FDCWD, to, AT_FDCWD, from) == 0);
	MUST(unlink(from) == 0);
}

START_TEST(test_replaces_files)
{
	char directory[] = "/tmp/check_sandbox.XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(from, sizeof from, "%s/from", directory);
	snprintf(to, sizeof to, "%s/to", directory);
	sandboxed(replace_files);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

static bool fails_with(long result, int error)
{
	return result == -1 && errno == error;
}

/* Over the socket that was opened before. */
static void read_addresses(void)
{
	struct host_addrs addrs;

	MUST(host_addrs_read(&addrs) == 0);
	MUST(addrs.count > 0);
	host_addrs_free(&addrs);
}

START_TEST(test_reads_addresses)
{
	ck_assert_int_eq(host_addrs_open(), 0);
	sandboxed(read_addresses);
}
END_TEST

static void be_refused(void)
{
	MUST(fails_with(socket(AF_NETLINK, SOCK_RAW, 0), EAFNOSUPPORT));
	MUST(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
	     errno == EPERM);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(page != MAP_FAILED);
	MUST(fails_with(mprotect(page, 4096, PROT_READ | PROT_EXEC), EPERM));
	MUST(mprotect(page, 4096, PROT_READ) == 0);
	MUST(fails_with(setuid(getuid()), ENOSYS));
	MUST(fails_with(syscall(100000), ENOSYS));
}

START_TEST(test_refused)
{
	sandboxed(be_refused);
}
END_TEST

static void show_status(void)
{
	char line[4096];
	int fd = open("/proc/self/status", O_RDONLY);

	MUST(fd >= 0);
	ssize_t len = read(fd, line, sizeof line - 1);
	MUST(len > 0);
	line[len] = '\0';
	MUST(strstr(line, "\nNoNewPrivs:\t1\n") != NULL);
	MUST(strstr(line, "\nSeccomp:\t2\n") != NULL);
}

START_TEST(test_no_core_no_privilege)
{
	sandboxed(show_status);
}
END_TEST

/* The filter is for every thread, also for one that was there before. */
static void *later(void *arg)
{
	pthread_barrier_t *barrier = arg;

	pthread_barrier_wait(barrier);
	pthread_barrier_wait(barrier);
	return (void *)(intptr_t)fails_with(setuid(getuid()), ENOSYS);
}

START_TEST(test_all_threads)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		pthread_barrier_t barrier;
		pthread_t id;
		void *refused = NULL;

		pthread_barrier_init(&barrier, NULL, 2);
		MUST(pthread_create(&id, NULL, later, &barrier) == 0);
		pthread_barrier_wait(&barrier);
		bool entered = enter();
		pthread_barrier_wait(&barrier);
		MUST(pthread_join(id, &refused) == 0);
		MUST((refused != NULL) == entered);
		_exit(OUTCOME_GOOD);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == OUTCOME_GOOD);
}
END_TEST

/* What a worker is given, and what it shall not do with it. */
static struct {
	int socket, other, event, epoll;
} given;

static void *work(void *arg)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *name = (struct sockaddr *)&here;
	struct epoll_event watch = { .events = EPOLLIN };
	char octets[16];
	struct iovec vector = { octets, sizeof octets };
	struct mmsghdr message = { .msg_hdr = { .msg_iov = &vector, .msg_iovlen = 1 } };
	uint64_t one = 1;
	socklen_t len = sizeof one;
	pthread_t id;

	MUST(sandbox_enter_worker() == 0);
	MUST(fails_with(socket(AF_INET, SOCK_DGRAM, 0), ENOSYS));
	MUST(fails_with(socket(AF_UNIX, SOCK_STREAM, 0), ENOSYS));
	MUST(fails_with(socket(AF_NETLINK, SOCK_RAW, 0), ENOSYS));
	MUST(fails_with(connect(given.socket, name, sizeof here), ENOSYS));
	MUST(fails_with(bind(given.socket, name, sizeof here), ENOSYS));
	MUST(fails_with(listen(given.socket, 1), ENOSYS));
	MUST(fails_with(accept(given.socket, NULL, NULL), ENOSYS));
	MUST(fails_with(setsockopt(given.socket, SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, sizeof(int)), ENOSYS));
	MUST(fails_with(sendto(given.socket, "x", 1, 0, name, sizeof here), ENOSYS));
	MUST(fails_with(open("/etc/passwd", O_RDONLY), ENOSYS));
	MUST(fails_with(syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY), ENOSYS));
	MUST(fails_with(unlink(from), ENOSYS));
	MUST(fails_with(unlinkat(AT_FDCWD, from, 0), ENOSYS));
	MUST(fails_with(rename(from, to), ENOSYS));
	MUST(fails_with(dup2(given.socket, given.other), ENOSYS));
	MUST(fails_with(fcntl(given.socket, F_DUPFD_CLOEXEC, 0), ENOSYS));
	MUST(fails_with(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL), ENOSYS));
	MUST(pthread_create(&id, NULL, thread, arg) != 0);
	MUST(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	/* What it is there for. */
	MUST(epoll_ctl(given.epoll, EPOLL_CTL_ADD, given.other, &watch) == 0);
	message.msg_hdr.msg_iov->iov_len = 1;
	MUST(sendmmsg(given.socket, &message, 1, 0) == 1);
	MUST(epoll_wait(given.epoll, &watch, 1, 1000) == 1);
	MUST(recvmmsg(given.other, &message, 1, MSG_DONTWAIT, NULL) == 1);
	MUST(write(given.event, &one, sizeof one) == sizeof one);
	MUST(read(given.event, &one, sizeof one) == sizeof one);
	MUST(getsockopt(given.socket, SOL_SOCKET, SO_ERROR, &one, &len) == 0);
	MUST(close(given.other) == 0);
	char *memory = malloc(64 << 20);
	MUST(memory);
	memory[1 << 20] = 1;
	free(memory);
	return arg;
}

static void be_a_worker(void)
{
	int pair[2];
	pthread_t id;
	void *end = NULL;

	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	given.socket = pair[0];
	given.other = pair[1];
	given.event = eventfd(0, EFD_NONBLOCK);
	given.epoll = epoll_create1(0);
	if (!enter())
		return;
	MUST(pthread_create(&id, NULL, work, &given) == 0);
	MUST(pthread_join(id, &end) == 0);
	MUST(end == &given);
	/* The others keep what they have. */
	MUST(socket(AF_INET, SOCK_DGRAM, 0) >= 0);
	MUST(open("/etc/passwd", O_RDONLY) >= 0);
}

START_TEST(test_worker)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		be_a_worker();
		_exit(OUTCOME_GOOD);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
	ck_assert_int_eq(WEXITSTATUS(status), OUTCOME_GOOD);
}
END_TEST

static void run_program(void)
{
	char *const argv[] = { "/bin/true", NULL };

	execv(argv[0], argv);
}

static void fork_child(void)
{
	if (fork() == 0)
		_exit(0);
}

static void trace(void)
{
	(void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

/* What is in the sandbox ends by SIGSYS. Nobody else is harmed. */
static void *deadly_call(void *arg)
{
	(void)sandbox_enter_worker();
	(*(void (*const *)(void))arg)();
	return NULL;
}

static void in_worker(void (*const *call)(void))
{
	pthread_t id;

	if (pthread_create(&id, NULL, deadly_call, (void *)(uintptr_t)call) == 0)
		pthread_join(id, NULL);
}

START_TEST(test_deadly)
{
	static void (*const calls[])(void) = { run_program, fork_child, trace };
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (!enter())
			raise(SIGSYS);
		if (_i < 3)
			calls[_i]();
		else
			in_worker(&calls[_i - 3]);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	ck_assert(!WCOREDUMP(status));
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, test_goes_on);
	tcase_add_test(tests, test_replaces_files);
	tcase_add_test(tests, test_reads_addresses);
	tcase_add_test(tests, test_refused);
	tcase_add_test(tests, test_no_core_no_privilege);
	tcase_add_test(tests, test_all_threads);
	tcase_add_test(tests, test_worker);
	tcase_add_loop_test(tests, test_deadly, 0, 6);
}
