#include "shim/rewrite.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

enum { V4_AT = 12 /* where a mapped IPv4 address starts in addr.ip */ };

_Static_assert(CMSG_SPACE(sizeof(struct in6_pktinfo)) <= REWRITE_SOURCE_OCTETS &&
		       CMSG_SPACE(sizeof(struct in_pktinfo)) <= REWRITE_SOURCE_OCTETS,
	       "there is room for it");

/* A position in the pieces. */
struct cursor {
	const struct iovec *piece, *end;
	size_t at; /* within the piece */
};

static void cursor_settle(struct cursor *cursor)
{
	while (cursor->piece != cursor->end && cursor->at >= cursor->piece->iov_len) {
		cursor->at -= cursor->piece->iov_len;
		cursor->piece++;
	}
}

/* Octets that are contiguous from here on; 0 at the end of the pieces. */
static size_t cursor_run(struct cursor *cursor)
{
	cursor_settle(cursor);
	return cursor->piece == cursor->end ? 0 : cursor->piece->iov_len - cursor->at;
}

static uint8_t *cursor_octets(const struct cursor *cursor)
{
	return (uint8_t *)cursor->piece->iov_base + cursor->at;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t gather(uint8_t *out, size_t size, const struct rewrite_datagram *datagram)
{
	struct cursor from = { datagram->pieces, datagram->pieces + datagram->count, 0 };
	size_t done = 0;

	size = smaller(size, datagram->len);
	for (size_t run; done < size && (run = smaller(cursor_run(&from), size - done)); from.at += run, done += run)
		memcpy(out + done, cursor_octets(&from), run);
	return done;
}

/* Octets move only to lower places and from front to back, so none is overwritten before it has moved. */
static void move_up(const struct iovec *pieces, size_t count, size_t by, size_t octets)
{
	struct cursor to = { pieces, pieces + count, 0 }, from = { pieces, pieces + count, by };

	while (octets > 0) {
		const size_t run = smaller(smaller(cursor_run(&to), cursor_run(&from)), octets);
		if (run == 0)
			return;
		memmove(cursor_octets(&to), cursor_octets(&from), run);
		to.at += run;
		from.at += run;
		octets -= run;
	}
}

enum proxy2_result rewrite_unwrap(struct proxy2_ends *ends, size_t *octets, const struct proxy2_keys *keys,
				  const struct rewrite_datagram *datagram)
{
	uint8_t header[REWRITE_HEADER_OCTETS];
	const size_t held = gather(header, sizeof header, datagram);
	const enum proxy2_result result = proxy2_read(ends, octets, keys, PROXY2_UP, header, held);

	if (result == PROXY2_GOOD && *octets > REWRITE_HEAD_OCTETS)
		move_up(datagram->pieces + 1, datagram->count - 1, *octets - REWRITE_HEAD_OCTETS,
			datagram->len - *octets);
	return result;
}

bool rewrite_name(struct sockaddr_storage *out, socklen_t *len, sa_family_t family, const struct addr *addr)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(addr->port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(addr->port) };

	*len = family == AF_INET ? sizeof in : sizeof in6;
	memcpy(&in.sin_addr, addr->ip + V4_AT, sizeof in.sin_addr);
	memcpy(&in6.sin6_addr, addr->ip, sizeof in6.sin6_addr);
	memcpy(out, family == AF_INET ? (const void *)&in : &in6, *len);
	return family != AF_INET || addr_is_v4(addr);
}

int rewrite_addr(struct addr *out, const struct sockaddr *name, socklen_t len)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	if (len < sizeof name->sa_family)
		return -EINVAL;
	if (name->sa_family == AF_INET) {
		if (len < sizeof in)
			return -EINVAL;
		memcpy(&in, name, sizeof in);
		*out = (struct addr){ .ip = { [10] = 0xff, [11] = 0xff }, .port = ntohs(in.sin_port) };
		memcpy(out->ip + V4_AT, &in.sin_addr, sizeof in.sin_addr);
		return 0;
	}
	if (name->sa_family != AF_INET6)
		return -EAFNOSUPPORT;
	/* RFC 2133 had no scope id, and the kernel still accepts a name without one. */
	if (len < offsetof(struct sockaddr_in6, sin6_scope_id))
		return -EINVAL;
	memcpy(&in6, name, offsetof(struct sockaddr_in6, sin6_scope_id));
	out->port = ntohs(in6.sin6_port);
	memcpy(out->ip, &in6.sin6_addr, sizeof in6.sin6_addr);
	return 0;
}

static bool is_pktinfo(const struct cmsghdr *c)
{
	return (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) ||
	       (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO);
}

void rewrite_received_control(struct msghdr *msg, const struct addr *service)
{
	static const uint8_t none[4];

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		const size_t octets = c->cmsg_len - CMSG_LEN(0);
		if (!is_pktinfo(c))
			continue;
		if (c->cmsg_level == IPPROTO_IPV6 && octets >= sizeof(struct in6_pktinfo)) {
			memcpy(CMSG_DATA(c) + offsetof(struct in6_pktinfo, ipi6_addr), service->ip, sizeof service->ip);
		} else if (c->cmsg_level == IPPROTO_IP && octets >= sizeof(struct in_pktinfo)) {
			const uint8_t *ip = addr_is_v4(service) ? service->ip + V4_AT : none;
			memcpy(CMSG_DATA(c) + offsetof(struct in_pktinfo, ipi_addr), ip, sizeof none);
			memcpy(CMSG_DATA(c) + offsetof(struct in_pktinfo, ipi_spec_dst), ip, sizeof none);
		}
	}
}

bool rewrite_sent_source(struct addr *out, const struct msghdr *msg)
{
	static const uint8_t none[16], none_v4[16] = { [10] = 0xff, 0xff };
	/* CMSG_NXTHDR() asks for a header that it could change. */
	struct msghdr in = *msg;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&in); c; c = CMSG_NXTHDR(&in, c)) {
		const size_t octets = c->cmsg_len - CMSG_LEN(0);
		*out = (struct addr){ .ip = { [10] = 0xff, [11] = 0xff } };
		if (!is_pktinfo(c) || c->cmsg_len < CMSG_LEN(0))
			continue;
		if (c->cmsg_level == IPPROTO_IPV6 && octets >= sizeof(struct in6_pktinfo))
			memcpy(out->ip, CMSG_DATA(c) + offsetof(struct in6_pktinfo, ipi6_addr), sizeof out->ip);
		else if (c->cmsg_level == IPPROTO_IP && octets >= sizeof(struct in_pktinfo))
			memcpy(out->ip + V4_AT, CMSG_DATA(c) + offsetof(struct in_pktinfo, ipi_spec_dst),
			       sizeof out->ip - V4_AT);
		return memcmp(out->ip, none, sizeof none) != 0 && memcmp(out->ip, none_v4, sizeof none_v4) != 0;
	}
	return false;
}

int rewrite_sent_control(char out[static REWRITE_CONTROL_OCTETS], size_t *octets, const struct msghdr *msg)
{
	/* CMSG_NXTHDR() asks for a header that it could change. */
	struct msghdr in = *msg;

	*octets = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&in); c; c = CMSG_NXTHDR(&in, c)) {
		const size_t space = CMSG_ALIGN(c->cmsg_len);
		if (c->cmsg_len < CMSG_LEN(0) ||
		    c->cmsg_len > in.msg_controllen - (size_t)((char *)c - (char *)in.msg_control))
			return -EINVAL;
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_SEGMENT)
			return -EINVAL;
		if (is_pktinfo(c))
			continue;
		if (space > REWRITE_CONTROL_OCTETS - *octets)
			return -EINVAL;
		memset(out + *octets, 0, space);
		memcpy(out + *octets, c, c->cmsg_len);
		*octets += space;
	}
	return 0;
}

void rewrite_source_control(struct msghdr *msg, sa_family_t family, const struct addr *source)
{
	struct cmsghdr *c = (struct cmsghdr *)((char *)msg->msg_control + msg->msg_controllen);
	struct in_pktinfo info = { 0 };
	/* An AF_INET6 socket is told a mapped IPv4 address, too. */
	struct in6_pktinfo info6 = { 0 };
	const bool v4 = family == AF_INET;
	const size_t octets = v4 ? sizeof info : sizeof info6;

	memcpy(&info.ipi_spec_dst, source->ip + V4_AT, sizeof info.ipi_spec_dst);
	memcpy(&info6.ipi6_addr, source->ip, sizeof info6.ipi6_addr);
	memset(c, 0, CMSG_SPACE(octets));
	c->cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
	c->cmsg_type = v4 ? IP_PKTINFO : IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(octets);
	memcpy(CMSG_DATA(c), v4 ? (const void *)&info : &info6, octets);
	msg->msg_controllen += CMSG_SPACE(octets);
}
