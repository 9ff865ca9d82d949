#include "bench/programs/frames/head.h"

#include <string.h>

/* clang-format off */
enum {
	IP_AT = 14, UDP_AT = 34, RECORD_AT = 42, LENGTH_AT = RECORD_AT + 19, BODY_AT = RECORD_AT + 21,
	RTP = 0x80, /* RFC 7983: no type of DTLS */
	HOPS = 62,
};
/* clang-format on */
_Static_assert((int)FRAME_CID_AT == RECORD_AT + 11 && (int)FRAME_HEAD_OCTETS > LENGTH_AT, "RFC 9146");

static void put_u16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* As words of 16 bits lie in memory: RFC 1071. `octets` may be odd. */
static uint32_t sum_of(const uint8_t *data, size_t octets)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < octets; i++)
		sum += (uint32_t)data[i] << 8 * (i % 2);
	return sum;
}

static void put_record(uint8_t *record, const struct head_settings *settings)
{
	/* tls12_cid, DTLS 1.2, epoch 1, a number that is not a session's first; the server, the device, three more */
	static const uint8_t first[19] = { 25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0xc1, 0xd1, 0xb0 };

	memcpy(record, first, sizeof first);
	if (settings->garbage)
		record[0] = RTP;
	put_u16(record + LENGTH_AT - RECORD_AT, settings->octets - (size_t)(BODY_AT - RECORD_AT));
	for (size_t i = BODY_AT - RECORD_AT; i < settings->octets; i++)
		record[i] = (uint8_t)(0xa3 + 37 * i);
}

uint32_t head_make(uint8_t frame[static HEAD_FRAME_OCTETS], struct frames *frames, const struct head_settings *settings)
{
	uint8_t *ip = frame + IP_AT, *udp = frame + UDP_AT;
	const uint8_t from_mac[6] = { 2, 0, 0, 0, 0, 1 };

	memset(frame, 0, HEAD_FRAME_OCTETS);
	memcpy(frame, settings->to_mac, 6);
	memcpy(frame + 6, from_mac, 6);
	put_u16(frame + 12, 0x0800);
	ip[0] = 0x45;
	put_u16(ip + 2, 28U + settings->octets);
	ip[6] = 0x40;
	ip[8] = HOPS;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 16, &settings->target.sin_addr, 4);
	put_u16(udp, settings->port);
	memcpy(udp + 2, &settings->target.sin_port, 2);
	put_u16(udp + 4, 8U + settings->octets);
	put_record(frame + RECORD_AT, settings);
	memcpy(frames->head, frame, sizeof frames->head);
	frames->ip_sum = sum_of(ip, 20);
	/* The pseudo header has the length, too. */
	frames->sum = sum_of(ip + 12, 8) + sum_of((const uint8_t[]){ 0, IPPROTO_UDP }, 2) + sum_of(udp + 4, 2) +
		      sum_of(udp, 8U + settings->octets);
	return RECORD_AT + (uint32_t)settings->octets;
}
