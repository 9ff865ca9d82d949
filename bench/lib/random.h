/* Unpredictable octets from the kernel, in the form that common/session.h and common/lbcid.h ask for. */
#ifndef CIDLB_BENCH_LIB_RANDOM_H
#define CIDLB_BENCH_LIB_RANDOM_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/random.h>

/* Returns 0 or -errno. */
static inline int random_octets(void *ctx, uint8_t *out, size_t len)
{
	(void)ctx;
	while (len) {
		ssize_t got = getrandom(out, len, 0);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0) {
			out += got;
			len -= (size_t)got;
		}
	}
	return 0;
}

#endif
