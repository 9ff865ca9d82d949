/* What a child in the sandbox can still do. */
#include <check.h>
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

#include "sandbox.h"

static bool enter(void)
{
	int err = sandbox_enter();

	if (err == -ENOTSUP) /* a sanitizer is built in */
		return false;
	ck_assert_int_eq(err, 0);
	return true;
}

static void *thread(void *arg)
{
	*(int *)arg = 7;
	return arg;
}

START_TEST(test_goes_on)
{
	char byte, *memory;
	pthread_t id;
	int ran = 0, fds[2];

	if (!enter())
		return;
	ck_assert_int_eq(prctl(PR_SET_NAME, "x"), -1);
	ck_assert_int_eq(pthread_create(&id, NULL, thread, &ran), 0);
	ck_assert_int_eq(pthread_join(id, NULL), 0);
	ck_assert_int_eq(ran, 7);
	memory = malloc(64 << 20);
	ck_assert_ptr_nonnull(memory);
	memory[1 << 20] = 1;
	free(memory);
	fds[0] = socket(AF_INET, SOCK_DGRAM, 0);
	fds[1] = socket(AF_INET6, SOCK_STREAM, 0);
	ck_assert_int_ge(fds[0], 0);
	ck_assert_int_ge(fds[1], 0);
	ck_assert_int_eq(recv(fds[0], &byte, 1, MSG_DONTWAIT), -1);
	ck_assert_int_eq(errno, EAGAIN);
}
END_TEST

/* As state_file.h does it. */
START_TEST(test_replaces_files)
{
	char directory[] = "/tmp/check_sandbox.XXXXXX", from[64], to[64];
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(from, sizeof from, "%s/from", directory);
	snprintf(to, sizeof to, "%s/to", directory);
	pid_t child = fork();
	if (child == 0) {
		enter();
		fd = open(from, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		ck_assert_int_eq((int)write(fd, "x", 1), 1);
		ck_assert_int_eq(fsync(fd), 0);
		ck_assert_int_eq(rename(from, to), 0);
		ck_assert_int_eq(renameat(AT_FDCWD, to, AT_FDCWD, from), 0);
		ck_assert_int_eq(unlink(from), 0);
		_exit(0);
	}
	int status;
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(rmdir(directory), 0);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

START_TEST(test_refused)
{
	if (!enter())
		return;
	errno = 0;
	ck_assert_int_eq(socket(AF_NETLINK, SOCK_RAW, 0), -1);
	ck_assert_int_eq(errno, EAFNOSUPPORT);
	ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), MAP_FAILED);
	ck_assert_int_eq(errno, EPERM);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	ck_assert_int_eq(mprotect(page, 4096, PROT_READ | PROT_EXEC), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(mprotect(page, 4096, PROT_READ), 0);
	ck_assert_int_eq(setuid(getuid()), -1);
	ck_assert_int_eq(errno, ENOSYS);
	ck_assert_int_eq((int)syscall(100000), -1);
	ck_assert_int_eq(errno, ENOSYS);
}
END_TEST

START_TEST(test_no_core_no_privilege)
{
	if (!enter())
		return;
	char line[4096];
	ssize_t len = 0;
	int fd = open("/proc/self/status", O_RDONLY);

	ck_assert_int_ge(fd, 0);
	len = read(fd, line, sizeof line - 1);
	ck_assert_int_gt((int)len, 0);
	line[len] = '\0';
	ck_assert_ptr_nonnull(strstr(line, "\nNoNewPrivs:\t1\n"));
	ck_assert_ptr_nonnull(strstr(line, "\nSeccomp:\t2\n"));
}
END_TEST

/* Every thread, also one that was there before. */
static void *later(void *arg)
{
	pthread_barrier_t *barrier = arg;

	pthread_barrier_wait(barrier);
	pthread_barrier_wait(barrier);
	return (void *)(intptr_t)(setuid(getuid()) == -1 && errno == ENOSYS);
}

START_TEST(test_all_threads)
{
	pthread_barrier_t barrier;
	pthread_t id;
	void *refused = NULL;

	pthread_barrier_init(&barrier, NULL, 2);
	ck_assert_int_eq(pthread_create(&id, NULL, later, &barrier), 0);
	pthread_barrier_wait(&barrier);
	bool entered = enter();
	pthread_barrier_wait(&barrier);
	ck_assert_int_eq(pthread_join(id, &refused), 0);
	ck_assert_int_eq(refused != NULL, entered);
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

/* Ends by SIGSYS what is in the sandbox, and harms nobody else. */
START_TEST(test_deadly)
{
	static void (*const calls[])(void) = { run_program, fork_child, trace };
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (sandbox_enter() == -ENOTSUP)
			raise(SIGSYS);
		calls[_i]();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	ck_assert(!WCOREDUMP(status));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sandbox");
	TCase *tc = tcase_create("sandbox");

	tcase_add_test(tc, test_goes_on);
	tcase_add_test(tc, test_replaces_files);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_no_core_no_privilege);
	tcase_add_test(tc, test_all_threads);
	tcase_add_loop_test(tc, test_deadly, 0, 3);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_FORK); /* each test stays in its sandbox */
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
