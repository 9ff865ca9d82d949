/* Questions and answers of rtnetlink from inside: what netlink*.c share. */
#ifndef CIDLB_IO_NETLINK_PRIV_H
#define CIDLB_IO_NETLINK_PRIV_H

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stddef.h>

#include "io/netlink.h"

enum {
	ANSWER_OCTETS = 32768, /* the kernel makes no part of an answer larger */
	CHANGES = 64,          /* receives per call of netlink_read_changes() */
};

struct netlink {
	int questions, changes;
	uint32_t serial; /* of the last question */
	_Alignas(struct nlmsghdr) uint8_t answer[ANSWER_OCTETS];
};

/* A question. */
struct netlink_question {
	struct nlmsghdr header;
	union {
		struct {
			struct rtmsg body;
			uint8_t attributes[2 * RTA_SPACE(16)];
		} route;
		struct {
			struct ndmsg body;
			uint8_t attributes[RTA_SPACE(16)];
		} neighbour;
		struct ifaddrmsg address;
		struct fib_rule_hdr rule;
		struct ifinfomsg link;
	};
};

/* Adds an address, of which the last octets count. */
void netlink_address_add(struct netlink_question *question, unsigned short type, const uint8_t *ip, unsigned octets);

/* 0 or -errno. */
int netlink_question_send(struct netlink *netlink, struct netlink_question *question);

/* Shows `visit` each message of the answer to the last question. 0, or -errno: the kernel refused, or left off. */
int netlink_answer_read(struct netlink *netlink, void (*visit)(void *ctx, struct nlmsghdr *message), void *ctx);

/* The attribute after `before`, or with NULL the first one, which stands behind a body of so many octets. NULL: there
 * is none. */
const struct rtattr *netlink_attribute_next(const struct nlmsghdr *message, size_t body, const struct rtattr *before);

uint32_t netlink_attribute_u32(const struct rtattr *attribute);

/* As in struct addr. False: it is no address of either family. */
bool netlink_attribute_ip(uint8_t ip[static 16], const struct rtattr *attribute);

#endif
