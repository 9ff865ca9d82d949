/* Service addresses. A small number stands for "this listener, at this local address", so a flow remembers in two
 * octets where to answer from.
 *
 * The numbers 0 .. STATS_LISTENERS-1 are the uids of the listeners, each at its own address. A listener on a wildcard
 * address has many addresses. Each gets a further number when it is first addressed. Numbers are never taken back,
 * because a host has few addresses. Any thread.
 */
#ifndef CIDLB_PATH_SERVICE_ADDRS_H
#define CIDLB_PATH_SERVICE_ADDRS_H

#include <stdint.h>

struct service_addrs;

struct service_addrs *service_addrs_new(void);
void service_addrs_free(struct service_addrs *service_addrs);

/* The number of the listener with this uid, on a wildcard address, when it is addressed at `local`. If all numbers are
 * given out it is the uid itself. The reply then leaves from the address that the kernel chooses. */
uint16_t service_addrs_number(struct service_addrs *service_addrs, uint16_t listener, const uint8_t local[static 16]);

/* From now on replies of the listener with this uid name the address that they leave from. NULL: no longer. It is for a
 * listener that is gone, whose replies leave through the socket of another one. Control thread. */
void service_addrs_pin(struct service_addrs *service_addrs, uint16_t listener, const uint8_t *local);

struct service_addr {
	uint16_t listener;    /* uid */
	const uint8_t *local; /* 16 octets, valid as long as service_addrs; NULL: the socket's own */
};
struct service_addr service_addrs_get(const struct service_addrs *service_addrs, uint16_t number);

#endif
