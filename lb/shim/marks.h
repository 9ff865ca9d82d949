/* Which descriptors are sockets of a tunnelled port.
 *
 * Each descriptor has one octet. Reading it is all that a call on another descriptor costs. Beside the octet stands the
 * kernel's cookie of the socket that was marked. No other socket ever has it, and what is not a socket has none. So a
 * mark that was left on a number counts no more once that number is something else, however that came about.
 *
 * Marks belong to the process. A vfork() child shares its parent's memory but not its descriptors, so it changes no
 * marks. Any thread may call all functions.
 */
#ifndef CIDLB_SHIM_MARKS_H
#define CIDLB_SHIM_MARKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	MARKS_DESCRIPTORS = 1 << 20,
	MARK_PORT = 0x1f,   /* the index of its port, plus 1; 0: not tunnelled */
	MARK_POLLED = 0x20, /* somebody waits for it with poll(), select() or epoll; stands on any descriptor */
	MARK_V6 = 0x40,     /* an AF_INET6 socket */
	MARK_REFUSED = 0x80 /* cannot be served; settings.problem says why */
};

extern atomic_uchar marks[MARKS_DESCRIPTORS];

/* True: the descriptor is still the socket that was marked. errno stays as it is. */
bool marks_verify(int fd);

/* 0: not a tunnelled socket. */
static inline uint8_t marks_get(int fd)
{
	const uint8_t mark =
		fd >= 0 && fd < MARKS_DESCRIPTORS ? atomic_load_explicit(&marks[fd], memory_order_acquire) : 0;

	return mark & MARK_PORT && marks_verify(fd) ? mark : 0;
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
/* False: `from` is tunnelled and `to` cannot be marked. */
bool marks_copy(int from, int to);
void marks_clear(unsigned first, unsigned last);

/* Somebody waits for this descriptor. */
void marks_note_polled(int fd);

static inline bool marks_is_polled(int fd)
{
	return fd >= 0 && fd < MARKS_DESCRIPTORS &&
	       atomic_load_explicit(&marks[fd], memory_order_relaxed) & MARK_POLLED;
}

#endif
