/* What a process in the sandbox can still do.
 *
 * Check times its tests, and asks timer_create() which clock to take. A test in the sandbox would be timed by one clock
 * at its beginning and by another at its end. So only processes that Check does not know of enter the sandbox. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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
START_TEST(test_deadly)
{
	static void (*const calls[])(void) = { run_program, fork_child, trace };
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (!enter())
			raise(SIGSYS);
		calls[_i]();
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
	tcase_add_test(tests, test_refused);
	tcase_add_test(tests, test_no_core_no_privilege);
	tcase_add_test(tests, test_all_threads);
	tcase_add_loop_test(tests, test_deadly, 0, 3);
}
