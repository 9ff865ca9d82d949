#include "io/cid_group.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF 68
#endif

enum {
	CID_AT = 11,        /* in a record of DTLS 1.2 (RFC 9146 section 4) */
	UNIFIED_CID_AT = 1, /* in one of DTLS 1.3 (RFC 9147 section 4) */
	TYPE_CID = 25,
	UNIFIED_WITH_CID = 0x30, /* 001C....; of the first octet the upper half */
	NUMBER_AT = 7,           /* of the record number its lower 32 bits */
	WORD = 4,                /* octets that are loaded at most */
	NOBODY = -1,
};

struct program {
	struct sock_filter *code;
	uint16_t len;
};

static void emit(struct program *program, uint16_t code, uint32_t k)
{
	program->code[program->len++] = (struct sock_filter)BPF_STMT(code, k);
}

/* Goes on if the comparison holds. Else it returns NOBODY, which is the next instruction. */
static void emit_test(struct program *program, uint16_t comparison, uint32_t k)
{
	program->code[program->len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_K | comparison, k, 1, 0);
	emit(program, BPF_RET | BPF_K, (uint32_t)NOBODY);
}

/* A load beyond the end would return 0, which is a socket. */
static void emit_test_length(struct program *program, uint32_t octets)
{
	emit(program, BPF_LD | BPF_W | BPF_LEN, 0);
	emit_test(program, BPF_JGE, octets);
}

/* Where the CID is goes into X. */
static void emit_find(struct program *program, uint32_t octets)
{
	enum { OF_1_2 = 8, OF_1_3 = 4 }; /* instructions that find it */

	emit_test_length(program, UNIFIED_CID_AT + octets);
	emit(program, BPF_LD | BPF_B | BPF_ABS, 0);
	program->code[program->len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_K | BPF_JEQ, TYPE_CID, 0, OF_1_2);
	emit_test_length(program, CID_AT + octets);
	emit(program, BPF_LD | BPF_W | BPF_ABS, NUMBER_AT);
	emit_test(program, BPF_JGE, CID_GROUP_EARLY);
	emit(program, BPF_LDX | BPF_W | BPF_IMM, CID_AT);
	emit(program, BPF_JMP | BPF_JA, OF_1_3);
	emit(program, BPF_ALU | BPF_AND | BPF_K, 0xf0);
	emit_test(program, BPF_JEQ, UNIFIED_WITH_CID);
	emit(program, BPF_LDX | BPF_W | BPF_IMM, UNIFIED_CID_AT);
}

static void emit_multiply(struct program *program, uint32_t by)
{
	emit(program, BPF_ALU | BPF_MUL | BPF_K, by);
}

/* Hashes the first octets at X, and the last ones, into A. Its upper bits depend on all. */
static void emit_hash(struct program *program, uint32_t octets)
{
	const uint32_t loaded = octets >= WORD ? WORD : octets >= 2 ? 2 : 1;
	const uint16_t load = BPF_LD | BPF_IND | (loaded == WORD ? BPF_W : loaded == 2 ? BPF_H : BPF_B);

	emit(program, load, octets - loaded);
	emit_multiply(program, 0x85ebca6b);
	emit(program, BPF_ST, 0);
	emit(program, load, 0);
	emit_multiply(program, 0x9e3779b1);
	emit(program, BPF_LDX | BPF_W | BPF_MEM, 0);
	emit(program, BPF_ALU | BPF_ADD | BPF_X, 0);
}

/* From a hash to one of so many, without a division. */
static void emit_scale(struct program *program, uint32_t count)
{
	emit(program, BPF_ALU | BPF_RSH | BPF_K, 16);
	emit_multiply(program, count);
	emit(program, BPF_ALU | BPF_RSH | BPF_K, 16);
}

size_t cid_group_program(struct sock_filter code[static CID_GROUP_CODE], const struct cid_group *group)
{
	struct program program = { .code = code };

	emit_find(&program, group->octets);
	emit_hash(&program, group->octets);
	emit_scale(&program, group->sockets);
	emit(&program, BPF_RET | BPF_A, 0);
	return program.len;
}

int cid_group_attach(int fd, const struct cid_group *group)
{
	struct sock_filter code[CID_GROUP_CODE];
	struct sock_fprog program;

	memset(&program, 0, sizeof program); /* its padding, too, goes to the kernel */
	program.len = (unsigned short)cid_group_program(code, group);
	program.filter = code;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) < 0 ? -errno : 0;
}

int cid_group_detach(int fd)
{
	const int unused = 0;

	return setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof unused) < 0 ? -errno : 0;
}
