#include "start/sandbox.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sanitized.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && defined(__AARCH64EL__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE 0
#endif

/* clang-format off */

/* The packet path comes first, because filters run from the top. */
static const uint16_t allowed[] = {
	SYS_recvmmsg, SYS_sendmmsg, SYS_epoll_pwait, SYS_futex, SYS_read, SYS_write, SYS_readv, SYS_writev,
	/* time */
	SYS_clock_gettime, SYS_gettimeofday, SYS_clock_nanosleep, SYS_nanosleep, SYS_sched_yield, SYS_restart_syscall,
	/* sockets: reload, probes, admin */
	SYS_recvfrom, SYS_sendto, SYS_recvmsg, SYS_sendmsg, SYS_bind, SYS_connect, SYS_listen, SYS_accept, SYS_accept4,
	SYS_shutdown, SYS_setsockopt, SYS_getsockopt, SYS_getsockname, SYS_getpeername, SYS_epoll_ctl,
	SYS_epoll_create1, SYS_ppoll, SYS_eventfd2,
	/* files: the configuration, keys, the state file, the socket of cidlbctl */
	SYS_openat, SYS_close, SYS_lseek, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_faccessat, SYS_readlinkat,
	SYS_fgetxattr, SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_fsync, SYS_ftruncate, SYS_fallocate, SYS_fcntl,
	SYS_dup, SYS_dup3, SYS_getdents64, SYS_umask,
	/* memory, threads, signals */
	SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_set_robust_list, SYS_rseq, SYS_exit, SYS_exit_group,
	SYS_gettid, SYS_getpid, SYS_tgkill, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack,
	SYS_sched_getaffinity, SYS_getcpu, SYS_getrandom, SYS_prlimit64, SYS_uname, SYS_getuid, SYS_geteuid, SYS_getgid,
	SYS_getegid, SYS_getgroups,
#ifdef __x86_64__
	SYS_epoll_wait, SYS_poll, SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_unlink, SYS_rename,
	SYS_time, SYS_dup2, SYS_getrlimit,
#endif
};

/* What a worker is left with: batches, events, counters, memory, and the way to stop. No socket, no file, no thread. */
static const uint16_t allowed_to_worker[] = {
	SYS_recvmmsg, SYS_sendmmsg, SYS_epoll_pwait, SYS_futex, SYS_read, SYS_write,
	SYS_clock_gettime, SYS_gettimeofday, SYS_clock_nanosleep, SYS_nanosleep, SYS_sched_yield, SYS_restart_syscall,
	/* a port of a single source address comes from another thread, is watched from here on, and may come twice */
	SYS_epoll_ctl, SYS_getsockopt, SYS_close,
	SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_exit, SYS_exit_group, SYS_gettid, SYS_getpid, SYS_tgkill,
	SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_ppoll, SYS_sched_getaffinity, SYS_getcpu,
	SYS_getrandom,
#ifdef __x86_64__
	SYS_epoll_wait, SYS_poll, SYS_time,
#endif
};

static const uint16_t deadly[] = {
	SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_init_module,
	SYS_finit_module, SYS_kexec_load, SYS_bpf, SYS_userfaultfd, SYS_unshare, SYS_setns, SYS_mount,
#ifdef __x86_64__
	SYS_fork, SYS_vfork,
#endif
};

/* clang-format on */

enum must { ONE_OF, WITHOUT, WITH };

/* A call that is allowed depending on the low half of one argument: it is one of the values, or has or lacks some bits.
 * Otherwise the call fails with `error`, or kills if that is 0. */
struct condition {
	uint16_t call;
	uint8_t at; /* number of the argument */
	enum must must;
	uint32_t values[3]; /* 0 ends them */
	uint16_t error;
};

static const struct condition conditions[] = {
	{ SYS_socket, 0, ONE_OF, { AF_INET, AF_INET6, AF_UNIX }, EAFNOSUPPORT },
	{ SYS_ioctl, 1, ONE_OF, { FIONREAD }, EPERM },
	{ SYS_mmap, 2, WITHOUT, { PROT_EXEC }, EPERM },
	{ SYS_mprotect, 2, WITHOUT, { PROT_EXEC }, EPERM },
	{ SYS_clone, 0, WITH, { CLONE_THREAD }, 0 }, /* clone3 hides its arguments; libc falls back to this one */
	{ SYS_membarrier, 0, ONE_OF, { MEMBARRIER_CMD_GLOBAL }, EPERM }, /* the fast path's grace period */
	{ SYS_seccomp, 0, ONE_OF, { SECCOMP_SET_MODE_FILTER }, ENOSYS }, /* one more filter only takes away more */
};

static const struct condition conditions_of_worker[] = {
	{ SYS_mmap, 2, WITHOUT, { PROT_EXEC }, EPERM },
	{ SYS_mprotect, 2, WITHOUT, { PROT_EXEC }, EPERM },
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
	HEAD = 4,
	PER_CONDITION = 7,
	PROGRAM = HEAD + 2 * (COUNT(allowed) + COUNT(deadly)) + PER_CONDITION * COUNT(conditions) + 1
};

_Static_assert(COUNT(allowed_to_worker) <= COUNT(allowed) && COUNT(conditions_of_worker) <= COUNT(conditions),
	       "a worker's program fits");

/* What a thread may do. What is neither here nor deadly fails. */
struct list {
	const uint16_t *allowed;
	size_t allowed_count;
	const struct condition *conditions;
	size_t condition_count;
};

static const struct list for_all = { allowed, COUNT(allowed), conditions, COUNT(conditions) };
static const struct list for_worker = { allowed_to_worker, COUNT(allowed_to_worker), conditions_of_worker,
					COUNT(conditions_of_worker) };

struct program {
	struct sock_filter code[PROGRAM];
	size_t len;
};

static void emit(struct program *program, uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false)
{
	program->code[program->len++] = (struct sock_filter){ code, if_true, if_false, k };
}

static void emit_load(struct program *program, size_t offset)
{
	emit(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void emit_return(struct program *program, uint32_t action)
{
	emit(program, BPF_RET | BPF_K, action, 0, 0);
}

static void emit_calls(struct program *program, const uint16_t *calls, size_t count, uint32_t action)
{
	for (size_t i = 0; i < count; i++) {
		emit(program, BPF_JMP | BPF_JEQ | BPF_K, calls[i], 0, 1);
		emit_return(program, action);
	}
}

static void emit_condition(struct program *program, const struct condition *condition)
{
	uint16_t test = condition->must == ONE_OF ? BPF_JEQ : BPF_JSET;
	uint8_t count = 0;

	while (count < COUNT(condition->values) && condition->values[count])
		count++;
	emit(program, BPF_JMP | BPF_JEQ | BPF_K, condition->call, 0, (uint8_t)(count + 3));
	emit_load(program, offsetof(struct seccomp_data, args) + condition->at * sizeof(uint64_t));
	for (uint8_t i = 0; i < count; i++) {
		uint8_t to_refuse = (uint8_t)(count - i - 1), to_allow = (uint8_t)(to_refuse + 1);

		if (condition->must == WITHOUT)
			emit(program, BPF_JMP | test | BPF_K, condition->values[i], to_refuse, to_allow);
		else
			emit(program, BPF_JMP | test | BPF_K, condition->values[i], to_allow, 0);
	}
	emit_return(program, condition->error ? SECCOMP_RET_ERRNO | condition->error : SECCOMP_RET_KILL_PROCESS);
	emit_return(program, SECCOMP_RET_ALLOW);
}

static void program_make(struct program *program, const struct list *list)
{
	emit_load(program, offsetof(struct seccomp_data, arch));
	emit(program, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
	emit_return(program, SECCOMP_RET_KILL_PROCESS);
	emit_load(program, offsetof(struct seccomp_data, nr));
	emit_calls(program, list->allowed, list->allowed_count, SECCOMP_RET_ALLOW);
	for (size_t i = 0; i < list->condition_count; i++)
		emit_condition(program, &list->conditions[i]);
	emit_calls(program, deadly, COUNT(deadly), SECCOMP_RET_KILL_PROCESS);
	emit_return(program, SECCOMP_RET_ERRNO | ENOSYS); /* also to calls of x32 */
}

static int filter_set(const struct list *list, unsigned flags)
{
	struct program program = { .len = 0 };
	struct sock_fprog filter = { .filter = program.code };
	long set;

	program_make(&program, list);
	filter.len = (unsigned short)program.len;
	set = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
	/* Above 0: the thread that could not get the filter. */
	return set < 0 ? -errno : set > 0 ? -ESRCH : 0;
}

int sandbox_enter(void)
{
	if (SANITIZED)
		return -ENOTSUP;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	return ARCHITECTURE ? filter_set(&for_all, SECCOMP_FILTER_FLAG_TSYNC) : -ENOSYS;
}

int sandbox_enter_worker(void)
{
	if (SANITIZED)
		return -ENOTSUP;
	return ARCHITECTURE ? filter_set(&for_worker, 0) : -ENOSYS;
}
