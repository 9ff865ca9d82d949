/* What the shim makes of what comes from outside. The first octet of the input says what is tried:
 *
 *   below f0   a received datagram. The octet is the kind of header. Then come: octets of its further TLV, number of
 *              buffers, one octet each with their sizes, the datagram, or what follows the header that is made for it
 *   f0         the ways back of one device: an octet is when it sends next, and to which service address
 *   f1         control data of a message that the server sends
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "shim/filter.h"
#include "shim/rewrite.h"
#include "shim/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { WAYS = 0xf0, CONTROL = 0xf1 };
enum { RAW, MADE_V4, MADE_V6, KINDS, BUFFERS = 8, DATAGRAM_OCTETS = 4096 };

struct input {
	uint8_t kind, padding, count;
	uint8_t sizes[BUFFERS];
	uint8_t datagram[DATAGRAM_OCTETS];
	size_t len;
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Makes a good header, with TLV 04 if padding is not 0. */
static void make_header(struct input *in, const struct proxy2_keys *keys)
{
	struct proxy2_ends ends = { { { [10] = 0xff, 0xff, 192, 0, 2, 1 }, 56324 },
				    { { [10] = 0xff, 0xff, 198, 51, 100, 7 }, 5684 },
				    0,
				    PROXY2_V1 };

	if (in->kind == MADE_V6)
		ends.source.ip[0] = ends.destination.ip[0] = 0x20;
	in->len = proxy2_write(in->datagram, keys, PROXY2_UP, &ends);
	if (!in->padding)
		return;
	const size_t length = in->len - 16 + 3 + in->padding;
	in->datagram[14] = (uint8_t)(length >> 8);
	in->datagram[15] = (uint8_t)length;
	in->datagram[in->len] = 0x04;
	in->datagram[in->len + 1] = 0;
	in->datagram[in->len + 2] = in->padding;
	memset(in->datagram + in->len + 3, 0, in->padding);
	in->len += 3U + in->padding;
}

static bool read_input(struct input *in, const struct proxy2_keys *keys, const uint8_t *data, size_t len)
{
	if (len < 3 || len - 3 < data[2] % (BUFFERS + 1U))
		return false;
	in->kind = data[0] % KINDS;
	in->padding = data[1];
	in->count = data[2] % (BUFFERS + 1);
	memcpy(in->sizes, data + 3, in->count);
	data += 3 + in->count;
	len -= 3U + in->count;
	in->len = 0;
	if (in->kind != RAW)
		make_header(in, keys);
	const size_t rest = smaller(len, sizeof in->datagram - in->len);
	if (rest > 0)
		memcpy(in->datagram + in->len, data, rest);
	in->len += rest;
	return true;
}

/* Each piece has memory of its own, so that AddressSanitizer sees an access beyond it. */
static size_t scatter(struct iovec *pieces, const struct input *in)
{
	const size_t count = in->count + 2U;
	size_t done = 0;

	for (size_t i = 0; i < count; i++) {
		const size_t size = i == 0           ? REWRITE_HEAD_OCTETS
				    : i == count - 1 ? REWRITE_TAIL_OCTETS
						     : in->sizes[i - 1];
		const size_t held = smaller(size, in->len - done);
		pieces[i] = (struct iovec){ calloc(1, size), size };
		if (held > 0)
			memcpy(pieces[i].iov_base, in->datagram + done, held);
		done += held;
	}
	return count;
}

static void check_payload(const struct iovec *buffers, size_t count, const uint8_t *payload, size_t len)
{
	for (size_t i = 0; i < count; i++) {
		const size_t held = smaller(buffers[i].iov_len, len);
		require(held == 0 || memcmp(buffers[i].iov_base, payload, held) == 0);
		payload += held;
		len -= held;
	}
}

enum { UDP_AT = 40, HEADER_OCTETS = 8 };

/* A datagram as a filter sees it. */
struct packet {
	uint8_t octets[UDP_AT + HEADER_OCTETS + DATAGRAM_OCTETS];
	size_t len; /* from the UDP header on */
};

/* Reads as the kernel does. False: beyond the packet. */
static bool load(uint32_t *out, const struct packet *packet, uint32_t at, size_t octets)
{
	const size_t from = at >= (uint32_t)SKF_NET_OFF ? at - (uint32_t)SKF_NET_OFF : (size_t)UDP_AT + at;

	if (from + octets > UDP_AT + packet->len)
		return false;
	*out = 0;
	for (size_t i = 0; i < octets; i++)
		*out = *out << 8 | packet->octets[from + i];
	return true;
}

/* Runs the instructions that filter_build() makes use of. */
static bool passes(const struct sock_filter *code, size_t count, const struct packet *packet)
{
	uint32_t a = 0, cells[BPF_MEMWORDS] = { 0 };

	for (size_t at = 0; at < count; at++) {
		const struct sock_filter *op = &code[at];
		const bool jumps[] = { a == op->k, a > op->k, a >= op->k };

		switch (op->code) {
		case BPF_LD | BPF_ABS | BPF_W:
		case BPF_LD | BPF_ABS | BPF_H:
		case BPF_LD | BPF_ABS | BPF_B:
			if (!load(&a, packet, op->k,
				  BPF_SIZE(op->code) == BPF_W   ? 4
				  : BPF_SIZE(op->code) == BPF_H ? 2
								: 1))
				return false;
			break;
		case BPF_LD | BPF_MEM:
			a = cells[op->k];
			break;
		case BPF_ST:
			cells[op->k] = a;
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			a >>= op->k;
			break;
		case BPF_JMP | BPF_JA:
			at += op->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			at += jumps[0] ? op->jt : op->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			at += jumps[1] ? op->jt : op->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			at += jumps[2] ? op->jt : op->jf;
			break;
		case BPF_RET | BPF_K:
			return op->k != 0;
		default:
			abort();
		}
	}
	abort();
}

static void make_packet(struct packet *packet, const struct input *in, const struct addr *from)
{
	const bool v4 = addr_is_v4(from);

	memset(packet->octets, 0, UDP_AT + HEADER_OCTETS);
	packet->octets[0] = v4 ? 0x45 : 0x60;
	memcpy(packet->octets + (v4 ? 12 : 8), from->ip + (v4 ? 12 : 0), v4 ? 4 : 16);
	packet->octets[UDP_AT] = (uint8_t)(from->port >> 8);
	packet->octets[UDP_AT + 1] = (uint8_t)from->port;
	memcpy(packet->octets + UDP_AT + HEADER_OCTETS, in->datagram, in->len);
	packet->len = HEADER_OCTETS + in->len;
}

/* The filter lets through what is a node's and good, and nothing of another address, or without any header. */
static void check_filter(const struct input *in, bool good, const struct addr *device)
{
	static const char *const nodes[] = { "10.0.0.2:7200", "[2001:db8::2]:7200" };
	struct sock_filter code[FILTER_MAX];
	struct settings settings = { .node_count = 2 };
	static struct packet packet;

	for (size_t i = 0; i < 2; i++) {
		require(addr_parse(&settings.nodes[i].first, nodes[i]) == 0);
		settings.nodes[i].last_port = (uint16_t)(settings.nodes[i].first.port + 1);
	}
	for (unsigned i = 0; i < 16; i++) {
		struct addr from = settings.nodes[i % 2].first;
		const sa_family_t family = i / 2 % 2 ? AF_INET : AF_INET6;
		from.port = (uint16_t)(from.port - 1 + i / 4);
		if (in->padding == i)
			from.ip[in->count]++;
		make_packet(&packet, in, &from);
		const size_t count = filter_build(code, &settings, family);
		require(count <= FILTER_MAX);
		const bool passed = passes(code, count, &packet), is_node = settings_node(&settings, &from) >= 0;
		if (good && is_node && (family == AF_INET6 || addr_is_v4(device)))
			require(passed);
		if (passed)
			require(memcmp(from.ip, settings.nodes[i % 2].first.ip, sizeof from.ip) == 0 && in->len >= 14 &&
				memcmp(in->datagram, "\r\n\r\n\0\r\nQUIT\n\x21", 13) == 0);
	}
}

static void try_datagram(const uint8_t *data, size_t len)
{
	static struct input in;
	struct iovec pieces[BUFFERS + 2];
	struct proxy2_ends ends, expected_ends;
	struct proxy2_keys keys;
	size_t octets, expected_octets;

	require(proxy2_parse_keys(&keys,
				  "1:000102030405060708090a0b0c0d0e0f\n200:101112131415161718191a1b1c1d1e1f\n") == 0);
	if (!read_input(&in, &keys, data, len))
		return;
	const size_t count = scatter(pieces, &in);
	const enum proxy2_result result =
		rewrite_unwrap(&ends, &octets, &keys, &(struct rewrite_datagram){ pieces, count, in.len });
	require(result == proxy2_read(&expected_ends, &expected_octets, &keys, PROXY2_UP, in.datagram,
				      smaller(in.len, REWRITE_HEADER_OCTETS)));
	if (result == PROXY2_GOOD) {
		require(octets == expected_octets && memcmp(&ends, &expected_ends, sizeof ends) == 0);
		check_payload(pieces + 1, count - 2, in.datagram + octets, in.len - octets);
	}
	check_filter(&in, result == PROXY2_GOOD, &ends.source);
	for (size_t i = 0; i < count; i++)
		free(pieces[i].iov_base);
}

enum { SERVICES = 8, STEP_S = 300 };

/* What the promises of table.h are held against. */
struct promises {
	uint32_t last_s[SERVICES];  /* when each was heard */
	uint32_t since_s[SERVICES]; /* since when each is a way */
	uint8_t order[TABLE_PAIRS];
	size_t count;
};

static bool is_among(const struct promises *promises, size_t count, uint8_t service)
{
	return count > 0 && memchr(promises->order, service, count);
}

/* `before`, and then `heard` at that time, has become `after`. */
static void check_promises(const struct promises *before, const struct promises *after, uint8_t heard, uint32_t now_s)
{
	const bool was_there = is_among(before, before->count, heard);

	require(after->count >= 1 && after->count <= TABLE_PAIRS && is_among(after, after->count, heard));
	for (size_t i = 0; i < before->count; i++) {
		const uint8_t service = before->order[i];
		if (is_among(after, after->count, service))
			continue;
		/* It has gone. Either it was the youngest and there was no room, or it was silent. */
		require((i == TABLE_PAIRS - 1 && !was_there) ||
			(was_there && now_s - before->since_s[heard] >= TABLE_SILENCE_S &&
			 now_s - before->last_s[service] >= TABLE_SILENCE_S));
	}
	/* Those that stay keep their order, and a new one is the last. */
	for (size_t i = 0, at = 0; i < after->count; i++) {
		while (at < before->count && before->order[at] != after->order[i])
			at++;
		require(at < before->count || (after->order[i] == heard && i == after->count - 1));
	}
}

static void try_ways(const uint8_t *data, size_t len)
{
	static struct table table;
	static uint32_t run;
	struct addr device = { .ip = { [10] = 0xff, 0xff }, .port = 1 };
	struct promises now = { 0 };
	uint32_t now_s = 100000;

	/* A device of its own for each input is cheaper than an empty table. */
	run++;
	memcpy(device.ip + 12, &run, sizeof run);
	for (; len > 0; data++, len--) {
		const struct promises before = now;
		const uint8_t service = *data % SERVICES;
		struct table_way way = { .service = { .ip = { [15] = service }, .port = 5684 } };
		struct table_way ways[TABLE_PAIRS];

		now_s += *data / SERVICES * STEP_S;
		table_learn(&table, 0, &device, &way, now_s);
		now.count = table_find(&table, 0, &device, ways);
		require(now.count <= TABLE_PAIRS);
		for (size_t i = 0; i < now.count; i++)
			now.order[i] = ways[i].service.ip[15];
		if (!is_among(&before, before.count, service))
			now.since_s[service] = now_s;
		check_promises(&before, &now, service, now_s);
		now.last_s[service] = now_s;
	}
}

/* Memory of its own, so that AddressSanitizer sees an access beyond it. */
static void try_control(const uint8_t *data, size_t len)
{
	_Alignas(struct cmsghdr) char out[REWRITE_CONTROL_OCTETS];
	void *control = len > 0 ? malloc(len) : NULL;
	struct msghdr msg = { .msg_control = control, .msg_controllen = len };
	struct addr source;
	size_t octets;

	if (control)
		memcpy(control, data, len);
	if (rewrite_sent_control(out, &octets, &msg) == 0) {
		require(octets <= sizeof out);
		rewrite_sent_source(&source, &msg);
		/* Nothing is left that says from where. */
		struct msghdr made = { .msg_control = out, .msg_controllen = octets };
		require(!rewrite_sent_source(&source, &made));
	}
	free(control);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len > 0 && data[0] == WAYS)
		try_ways(data + 1, len - 1);
	else if (len > 0 && data[0] == CONTROL)
		try_control(data + 1, len - 1);
	else
		try_datagram(data, len);
	return 0;
}
