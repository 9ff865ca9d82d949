/* The datagram that all frames are made of: a record with a Connection ID, from a device whose address is 0. Pure. */
#ifndef CIDLB_BENCH_FRAMES_HEAD_H
#define CIDLB_BENCH_FRAMES_HEAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/programs/frames/frames_map.h"

enum { HEAD_MIN_OCTETS = 30, HEAD_MAX_OCTETS = 1400 /* of the payload */, HEAD_FRAME_OCTETS = 42 + HEAD_MAX_OCTETS };

struct head_settings {
	uint8_t to_mac[6];
	struct sockaddr_in target;
	uint16_t port; /* of the devices */
	uint16_t octets;
	bool garbage; /* no DTLS */
};

/* Fills `frame`, and `head`, `sum` and `ip_sum` of `frames`. Returns the octets of a frame. */
uint32_t head_make(uint8_t frame[static HEAD_FRAME_OCTETS], struct frames *frames,
		   const struct head_settings *settings);

#endif
