/* ICMP errors about datagrams that left through the socket of an endpoint or a tunnel (socket.h).
 *
 * The kernel queues them at that socket, at the cost of its receive buffer. It also fails a send or a receive for each.
 * So they must be read. An inbox belongs to one worker. The alarm is shared: workers ring it, and the control thread
 * answers.
 */
#ifndef CIDLB_IO_ICMP_H
#define CIDLB_IO_ICMP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/stats.h"
#include "common/addr.h"

enum { ICMP_BATCH = 32, ICMP_ALARM_MS = 100 };

struct icmp_error {
	struct addr to;    /* where the datagram went that met the error */
	uint8_t local[16]; /* its source address */
	bool too_big; /* the path is said to have a smaller MTU (in IPv6 the kernel has noted it); else undelivered */
};

struct icmp_inbox;
/* NULL: out of memory. */
struct icmp_inbox *icmp_inbox_new(void);
void icmp_inbox_free(struct icmp_inbox *inbox);

/* Reads at most ICMP_BATCH errors of a socket without waiting, and drops those that the host itself made. Returns how
 * many are left. *out is their array, valid until the next call. *more: there may be others. */
size_t icmp_receive(struct icmp_inbox *inbox, int fd, struct icmp_error **out, bool *more);

/* Backends that ICMP errors were about. */
struct icmp_alarm {
	int wake;                                 /* readable when a backend is rung for */
	_Atomic bool rung[STATS_BACKENDS];        /* by uid */
	_Atomic uint32_t rung_ms[STATS_BACKENDS]; /* when it last rang, on the workers' clock */
};

/* -errno: there is no descriptor or no memory. */
int icmp_alarm_new(struct icmp_alarm **out);
void icmp_alarm_free(struct icmp_alarm *alarm);

/* Rings for the backend with this uid, at most once every ICMP_ALARM_MS. Any worker. */
void icmp_alarm_ring(struct icmp_alarm *alarm, uint16_t backend, uint32_t now_ms);

/* Shows `visit` each backend that was rung for, once. Control thread, when `wake` is readable. */
void icmp_alarm_answer(struct icmp_alarm *alarm, void (*visit)(void *ctx, uint16_t backend), void *ctx);

#endif
