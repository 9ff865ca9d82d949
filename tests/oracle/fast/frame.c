#include "tests/oracle/fast/frame.h"

#include <string.h>

enum { ETHERNET = 14 };

static uint32_t sum16(const uint8_t *at, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? at[i] : (uint32_t)at[i] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void put_u16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static bool is_v6(const struct frame *frame)
{
	return frame->octets[12] == 0x86;
}

size_t frame_udp_at(const struct frame *frame)
{
	return ETHERNET + (is_v6(frame) ? 40 : 20);
}

static uint16_t udp_sum(const struct frame *frame)
{
	const size_t udp = frame_udp_at(frame), len = frame->len - udp;
	const uint8_t *addresses = frame->octets + ETHERNET + (is_v6(frame) ? 8 : 12);

	return fold(sum16(addresses, is_v6(frame) ? 32 : 8) + (uint32_t)len + 17 + sum16(frame->octets + udp, len));
}

uint16_t frame_check_error(const struct frame *frame)
{
	return udp_sum(frame) % 0xffff;
}

void frame_check_ip(struct frame *frame)
{
	uint8_t *ip = frame->octets + ETHERNET;

	put_u16(ip + 10, 0);
	put_u16(ip + 10, (uint16_t)~fold(sum16(ip, 20)));
}

static void put_v4(struct frame *out, const struct datagram *datagram)
{
	uint8_t *ip = out->octets + ETHERNET;

	put_u16(out->octets + 12, 0x0800);
	ip[0] = 0x45;
	ip[1] = datagram->tos;
	put_u16(ip + 2, 28 + datagram->len);
	ip[8] = datagram->hops;
	ip[9] = 17;
	memcpy(ip + 12, datagram->source.ip + 12, 4);
	memcpy(ip + 16, datagram->to.ip + 12, 4);
	frame_check_ip(out);
}

static void put_v6(struct frame *out, const struct datagram *datagram)
{
	uint8_t *ip = out->octets + ETHERNET;

	put_u16(out->octets + 12, 0x86dd);
	ip[0] = (uint8_t)(0x60 | datagram->tos >> 4);
	ip[1] = (uint8_t)(datagram->tos << 4);
	put_u16(ip + 4, 8 + datagram->len);
	ip[6] = 17;
	ip[7] = datagram->hops;
	memcpy(ip + 8, datagram->source.ip, 16);
	memcpy(ip + 24, datagram->to.ip, 16);
}

static void put_check(struct frame *out, enum check check)
{
	uint8_t *at = out->octets + frame_udp_at(out) + 6;
	uint16_t sum;

	if (check == CHECK_ZERO)
		return;
	sum = (uint16_t)~udp_sum(out);
	sum = sum ? sum : 0xffff;
	if (check == CHECK_WRONG)
		sum = sum > 0x8000 ? (uint16_t)(sum - 0x1234) : (uint16_t)(sum + 0x1234);
	put_u16(at, sum);
}

void frame_make(struct frame *out, const struct datagram *datagram)
{
	const bool v4 = addr_is_v4(&datagram->source);
	uint8_t *udp = out->octets + ETHERNET + (v4 ? 20 : 40);

	memset(out->octets, 0, (size_t)(udp + 8 - out->octets));
	memcpy(out->octets, datagram->to_mac, 6);
	memcpy(out->octets + 6, datagram->from_mac, 6);
	if (v4)
		put_v4(out, datagram);
	else
		put_v6(out, datagram);
	put_u16(udp, datagram->source.port);
	put_u16(udp + 2, datagram->to.port);
	put_u16(udp + 4, 8 + datagram->len);
	memcpy(udp + 8, datagram->payload, datagram->len);
	out->len = (size_t)(udp - out->octets) + 8 + datagram->len;
	put_check(out, datagram->check);
}
