/* Datagrams of one direction on their way over a slow radio, which keeps their order. Times are ms of any monotonic
 * clock. */
#ifndef CIDLB_BENCH_FLEET_DELAY_H
#define CIDLB_BENCH_FLEET_DELAY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct delayed {
	TAILQ_ENTRY(delayed) next;
	uint64_t due_ms;
	size_t len;
	uint8_t octets[];
};

TAILQ_HEAD(delay, delayed);

void delay_init(struct delay *delay);
void delay_clear(struct delay *delay);

/* Copies a datagram. It arrives at due_ms, or with the one before it if that comes later. -ENOMEM. */
int delay_put(struct delay *delay, const uint8_t *data, size_t len, uint64_t due_ms);

/* The next one that has arrived, the caller's to free; NULL: none has. */
struct delayed *delay_take(struct delay *delay, uint64_t now_ms);

/* When the next one arrives; UINT64_MAX: there is none. */
uint64_t delay_due_ms(const struct delay *delay);

#endif
