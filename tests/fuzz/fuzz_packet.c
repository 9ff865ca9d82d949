/* A UDP datagram as an IPv4 packet. Input: an octet (bit 0: the UDP checksum does not count), then the packet. */
#include <stdlib.h>
#include <string.h>

#include "common/udp_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* What was read is the same when it is written and read again. */
static void check_again(const struct udp_packet *packet)
{
	uint8_t octets[UDP_PACKET_V4_OCTETS + 65535];
	struct udp_packet_part part;
	struct udp_packet again;

	udp_packet_whole(&part, packet);
	require(part.head_len == UDP_PACKET_V4_OCTETS && part.len == packet->len);
	memcpy(octets, part.head, part.head_len);
	memcpy(octets + part.head_len, part.data, part.len);
	require(udp_packet_read_v4(&again, octets, part.head_len + part.len, UDP_PACKET_SUM_HERE));
	require(addr_equal(&again.from, &packet->from) && addr_equal(&again.to, &packet->to));
	require(again.ttl == packet->ttl && again.tos == packet->tos && again.len == packet->len);
	require(memcmp(again.data, packet->data, packet->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct udp_packet packet;
	uint8_t *copy;

	if (len == 0)
		return 0;
	/* Of its own size, so that a sanitizer sees what is read behind it. */
	copy = malloc(len - 1 ? len - 1 : 1);
	require(copy);
	memcpy(copy, data + 1, len - 1);
	if (udp_packet_read_v4(&packet, copy, len - 1, data[0] & 1 ? UDP_PACKET_SUM_NOT : UDP_PACKET_SUM_HERE)) {
		require(addr_is_v4(&packet.from) && addr_is_v4(&packet.to));
		require(packet.data >= copy && packet.data + packet.len <= copy + len - 1);
		check_again(&packet);
	}
	free(copy);
	return 0;
}
