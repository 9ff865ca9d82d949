#include "shim/marks.h"

#include <unistd.h>

atomic_uchar marks[MARKS_DESCRIPTORS];
static atomic_int highest = -1; /* no mark is above it */
static atomic_int owner;

void marks_own(void)
{
	atomic_store(&owner, getpid());
}

static bool is_owner(void)
{
	return atomic_load(&owner) == getpid();
}

static void raise_highest(int fd)
{
	int seen = atomic_load(&highest);

	while (seen < fd && !atomic_compare_exchange_weak(&highest, &seen, fd))
		continue;
}

bool marks_set(int fd, uint8_t mark)
{
	if (fd < 0 || fd >= MARKS_DESCRIPTORS)
		return false;
	raise_highest(fd);
	atomic_store(&marks[fd], mark);
	return true;
}

void marks_copy(int from, int to)
{
	const uint8_t mark = marks_get(from);

	if (from != to && mark != marks_get(to) && is_owner())
		marks_set(to, mark);
}

void marks_clear(unsigned first, unsigned last)
{
	const int top = atomic_load(&highest);

	for (unsigned fd = first; top >= 0 && fd <= last && fd <= (unsigned)top; fd++)
		if (marks_get((int)fd) && is_owner())
			atomic_store(&marks[fd], 0);
}
