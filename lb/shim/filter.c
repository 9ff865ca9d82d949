#include "shim/filter.h"

#include <errno.h>

#include "common/bytes.h"
#include "shim/real.h"

enum {
	PAYLOAD_AT = 8, /* behind the UDP header, where a filter of a UDP socket begins to read */
	SIGNATURE_1 = 0x0d0a0d0a,
	SIGNATURE_2 = 0x000d0a51,
	SIGNATURE_3 = 0x5549540a,
	VERSION_2_PROXY = 0x21,
	UDP4 = 0x12,
	UDP6 = 0x22,
	MAPPED = 0x0000ffff, /* the third word of a mapped IPv4 address */
	IP4_SOURCE_AT = 12,
	IP6_SOURCE_AT = 8,
};

struct program {
	struct sock_filter *code;
	size_t len;
};

static void put(struct program *to, unsigned code, uint32_t k)
{
	to->code[to->len++] = (struct sock_filter)BPF_STMT((uint16_t)code, k);
}

/* Goes on after so many of the next instructions. */
static void put_if(struct program *to, unsigned test, uint32_t k, unsigned skip_if, unsigned skip_else)
{
	to->code[to->len++] = (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | test | BPF_K), k, (uint8_t)skip_if,
							   (uint8_t)skip_else);
}

static void put_drop(struct program *to)
{
	put(to, BPF_RET | BPF_K, 0);
}

/* What is too short to be read is dropped, too. */
static void put_require(struct program *to, unsigned size, uint32_t at, uint32_t value)
{
	put(to, BPF_LD | BPF_ABS | size, at);
	put_if(to, BPF_JEQ, value, 1, 0);
	put_drop(to);
}

static void put_header(struct program *to, sa_family_t family)
{
	put_require(to, BPF_W, PAYLOAD_AT, SIGNATURE_1);
	put_require(to, BPF_W, PAYLOAD_AT + 4, SIGNATURE_2);
	put_require(to, BPF_W, PAYLOAD_AT + 8, SIGNATURE_3);
	put_require(to, BPF_B, PAYLOAD_AT + 12, VERSION_2_PROXY);
	put(to, BPF_LD | BPF_ABS | BPF_B, PAYLOAD_AT + 13);
	put_if(to, BPF_JEQ, UDP4, family == AF_INET ? 11 : 2, 0);
	put_if(to, BPF_JEQ, UDP6, 1, 0);
	put_drop(to);
	if (family != AF_INET)
		return;
	put_require(to, BPF_W, PAYLOAD_AT + 16, 0);
	put_require(to, BPF_W, PAYLOAD_AT + 20, 0);
	put_require(to, BPF_W, PAYLOAD_AT + 24, MAPPED);
}

static void put_keep_source(struct program *to, uint32_t at, unsigned words)
{
	for (unsigned i = 0; i < words; i++) {
		put(to, BPF_LD | BPF_ABS | BPF_W, (uint32_t)SKF_NET_OFF + at + 4 * i);
		put(to, BPF_ST, i);
	}
}

/* Accepts what has this node's address. Others go on behind it. */
static void put_node(struct program *to, const struct settings_node *node, unsigned words)
{
	const uint8_t *ip = node->first.ip + sizeof node->first.ip - 4 * words;
	const size_t end = to->len + 2 * words + 1;

	for (unsigned i = 0; i < words; i++) {
		put(to, BPF_LD | BPF_MEM, i);
		put_if(to, BPF_JEQ, (uint32_t)bytes_u16(ip + 4 * i) << 16 | bytes_u16(ip + 4 * i + 2), 0,
		       (unsigned)(end - to->len - 1));
	}
	put(to, BPF_RET | BPF_K, UINT32_MAX);
}

static void put_nodes(struct program *to, const struct settings *settings, bool v4)
{
	put_keep_source(to, v4 ? IP4_SOURCE_AT : IP6_SOURCE_AT, v4 ? 1 : 4);
	for (size_t i = 0; i < settings->node_count; i++)
		if (addr_is_v4(&settings->nodes[i].first) == v4)
			put_node(to, &settings->nodes[i], v4 ? 1 : 4);
	put_drop(to);
}

size_t filter_build(struct sock_filter out[static FILTER_MAX], const struct settings *settings, sa_family_t family)
{
	struct program to = { out, 0 };

	put_header(&to, family);
	/* The version of the datagram's own IP header. An AF_INET6 socket may get both. */
	put(&to, BPF_LD | BPF_ABS | BPF_B, (uint32_t)SKF_NET_OFF);
	put(&to, BPF_ALU | BPF_RSH | BPF_K, 4);
	put_if(&to, BPF_JEQ, 4, 1, 0);
	const size_t jump = to.len;
	put(&to, BPF_JMP | BPF_JA, 0);
	put_nodes(&to, settings, true);
	out[jump].k = (uint32_t)(to.len - jump - 1);
	put_nodes(&to, settings, false);
	return to.len;
}

int filter_attach(int fd, const struct settings *settings, sa_family_t family)
{
	struct sock_filter code[FILTER_MAX];
	const struct sock_fprog program = { (unsigned short)filter_build(code, settings, family), code };

	return real_calls()->setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0 ? 0 : -errno;
}
