/* Between the kernel's socket addresses and ours. */
#ifndef CIDLB_BASE_SOCKADDR_H
#define CIDLB_BASE_SOCKADDR_H

#include <stdint.h>
#include <sys/socket.h>

#include "common/addr.h"

struct in_addr;

/* Returns its length in octets. */
socklen_t sockaddr_write(struct sockaddr_storage *out, const struct addr *addr);

/* One of another family than IPv4 and IPv6 is all zero. */
struct addr sockaddr_read(const struct sockaddr_storage *from);

/* An IPv4 address in the form that it has in a struct addr. */
void sockaddr_read_v4(uint8_t ip[static 16], const struct in_addr *in);

#endif
