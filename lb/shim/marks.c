#include "shim/marks.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OWNER_OCTETS = 4096 };

atomic_uchar marks[MARKS_DESCRIPTORS];
static _Atomic uint64_t cookies[MARKS_DESCRIPTORS]; /* of the sockets that are marked */
static atomic_int highest = -1;                     /* no mark is above it */

/* The process whose descriptors are marked. The kernel wipes it in a child that has a copy of the memory, so a child
 * that no handler of pthread_atfork() has seen, as of _Fork() or clone(), finds nobody there. A vfork() child finds its
 * parent. */
static atomic_int *owner;

static atomic_int *make_owner(void)
{
	static atomic_int plain;
	void *page = mmap(NULL, OWNER_OCTETS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return &plain;
	madvise(page, OWNER_OCTETS, MADV_WIPEONFORK);
	return page;
}

void marks_own(void)
{
	if (!owner)
		owner = make_owner();
	atomic_store(owner, getpid());
}

static bool is_owner(void)
{
	const int pid = getpid();
	int seen = 0;

	return !owner || atomic_compare_exchange_strong(owner, &seen, pid) || seen == pid;
}

/* 0: not a socket, or a kernel before Linux 4.6. There all descriptors have none, and every mark counts. */
static uint64_t cookie_of(int fd)
{
	const int saved = errno;
	uint64_t cookie = 0;
	socklen_t len = sizeof cookie;

	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) != 0)
		cookie = 0;
	errno = saved;
	return cookie;
}

bool marks_verify(int fd)
{
	return atomic_load_explicit(&cookies[fd], memory_order_relaxed) == cookie_of(fd);
}

static bool is_in_range(int fd)
{
	return fd >= 0 && fd < MARKS_DESCRIPTORS;
}

static void raise_highest(int fd)
{
	int seen = atomic_load(&highest);

	while (seen < fd && !atomic_compare_exchange_weak(&highest, &seen, fd))
		continue;
}

bool marks_set(int fd, uint8_t mark)
{
	if (!is_in_range(fd))
		return false;
	raise_highest(fd);
	atomic_store(&cookies[fd], cookie_of(fd));
	/* It may have been polled before it was bound. */
	atomic_fetch_and(&marks[fd], MARK_POLLED);
	atomic_fetch_or(&marks[fd], mark);
	return true;
}

bool marks_copy(int from, int to)
{
	const uint8_t mark = is_in_range(from) ? atomic_load(&marks[from]) : 0;

	if (from == to || !is_owner())
		return true;
	if (!is_in_range(to))
		return !(mark & MARK_PORT);
	if (mark == atomic_load(&marks[to]) && !(mark & MARK_PORT))
		return true;
	raise_highest(to);
	atomic_store(&cookies[to], is_in_range(from) ? atomic_load(&cookies[from]) : 0);
	atomic_store(&marks[to], mark);
	return true;
}

void marks_clear(unsigned first, unsigned last)
{
	const int top = atomic_load(&highest);

	for (unsigned fd = first; top >= 0 && fd <= last && fd <= (unsigned)top; fd++)
		if (atomic_load_explicit(&marks[fd], memory_order_relaxed) && is_owner())
			atomic_store(&marks[fd], 0);
}

void marks_note_polled(int fd)
{
	if (!is_in_range(fd) || atomic_load_explicit(&marks[fd], memory_order_relaxed) & MARK_POLLED || !is_owner())
		return;
	raise_highest(fd);
	atomic_fetch_or(&marks[fd], MARK_POLLED);
}
