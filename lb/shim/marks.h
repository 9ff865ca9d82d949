/* Which descriptors are sockets of a tunnelled port.
 *
 * Each descriptor has one octet, which is 0 unless it is such a socket. Reading it is all that a call on another
 * descriptor costs. Marks belong to the process. A vfork() child shares its parent's memory but not its descriptors, so
 * it changes no marks.
 */
#ifndef CIDLB_SHIM_MARKS_H
#define CIDLB_SHIM_MARKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	MARKS_DESCRIPTORS = 1 << 20,
	MARK_PORT = 0x1f,   /* the index of its port, plus 1 */
	MARK_V6 = 0x40,     /* an AF_INET6 socket */
	MARK_REFUSED = 0x80 /* cannot be served; settings.problem says why */
};

extern atomic_uchar marks[MARKS_DESCRIPTORS];

static inline uint8_t marks_get(int fd)
{
	return fd >= 0 && fd < MARKS_DESCRIPTORS ? atomic_load_explicit(&marks[fd], memory_order_relaxed) : 0;
}

static inline unsigned mark_port(uint8_t mark)
{
	return (mark & MARK_PORT) - 1U;
}

static inline sa_family_t mark_family(uint8_t mark)
{
	return mark & MARK_V6 ? AF_INET6 : AF_INET;
}

/* At the start, and in the child of a fork: the marks are this process's from now on. */
void marks_own(void);

/* False: the descriptor is beyond those that can be marked. */
bool marks_set(int fd, uint8_t mark);
void marks_copy(int from, int to);
void marks_clear(unsigned first, unsigned last);

#endif
