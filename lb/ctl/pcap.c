#include "ctl/pcap.h"

#include <errno.h>

enum { LINKTYPE_RAW = 101, IPV4_OCTETS = 20, IPV6_OCTETS = 40, UDP_OCTETS = 8, UDP = 17, TTL = 64 };

/* The fields of the file, in the byte order that its magic number says. */
static uint8_t *put_le32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		*at++ = (uint8_t)(value >> 8 * i);
	return at;
}

static uint8_t *put_be16(uint8_t *at, size_t value)
{
	*at++ = (uint8_t)(value >> 8);
	*at++ = (uint8_t)value;
	return at;
}

/* RFC 1071: adds octets to a sum; only the last may be of an odd number. */
static uint32_t sum_add(uint32_t sum, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += (uint32_t)data[i] << (i % 2 ? 0 : 8);
	return sum;
}

static uint16_t sum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void udp_write(uint8_t *at, const struct pcap_datagram *datagram)
{
	const size_t len = UDP_OCTETS + datagram->len;
	uint32_t sum = (uint32_t)len + UDP;
	uint16_t checksum;

	put_be16(put_be16(put_be16(put_be16(at, datagram->from.port), datagram->to.port), len), 0);
	/* IPv4 needs none (RFC 768), and the end of a datagram may be missing. */
	if (addr_is_v4(&datagram->from) || datagram->kept < datagram->len)
		return;
	sum = sum_add(sum_add(sum, datagram->from.ip, 16), datagram->to.ip, 16);
	checksum = sum_fold(sum_add(sum_add(sum, at, UDP_OCTETS), datagram->data, datagram->len));
	put_be16(at + 6, checksum ? checksum : 0xffff);
}

static size_t ipv4_write(uint8_t *at, const struct pcap_datagram *datagram)
{
	const uint8_t head[8] = { [0] = 0x45 };

	memcpy(at, head, sizeof head);
	put_be16(at + 2, IPV4_OCTETS + UDP_OCTETS + datagram->len);
	at[8] = TTL;
	at[9] = UDP;
	put_be16(at + 10, 0);
	memcpy(at + 12, datagram->from.ip + 12, 4);
	memcpy(at + 16, datagram->to.ip + 12, 4);
	put_be16(at + 10, sum_fold(sum_add(0, at, IPV4_OCTETS)));
	return IPV4_OCTETS;
}

static size_t ipv6_write(uint8_t *at, const struct pcap_datagram *datagram)
{
	const uint8_t head[4] = { 0x60 };

	memcpy(at, head, sizeof head);
	put_be16(at + 4, UDP_OCTETS + datagram->len);
	at[6] = UDP;
	at[7] = TTL;
	memcpy(at + 8, datagram->from.ip, 16);
	memcpy(at + 24, datagram->to.ip, 16);
	return IPV6_OCTETS;
}

static int write_all(FILE *out, const uint8_t *data, size_t len)
{
	if (fwrite(data, 1, len, out) == len)
		return 0;
	return errno ? -errno : -EIO;
}

int pcap_begin(FILE *out)
{
	uint8_t head[24], *at = head;

	at = put_le32(at, UINT32_C(0xa1b2c3d4)); /* times in microseconds */
	at = put_le32(at, 2 | 4 << 16);          /* version 2.4 */
	at = put_le32(put_le32(at, 0), 0);
	put_le32(put_le32(at, UINT16_MAX), LINKTYPE_RAW);
	return write_all(out, head, sizeof head);
}

int pcap_write(FILE *out, const struct pcap_datagram *datagram)
{
	uint8_t head[16 + IPV6_OCTETS + UDP_OCTETS], *at = head;
	size_t headers;
	int err;

	if (datagram->len > UINT16_MAX - IPV4_OCTETS - UDP_OCTETS || datagram->kept > datagram->len)
		return -EMSGSIZE;
	headers = addr_is_v4(&datagram->from) ? ipv4_write(head + 16, datagram) : ipv6_write(head + 16, datagram);
	udp_write(head + 16 + headers, datagram);
	headers += UDP_OCTETS;
	at = put_le32(at, (uint32_t)(datagram->time_us / 1000000));
	at = put_le32(at, (uint32_t)(datagram->time_us % 1000000));
	at = put_le32(at, (uint32_t)(headers + datagram->kept));
	put_le32(at, (uint32_t)(headers + datagram->len));
	err = write_all(out, head, 16 + headers);
	return err ? err : write_all(out, datagram->data, datagram->kept);
}
