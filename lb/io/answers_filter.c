#include "io/answers_filter.h"

#include <linux/if_packet.h>
#include <netinet/in.h>

#include "common/bytes.h"

/* In an IPv4 packet (RFC 791), and behind its header (RFC 768). */
enum {
	FRAGMENT_AT = 6,
	PROTOCOL_AT = 9,
	FROM_AT = 12,
	TO_AT = 16,
	FROM_PORT_AT = 0,
	TO_PORT_AT = 2,
	NOT_WHOLE = 0xbfff, /* all but "don't fragment" */
	V4_AT = 12,         /* where a mapped IPv4 address starts in addr.ip */
};

enum {
	RUN = 128, /* ports whose jumps end at one place; a jump reaches over 255 */
	/* Instructions besides one for each port. */
	OF_PAIR = 9,
	OF_RUN = 2,
	OF_END = 1,
};

struct program {
	struct sock_filter *code;
	size_t len;
};

static void emit(struct program *program, uint16_t code, uint32_t k, size_t if_true, size_t if_false)
{
	program->code[program->len++] = (struct sock_filter){ code, (uint8_t)if_true, (uint8_t)if_false, k };
}

static void load(struct program *program, uint16_t size_and_mode, uint32_t at)
{
	emit(program, BPF_LD | size_and_mode, at, 0, 0);
}

static void jump_if_equal(struct program *program, uint32_t value, size_t if_true, size_t if_false)
{
	emit(program, BPF_JMP | BPF_JEQ | BPF_K, value, if_true, if_false);
}

static void jump(struct program *program, size_t over)
{
	emit(program, BPF_JMP | BPF_JA, (uint32_t)over, 0, 0);
}

static void end_with(struct program *program, uint32_t octets)
{
	emit(program, BPF_RET | BPF_K, octets, 0, 0);
}

/* Goes on, with the length of the IP header in the index register, if it is a whole datagram for this host. */
static void emit_head(struct program *program)
{
	load(program, BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE));
	jump_if_equal(program, PACKET_HOST, 0, 6);
	load(program, BPF_B | BPF_ABS, PROTOCOL_AT);
	jump_if_equal(program, IPPROTO_UDP, 0, 4);
	load(program, BPF_H | BPF_ABS, FRAGMENT_AT);
	emit(program, BPF_JMP | BPF_JSET | BPF_K, NOT_WHOLE, 2, 0);
	emit(program, BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0);
	jump(program, 1);
	end_with(program, 0);
}

static uint32_t ip_of(const struct addr *addr)
{
	return (uint32_t)bytes_u16(addr->ip + V4_AT) << 16 | bytes_u16(addr->ip + V4_AT + 2);
}

/* The same sender and the same receiver, whatever the receiver's port. */
static bool same_pair(const struct answers_port *a, const struct answers_port *b)
{
	return addr_equal(&a->from, &b->from) && memcmp(a->to.ip, b->to.ip, sizeof a->to.ip) == 0;
}

static void emit_run(struct program *program, const uint16_t *ports, size_t count)
{
	for (size_t i = 0; i < count; i++)
		jump_if_equal(program, ports[i], count - i, 0);
	jump(program, 1);
	end_with(program, UINT32_MAX);
}

/* What is of another pair goes on behind it. */
static void emit_pair(struct program *program, const struct answers_port *pair, const uint16_t *ports, size_t count)
{
	struct sock_filter *over;

	load(program, BPF_W | BPF_ABS, FROM_AT);
	jump_if_equal(program, ip_of(&pair->from), 0, 4);
	load(program, BPF_W | BPF_ABS, TO_AT);
	jump_if_equal(program, ip_of(&pair->to), 0, 2);
	load(program, BPF_H | BPF_IND, FROM_PORT_AT);
	jump_if_equal(program, pair->from.port, 1, 0);
	over = &program->code[program->len];
	jump(program, 0);
	load(program, BPF_H | BPF_IND, TO_PORT_AT);
	for (size_t i = 0; i < count; i += RUN)
		emit_run(program, ports + i, count - i < RUN ? count - i : RUN);
	end_with(program, 0);
	over->k = (uint32_t)(&program->code[program->len] - over) - 1;
}

/* Puts the ports of the pair that ports[at] is of into `out`, and marks them. Returns how many there are. */
static size_t collect(uint16_t out[static ANSWERS_PORTS], bool done[static ANSWERS_PORTS],
		      const struct answers_port *ports, size_t at, size_t count)
{
	size_t n = 0;

	for (size_t i = at; i < count; i++) {
		if (done[i] || !same_pair(&ports[i], &ports[at]))
			continue;
		done[i] = true;
		out[n++] = ports[i].to.port;
	}
	return n;
}

size_t answers_filter_make(struct sock_filter out[static ANSWERS_FILTER_MAX], const struct answers_port *ports,
			   size_t count)
{
	struct program program = { .code = out };
	bool done[ANSWERS_PORTS] = { false };
	uint16_t of_pair[ANSWERS_PORTS];

	emit_head(&program);
	for (size_t i = 0; i < count; i++) {
		if (done[i])
			continue;
		const size_t n = collect(of_pair, done, ports, i, count);
		const size_t runs = (n + RUN - 1) / RUN;
		if (program.len + OF_PAIR + n + runs * OF_RUN + OF_END > ANSWERS_FILTER_MAX)
			return 0;
		emit_pair(&program, &ports[i], of_pair, n);
	}
	end_with(&program, 0);
	return program.len;
}
