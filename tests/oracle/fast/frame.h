/* Frames, put together and taken apart without the program's own arithmetic. */
#ifndef CIDLB_TESTS_ORACLE_FAST_FRAME_H
#define CIDLB_TESTS_ORACLE_FAST_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"

enum { FRAME_MAX = 4000, PAYLOAD_MAX = 1600 };

enum check { CHECK_RIGHT, CHECK_ZERO, CHECK_WRONG };

struct frame {
	uint8_t octets[FRAME_MAX];
	size_t len;
};

/* A datagram, and how it lies in its frame. */
struct datagram {
	struct addr source, to; /* of one family, which is that of the packet */
	const uint8_t *payload;
	size_t len;
	enum check check;
	uint8_t hops; /* TTL */
	uint8_t tos;
	uint8_t to_mac[6], from_mac[6];
};

void frame_make(struct frame *out, const struct datagram *datagram);

/* The offset of the UDP header in a frame of frame_make(). */
size_t frame_udp_at(const struct frame *frame);

/* How far the checksum of UDP is from the right one, modulo 65535. 0: it is right. */
uint16_t frame_check_error(const struct frame *frame);

/* Writes the checksum of an IPv4 header anew. */
void frame_check_ip(struct frame *frame);

#endif
