#include "io/icmp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/sockaddr.h"
#include "io/socket.h"

enum { CONTROL = 256 }; /* octets: the error, its sender, PKTINFO, the drop count */

struct icmp_inbox {
	struct mmsghdr headers[ICMP_BATCH];
	struct sockaddr_storage to[ICMP_BATCH];
	_Alignas(struct cmsghdr) uint8_t control[ICMP_BATCH][CONTROL];
	struct icmp_error errors[ICMP_BATCH];
};

struct icmp_inbox *icmp_inbox_new(void)
{
	return calloc(1, sizeof(struct icmp_inbox));
}

void icmp_inbox_free(struct icmp_inbox *inbox)
{
	free(inbox);
}

/* False: the host itself made the error, as for a send that was too large. */
static bool control_read(struct msghdr *header, struct icmp_error *error)
{
	uint32_t iface;
	bool icmp = false;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
		    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
			struct sock_extended_err what;

			memcpy(&what, CMSG_DATA(c), sizeof what);
			icmp = what.ee_origin == SO_EE_ORIGIN_ICMP || what.ee_origin == SO_EE_ORIGIN_ICMP6;
			error->too_big = what.ee_errno == EMSGSIZE;
		} else {
			socket_read_local(c, error->local, &iface);
		}
	}
	return icmp;
}

size_t icmp_receive(struct icmp_inbox *inbox, int fd, struct icmp_error **out, bool *more)
{
	size_t good = 0;
	int count;

	for (size_t i = 0; i < ICMP_BATCH; i++)
		inbox->headers[i].msg_hdr = (struct msghdr){
			.msg_name = &inbox->to[i],
			.msg_namelen = sizeof inbox->to[i],
			.msg_control = inbox->control[i],
			.msg_controllen = CONTROL,
		};
	count = recvmmsg(fd, inbox->headers, ICMP_BATCH, MSG_ERRQUEUE | MSG_DONTWAIT, NULL);
	for (int i = 0; i < count; i++) {
		struct icmp_error *error = &inbox->errors[good];

		*error = (struct icmp_error){ .to = sockaddr_read(&inbox->to[i]) };
		good += control_read(&inbox->headers[i].msg_hdr, error);
	}
	*out = inbox->errors;
	*more = count == ICMP_BATCH;
	return good;
}

int icmp_alarm_new(struct icmp_alarm **out)
{
	struct icmp_alarm *alarm = calloc(1, sizeof *alarm);

	if (!alarm)
		return -ENOMEM;
	alarm->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (alarm->wake < 0) {
		int err = -errno;

		free(alarm);
		return err;
	}
	*out = alarm;
	return 0;
}

void icmp_alarm_free(struct icmp_alarm *alarm)
{
	if (!alarm)
		return;
	close(alarm->wake);
	free(alarm);
}

void icmp_alarm_ring(struct icmp_alarm *alarm, uint16_t backend, uint32_t now_ms)
{
	uint32_t last_ms = atomic_load_explicit(&alarm->rung_ms[backend], memory_order_relaxed);
	uint64_t one = 1;

	/* 0 means never. If the clock happens to read 0, one more alarm rings. */
	if (last_ms != 0 && now_ms - last_ms < ICMP_ALARM_MS)
		return;
	if (!atomic_compare_exchange_strong_explicit(&alarm->rung_ms[backend], &last_ms, now_ms, memory_order_relaxed,
						     memory_order_relaxed))
		return;
	atomic_store_explicit(&alarm->rung[backend], true, memory_order_release);
	while (write(alarm->wake, &one, sizeof one) < 0 && errno == EINTR)
		;
}

void icmp_alarm_answer(struct icmp_alarm *alarm, void (*visit)(void *ctx, uint16_t backend), void *ctx)
{
	uint64_t count;

	while (read(alarm->wake, &count, sizeof count) < 0 && errno == EINTR)
		;
	for (size_t i = 0; i < STATS_BACKENDS; i++)
		if (atomic_load_explicit(&alarm->rung[i], memory_order_relaxed) &&
		    atomic_exchange_explicit(&alarm->rung[i], false, memory_order_acquire))
			visit(ctx, (uint16_t)i);
}
