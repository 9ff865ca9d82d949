#include "udp_packet.h"

#include "bytes.h"

enum {
	UDP = 17,
	FRAGMENT = 44,
	UDP_OCTETS = 8,
	V4_OCTETS = 20,
	V6_OCTETS = 40,
	FRAGMENT_OCTETS = 8,
	V4_AT = 12, /* where a mapped IPv4 address starts in addr.ip */
	DONT_FRAGMENT = 0x4000,
	MORE_FRAGMENTS = 0x2000,
	UNIT = 8, /* offsets of fragments are counted in these */
};
_Static_assert((int)UDP_PACKET_V4_OCTETS == (int)V4_OCTETS + (int)UDP_OCTETS, "as the header says");
_Static_assert((int)UDP_PACKET_V6_OCTETS == (int)V6_OCTETS + (int)UDP_OCTETS, "as the header says");
_Static_assert((int)UDP_PACKET_HEAD_OCTETS == (int)UDP_PACKET_V6_OCTETS + (int)FRAGMENT_OCTETS, "as the header says");

static uint8_t *put_u16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

static uint8_t *put(uint8_t *at, const void *from, size_t octets)
{
	memcpy(at, from, octets);
	return at + octets;
}

/* Adds octets as numbers of 16 bits in the machine's order: the sum of RFC 1071 is the same in either, but for the
 * order of its octets. */
static uint64_t sum_add(uint64_t sum, const uint8_t *data, size_t len)
{
	uint32_t word;
	uint16_t half = 0;

	for (; len >= sizeof word; data += sizeof word, len -= sizeof word) {
		memcpy(&word, data, sizeof word);
		sum += word;
	}
	if (len >= 2) {
		memcpy(&half, data, 2);
		sum += half;
		data += 2;
		len -= 2;
	}
	half = 0;
	memcpy(&half, data, len);
	return sum + half;
}

/* In the machine's order, as the sum. */
static uint16_t sum_end(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static bool is_v4(const struct udp_packet *packet)
{
	return addr_is_v4(&packet->from);
}

/* An address on the wire, without its scope. */
static void wire_ip(uint8_t out[static 16], const struct addr *addr)
{
	memcpy(out, addr->ip, 16);
	addr_set_scope(out, 0);
}

static void udp_head(uint8_t out[static UDP_OCTETS], const struct udp_packet *packet, uint16_t checksum)
{
	uint8_t *at = put_u16(out, packet->from.port);

	at = put_u16(at, packet->to.port);
	at = put_u16(at, UDP_OCTETS + packet->len);
	put(at, &checksum, sizeof checksum);
}

/* Over both addresses, protocol, length, header and payload (RFC 768, RFC 8200 section 8.1). What comes to 0 is sent as
 * ffff: 0 would say that there is none. */
static uint16_t udp_checksum(const struct udp_packet *packet)
{
	const size_t skip = is_v4(packet) ? V4_AT : 0;
	uint8_t head[UDP_OCTETS], rest[4] = { 0, UDP }, ip[16];
	uint64_t sum = 0;

	wire_ip(ip, &packet->from);
	sum = sum_add(sum, ip + skip, sizeof ip - skip);
	wire_ip(ip, &packet->to);
	sum = sum_add(sum, ip + skip, sizeof ip - skip);
	put_u16(rest + 2, UDP_OCTETS + packet->len);
	sum = sum_add(sum, rest, sizeof rest);
	udp_head(head, packet, 0);
	sum = sum_add(sum, head, sizeof head);
	const uint16_t checksum = sum_end(sum_add(sum, packet->data, packet->len));
	return checksum ? checksum : 0xffff;
}

/* `behind`: octets after this header. */
static uint8_t *put_v4(uint8_t *at, const struct udp_packet *packet, size_t behind, uint16_t id, uint16_t fragment)
{
	uint8_t *const begin = at;
	uint16_t checksum;

	*at++ = 0x45;
	*at++ = packet->tos;
	at = put_u16(at, V4_OCTETS + behind);
	at = put_u16(at, id);
	at = put_u16(at, fragment);
	*at++ = packet->ttl;
	*at++ = UDP;
	at = put_u16(at, 0);
	at = put(at, packet->from.ip + V4_AT, 4);
	at = put(at, packet->to.ip + V4_AT, 4);
	checksum = sum_end(sum_add(0, begin, V4_OCTETS));
	put(begin + 10, &checksum, sizeof checksum);
	return at;
}

static uint8_t *put_v6(uint8_t *at, const struct udp_packet *packet, size_t behind, uint8_t next)
{
	uint8_t ip[16];

	at = put(at, (const uint8_t[]){ (uint8_t)(0x60 | packet->tos >> 4), (uint8_t)(packet->tos << 4), 0, 0 }, 4);
	at = put_u16(at, behind);
	*at++ = next;
	*at++ = packet->ttl;
	wire_ip(ip, &packet->from);
	at = put(at, ip, sizeof ip);
	wire_ip(ip, &packet->to);
	return put(at, ip, sizeof ip);
}

size_t udp_packet_octets(const struct udp_packet *packet)
{
	return (is_v4(packet) ? UDP_PACKET_V4_OCTETS : UDP_PACKET_V6_OCTETS) + packet->len;
}

void udp_packet_whole(struct udp_packet_part *out, const struct udp_packet *packet)
{
	const size_t behind = UDP_OCTETS + packet->len;
	uint8_t *at = is_v4(packet) ? put_v4(out->head, packet, behind, 0, DONT_FRAGMENT)
				    : put_v6(out->head, packet, behind, UDP);

	udp_head(at, packet, udp_checksum(packet));
	out->head_len = (size_t)(at + UDP_OCTETS - out->head);
	out->data = packet->data;
	out->len = packet->len;
}

bool udp_packet_next(struct udp_packet_part *out, const struct udp_packet *packet, struct udp_packet_cut *cut)
{
	const bool v4 = is_v4(packet);
	const size_t room = cut->mtu - (v4 ? (size_t)V4_OCTETS : (size_t)V6_OCTETS + FRAGMENT_OCTETS);
	const size_t all = UDP_OCTETS + packet->len, from = cut->done;
	const bool first = from == 0, last = all - from <= room;
	const size_t octets = last ? all - from : room / UNIT * UNIT;
	uint8_t *at;

	if (from == all)
		return false;
	if (first)
		cut->checksum = udp_checksum(packet);
	if (v4) {
		at = put_v4(out->head, packet, octets, (uint16_t)cut->id,
			    (uint16_t)(from / UNIT | (last ? 0 : MORE_FRAGMENTS)));
	} else {
		at = put_v6(out->head, packet, FRAGMENT_OCTETS + octets, FRAGMENT);
		at = put(at, (const uint8_t[]){ UDP, 0 }, 2);
		at = put_u16(at, from | (last ? 0 : 1));
		at = put_u16(put_u16(at, cut->id >> 16), cut->id & 0xffff);
	}
	if (first) {
		udp_head(at, packet, cut->checksum);
		at += UDP_OCTETS;
	}
	out->head_len = (size_t)(at - out->head);
	out->data = packet->data + (first ? 0 : from - UDP_OCTETS);
	out->len = octets - (first ? UDP_OCTETS : 0);
	cut->done = from + octets;
	return true;
}

/* Takes the IPv4 header with its options, and what it says is behind it. False: it is none of a whole UDP datagram. */
static bool take_v4(struct udp_packet *out, struct bytes *packet)
{
	const uint8_t *const head = bytes_take(packet, V4_OCTETS);

	if (!head || head[0] >> 4 != 4)
		return false;
	const size_t head_len = (size_t)(head[0] & 15) * 4, len = bytes_u16(head + 2);
	if (head_len < V4_OCTETS || len < head_len || !bytes_take(packet, head_len - V4_OCTETS) ||
	    packet->left < len - head_len)
		return false;
	packet->left = len - head_len;
	if (sum_end(sum_add(0, head, head_len)) != 0 || head[9] != UDP ||
	    (bytes_u16(head + 6) & ~(unsigned)DONT_FRAGMENT) != 0)
		return false;
	*out = (struct udp_packet){ .ttl = head[8], .tos = head[1] };
	out->from.ip[10] = out->from.ip[11] = out->to.ip[10] = out->to.ip[11] = 0xff;
	memcpy(out->from.ip + V4_AT, head + 12, 4);
	memcpy(out->to.ip + V4_AT, head + 16, 4);
	return true;
}

bool udp_packet_read_v4(struct udp_packet *out, const uint8_t *data, size_t len, enum udp_packet_sum sum)
{
	struct bytes packet = { data, len };
	const uint8_t *udp;
	uint16_t checksum;

	if (!take_v4(out, &packet))
		return false;
	udp = bytes_take(&packet, UDP_OCTETS);
	if (!udp || bytes_u16(udp + 4) < UDP_OCTETS || packet.left < (size_t)bytes_u16(udp + 4) - UDP_OCTETS)
		return false;
	out->from.port = bytes_u16(udp);
	out->to.port = bytes_u16(udp + 2);
	out->data = packet.at;
	out->len = (size_t)bytes_u16(udp + 4) - UDP_OCTETS;
	memcpy(&checksum, udp + 6, sizeof checksum);
	return sum == UDP_PACKET_SUM_NOT || checksum == 0 || checksum == udp_checksum(out);
}
