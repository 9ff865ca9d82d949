/* An echo server that knows nothing of tunnels: echo libc|syscall PORT. Two threads with one socket, whole batches in
 * and out, by the C library's functions or by syscall() as libuv does. Each answer says from where its request came. */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BATCH = 8, OCTETS = 2048, HEAD_OCTETS = 64 };

static int sock;
static bool by_syscall;

struct batch {
	struct sockaddr_in source[BATCH];
	char data[BATCH][OCTETS], heads[BATCH][HEAD_OCTETS];
	struct iovec pieces[BATCH][2];
	struct mmsghdr in[BATCH], out[BATCH];
};

/* An int in a register, above which anything may stand. */
static long wide(int fd)
{
	return 0x5aL << 32 | fd;
}

static int receive(struct batch *batch)
{
	for (int i = 0; i < BATCH; i++) {
		batch->pieces[i][1] = (struct iovec){ batch->data[i], OCTETS };
		batch->in[i].msg_hdr = (struct msghdr){ .msg_name = &batch->source[i],
							.msg_namelen = sizeof batch->source[i],
							.msg_iov = &batch->pieces[i][1],
							.msg_iovlen = 1 };
	}
	return by_syscall ? (int)syscall(SYS_recvmmsg, wide(sock), batch->in, BATCH, MSG_WAITFORONE, NULL)
			  : recvmmsg(sock, batch->in, BATCH, MSG_WAITFORONE, NULL);
}

static int answer(struct batch *batch, int count)
{
	for (int i = 0; i < count; i++) {
		char ip[INET_ADDRSTRLEN];
		const int octets = snprintf(batch->heads[i], HEAD_OCTETS, "%s %u ",
					    inet_ntop(AF_INET, &batch->source[i].sin_addr, ip, sizeof ip),
					    ntohs(batch->source[i].sin_port));
		batch->pieces[i][0] = (struct iovec){ batch->heads[i], (size_t)octets };
		batch->pieces[i][1].iov_len = batch->in[i].msg_len;
		batch->out[i].msg_hdr = batch->in[i].msg_hdr;
		batch->out[i].msg_hdr.msg_iov = batch->pieces[i];
		batch->out[i].msg_hdr.msg_iovlen = 2;
	}
	return by_syscall ? (int)syscall(SYS_sendmmsg, wide(sock), batch->out, (unsigned)count, 0)
			  : sendmmsg(sock, batch->out, (unsigned)count, 0);
}

static void *serve(void *unused)
{
	struct batch *batch = calloc(1, sizeof *batch);

	for (int count; batch && (count = receive(batch)) > 0;)
		if (answer(batch, count) != count)
			break;
	perror("echo");
	exit(1);
	return unused;
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	pthread_t other;

	if (argc != 3)
		return 2;
	by_syscall = strcmp(argv[1], "syscall") == 0;
	at.sin_port = htons((uint16_t)atoi(argv[2]));
	sock = socket(AF_INET, SOCK_DGRAM, 0);
	if (bind(sock, (struct sockaddr *)&at, sizeof at) != 0 || pthread_create(&other, NULL, serve, NULL) != 0) {
		perror("bind");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	serve(NULL);
}
