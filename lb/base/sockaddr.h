/* Between the kernel's socket addresses and ours. */
#ifndef CIDLB_BASE_SOCKADDR_H
#define CIDLB_BASE_SOCKADDR_H

#include <stdint.h>
#include <sys/socket.h>

#include "common/addr.h"

struct in6_addr;
struct in_addr;

/* Returns its length in octets. */
socklen_t sockaddr_write(struct sockaddr_storage *out, const struct addr *addr);

/* One of another family than IPv4 and IPv6 is all zero. So is one of a link with octets that are to be 0: it cannot be
 * told apart from one with a scope, and no host has it. */
struct addr sockaddr_read(const struct sockaddr_storage *from);

/* An IPv6 address and, if it is of a link, the interface. sockaddr_write_v6() returns the number of the interface, or
 * 0. sockaddr_read_v6() returns false if the address is all zero as above. */
uint32_t sockaddr_write_v6(struct in6_addr *out, const uint8_t ip[static 16]);
bool sockaddr_read_v6(uint8_t ip[static 16], const struct in6_addr *in6, uint32_t iface);

/* An IPv4 address in the form that it has in a struct addr. */
void sockaddr_read_v4(uint8_t ip[static 16], const struct in_addr *in);

#endif
