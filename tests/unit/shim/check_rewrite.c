#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include "shim/rewrite.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

#define MAPPED  [10] = 0xff, [11] = 0xff
#define KEY_HEX "000102030405060708090a0b0c0d0e0f"

static const struct addr device = { { MAPPED, 192, 0, 2, 1 }, 56324 };
static const struct addr service = { { MAPPED, 198, 51, 100, 7 }, 5684 };
static const struct addr device6 = { { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 }, 56324 };
static const struct addr service6 = { { 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, [15] = 7 }, 5684 };

/* "payload" behind each header, received into server buffers of these sizes. */
static const struct {
	const char *name;
	const struct addr *source, *destination;
	size_t padding; /* octets of a TLV more */
	size_t sizes[8];
	size_t count;
} scatters[] = {
	{ "IPv4, one buffer", &device, &service, 0, { 7 }, 1 },
	{ "IPv4, octet by octet", &device, &service, 0, { 1, 1, 1, 1, 1, 1, 1, 1 }, 8 },
	{ "IPv4, none", &device, &service, 0, { 0 }, 0 },
	{ "IPv6, one buffer", &device6, &service6, 0, { 7 }, 1 },
	{ "IPv6, larger than all", &device6, &service6, 0, { 100 }, 1 },
	{ "IPv6, header over all buffers", &device6, &service6, 0, { 1, 2, 3 }, 3 },
	{ "IPv6, empty ones between", &device6, &service6, 0, { 0, 3, 0, 0, 4, 0 }, 6 },
	{ "IPv6, header ends at a buffer's end", &device6, &service6, 0, { 24, 7 }, 2 },
	{ "IPv6, header ends one before", &device6, &service6, 0, { 23, 7 }, 2 },
	{ "IPv6, header ends one after", &device6, &service6, 0, { 25, 7 }, 2 },
	{ "IPv4 and a TLV", &device, &service, 1, { 4, 4 }, 2 },
	{ "IPv4, the longest header", &device, &service, REWRITE_TAIL_OCTETS - 3, { 7 }, 1 },
	{ "IPv6, the longest header", &device6, &service6, REWRITE_HEADER_OCTETS - PROXY2_V6_OCTETS - 3, { 5, 5 }, 2 },
};

/* One datagram: header, another TLV of `padding` octets if that is not 0, "payload". */
static struct octets make_datagram(const struct proxy2_keys *keys, const struct proxy2_ends *ends, size_t padding)
{
	static const uint8_t payload[7] = "payload";
	const size_t tlv = padding ? padding + 3 : 0;
	uint8_t whole[PROXY2_MAX_OCTETS + REWRITE_HEADER_OCTETS + 16] = { 0 };
	size_t len = proxy2_write(whole, keys, PROXY2_UP, ends);

	if (tlv) {
		whole[14] = (uint8_t)((len - 16 + tlv) >> 8);
		whole[15] = (uint8_t)(len - 16 + tlv);
		whole[len] = 0x04;
		whole[len + 2] = (uint8_t)padding;
		len += tlv;
	}
	memcpy(whole + len, payload, sizeof payload);
	return octets_copy(whole, len + sizeof payload);
}

struct pieces {
	struct iovec at[10];
	size_t count;
};

/* As the kernel would: a head, buffers of exactly these sizes, a tail. */
static struct pieces scatter(const struct octets *datagram, const size_t *sizes, size_t count)
{
	struct pieces out = { .count = count + 2 };
	size_t done = 0;

	for (size_t i = 0; i < out.count; i++) {
		const size_t size = i == 0 ? REWRITE_HEAD_OCTETS : i > count ? REWRITE_TAIL_OCTETS : sizes[i - 1];
		const size_t left = datagram->len - done;
		out.at[i] = (struct iovec){ malloc(size), size };
		ck_assert(out.at[i].iov_base || size == 0);
		if (size > 0 && left > 0)
			memcpy(out.at[i].iov_base, datagram->at + done, left < size ? left : size);
		done += left < size ? left : size;
	}
	return out;
}

static enum proxy2_result unwrap(struct proxy2_ends *ends, size_t *octets, const struct proxy2_keys *keys,
				 const struct pieces *pieces, size_t len)
{
	return rewrite_unwrap(ends, octets, keys, &(struct rewrite_datagram){ pieces->at, pieces->count, len });
}

START_TEST(payload_is_where_it_belongs)
{
	const struct proxy2_ends ends = { *scatters[_i].source, *scatters[_i].destination, 0, PROXY2_V1 };
	struct proxy2_keys keys;
	struct proxy2_ends read;
	size_t octets, done = 0;

	ck_assert_int_eq(proxy2_parse_keys(&keys, "1:" KEY_HEX), 0);
	const struct octets datagram = make_datagram(&keys, &ends, scatters[_i].padding);
	struct pieces pieces = scatter(&datagram, scatters[_i].sizes, scatters[_i].count);
	ck_assert_int_eq(unwrap(&read, &octets, &keys, &pieces, datagram.len), PROXY2_GOOD);
	ck_assert_mem_eq(&read, &ends, sizeof ends);
	ck_assert_uint_eq(octets, datagram.len - 7);
	for (size_t i = 1; i + 1 < pieces.count; i++) {
		const size_t size = pieces.at[i].iov_len < 7 - done ? pieces.at[i].iov_len : 7 - done;
		if (size > 0)
			ck_assert_msg(memcmp(pieces.at[i].iov_base, &"payload"[done], size) == 0, "%s: buffer %zu",
				      scatters[_i].name, i);
		done += size;
	}
	for (size_t i = 0; i < pieces.count; i++)
		free(pieces.at[i].iov_base);
	free(datagram.at);
}
END_TEST

START_TEST(longer_header_is_not_taken)
{
	static const size_t sizes[] = { 100 };
	const struct proxy2_ends ends = { device, service, 0, PROXY2_V1 };
	struct proxy2_keys keys;
	struct proxy2_ends read;
	size_t octets;

	ck_assert_int_eq(proxy2_parse_keys(&keys, "1:" KEY_HEX), 0);
	const struct octets datagram = make_datagram(&keys, &ends, REWRITE_TAIL_OCTETS - 2);
	struct pieces pieces = scatter(&datagram, sizes, 1);
	ck_assert_int_eq(unwrap(&read, &octets, &keys, &pieces, datagram.len), PROXY2_LENGTH);
	for (size_t i = 0; i < pieces.count; i++)
		free(pieces.at[i].iov_base);
	free(datagram.at);
}
END_TEST

START_TEST(names_of_sockets)
{
	struct sockaddr_storage name;
	struct addr back;
	socklen_t len;

	ck_assert(rewrite_name(&name, &len, AF_INET, &device));
	ck_assert_uint_eq(len, sizeof(struct sockaddr_in));
	ck_assert_int_eq(rewrite_addr(&back, (struct sockaddr *)&name, len), 0);
	ck_assert(addr_equal(&back, &device));
	ck_assert_int_eq(rewrite_addr(&back, (struct sockaddr *)&name, len - 1), -EINVAL);
	ck_assert(rewrite_name(&name, &len, AF_INET6, &device));
	ck_assert_uint_eq(len, sizeof(struct sockaddr_in6));
	ck_assert_int_eq(rewrite_addr(&back, (struct sockaddr *)&name, len), 0);
	ck_assert(addr_equal(&back, &device));
	ck_assert(rewrite_name(&name, &len, AF_INET6, &device6));
	ck_assert_int_eq(rewrite_addr(&back, (struct sockaddr *)&name, 24), 0);
	ck_assert(addr_equal(&back, &device6));
	ck_assert_int_eq(rewrite_addr(&back, (struct sockaddr *)&name, 23), -EINVAL);
	ck_assert(!rewrite_name(&name, &len, AF_INET, &device6));
	name.ss_family = AF_UNIX;
	ck_assert_int_eq(rewrite_addr(&back, (struct sockaddr *)&name, sizeof name), -EAFNOSUPPORT);
	ck_assert_int_eq(rewrite_addr(&back, (struct sockaddr *)&name, 1), -EINVAL);
}
END_TEST

struct control {
	_Alignas(struct cmsghdr) char octets[REWRITE_CONTROL_OCTETS + 64];
	struct msghdr msg;
};

static void control_add(struct control *control, int level, int type, const void *value, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)(control->octets + control->msg.msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), value, len);
	control->msg.msg_control = control->octets;
	control->msg.msg_controllen += CMSG_SPACE(len);
}

START_TEST(packet_info_tells_the_service)
{
	const struct in_pktinfo info = { .ipi_ifindex = 3, .ipi_addr.s_addr = 1, .ipi_spec_dst.s_addr = 1 };
	const struct in6_pktinfo info6 = { .ipi6_addr = { { { 1 } } }, .ipi6_ifindex = 3 };
	const int ttl = 63;
	struct control control = { 0 };
	struct in6_pktinfo told6;
	struct in_pktinfo told;

	control_add(&control, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
	control_add(&control, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
	control_add(&control, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof info6);
	rewrite_received_control(&control.msg, &service);
	struct cmsghdr *c = CMSG_FIRSTHDR(&control.msg);
	ck_assert_mem_eq(CMSG_DATA(c), &ttl, sizeof ttl);
	c = CMSG_NXTHDR(&control.msg, c);
	memcpy(&told, CMSG_DATA(c), sizeof told);
	ck_assert_uint_eq(told.ipi_addr.s_addr, htonl(0xc6336407));
	ck_assert_uint_eq(told.ipi_spec_dst.s_addr, htonl(0xc6336407));
	ck_assert_int_eq(told.ipi_ifindex, 3);
	c = CMSG_NXTHDR(&control.msg, c);
	memcpy(&told6, CMSG_DATA(c), sizeof told6);
	ck_assert_mem_eq(&told6.ipi6_addr, service.ip, 16);
	ck_assert_uint_eq(told6.ipi6_ifindex, 3);

	rewrite_received_control(&control.msg, &service6);
	memcpy(&told6, CMSG_DATA(c), sizeof told6);
	ck_assert_mem_eq(&told6.ipi6_addr, service6.ip, 16);
	memcpy(&told, CMSG_DATA(CMSG_NXTHDR(&control.msg, CMSG_FIRSTHDR(&control.msg))), sizeof told);
	ck_assert_uint_eq(told.ipi_addr.s_addr, 0);
}
END_TEST

START_TEST(source_addresses_are_not_sent)
{
	_Alignas(struct cmsghdr) char out[REWRITE_CONTROL_OCTETS];
	const struct in_pktinfo info = { .ipi_spec_dst.s_addr = 1 };
	const struct in6_pktinfo info6 = { .ipi6_ifindex = 3 };
	const int tos = 46;
	struct control control = { 0 };
	size_t octets = 1;

	ck_assert_int_eq(rewrite_sent_control(out, &octets, &control.msg), 0);
	ck_assert_uint_eq(octets, 0);
	control_add(&control, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
	ck_assert_int_eq(rewrite_sent_control(out, &octets, &control.msg), 0);
	ck_assert_uint_eq(octets, 0);
	control_add(&control, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
	control_add(&control, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof info6);
	ck_assert_int_eq(rewrite_sent_control(out, &octets, &control.msg), 0);
	ck_assert_uint_eq(octets, CMSG_SPACE(sizeof tos));
	const struct cmsghdr *c = (const struct cmsghdr *)out;
	ck_assert_int_eq(c->cmsg_type, IP_TOS);
	ck_assert_mem_eq(CMSG_DATA(c), &tos, sizeof tos);
}
END_TEST

START_TEST(what_cannot_be_sent)
{
	_Alignas(struct cmsghdr) char out[REWRITE_CONTROL_OCTETS];
	static const uint8_t big[REWRITE_CONTROL_OCTETS + 1 - CMSG_LEN(0)];
	const uint16_t segment = 100;
	struct control control = { 0 };
	size_t octets;

	control_add(&control, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment);
	ck_assert_int_eq(rewrite_sent_control(out, &octets, &control.msg), -EINVAL);
	control.msg.msg_controllen = 0;
	control_add(&control, IPPROTO_IP, IP_OPTIONS, big, sizeof big - 1);
	ck_assert_int_eq(rewrite_sent_control(out, &octets, &control.msg), 0);
	ck_assert_uint_eq(octets, REWRITE_CONTROL_OCTETS);
	control.msg.msg_controllen = 0;
	control_add(&control, IPPROTO_IP, IP_OPTIONS, big, sizeof big);
	ck_assert_int_eq(rewrite_sent_control(out, &octets, &control.msg), -EINVAL);
	((struct cmsghdr *)control.octets)->cmsg_len = sizeof control.octets + 1;
	ck_assert_int_eq(rewrite_sent_control(out, &octets, &control.msg), -EINVAL);
	((struct cmsghdr *)control.octets)->cmsg_len = CMSG_LEN(0) - 1;
	ck_assert_int_eq(rewrite_sent_control(out, &octets, &control.msg), -EINVAL);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, payload_is_where_it_belongs, 0, COUNT_OF(scatters));
	tcase_add_test(tests, longer_header_is_not_taken);
	tcase_add_test(tests, names_of_sockets);
	tcase_add_test(tests, packet_info_tells_the_service);
	tcase_add_test(tests, source_addresses_are_not_sent);
	tcase_add_test(tests, what_cannot_be_sent);
}
