/* Service addresses: small numbers for "this listener, at this local address", so that a flow remembers in two octets
 * from where to answer.
 *
 * The numbers 0 .. STATS_LISTENERS-1 are the listeners themselves, each at its own address; further ones are given out
 * for the addresses of listeners on a wildcard address as they are addressed, and never taken back: a host has few. Any
 * thread.
 */
#ifndef CIDLB_PATH_SERVICE_ADDRS_H
#define CIDLB_PATH_SERVICE_ADDRS_H

#include <stdint.h>

struct service_addrs;

struct service_addrs *service_addrs_new(void);
void service_addrs_free(struct service_addrs *service_addrs);

/* The number of a listener (its stable number) on a wildcard address when addressed at `local`. The listener's own when
 * all numbers are given out: the reply then leaves from the address that the kernel chooses. */
uint16_t service_addrs_number(struct service_addrs *service_addrs, uint16_t listener, const uint8_t local[static 16]);

struct service_addr {
	uint16_t listener;    /* stable number */
	const uint8_t *local; /* 16 octets; NULL: the socket's own */
};
struct service_addr service_addrs_get(const struct service_addrs *service_addrs, uint16_t number);

#endif
