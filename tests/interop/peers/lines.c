#include "tests/interop/peers/lines.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { RECORD = 13, CID_AT = 11, HANDSHAKE = 22, TLS12_CID = 25, OFFSET_AT = 19, RANDOM_AT = 27 };

const char lines_identity[] = "demo";
const unsigned char lines_psk[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

uint64_t lines_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void lines_say(const char *verb, unsigned session, const char *words)
{
	printf("%s %u %s\n", verb, session, words);
	fflush(stdout);
}

void lines_say_addr(const char *verb, unsigned session, const struct sockaddr_in *addr)
{
	char text[INET_ADDRSTRLEN + 8], ip[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &addr->sin_addr, ip, sizeof ip);
	snprintf(text, sizeof text, "%s:%u", ip, ntohs(addr->sin_port));
	lines_say(verb, session, text);
}

void lines_say_data(unsigned session, const unsigned char *data, size_t len)
{
	printf("data %u ", session);
	for (size_t i = 0; i < len; i++)
		printf("%02x", data[i]);
	putchar('\n');
	fflush(stdout);
}

void lines_read(void (*handle)(char *line))
{
	static char text[4 * LINES_DATAGRAM_OCTETS];
	static size_t len;
	ssize_t got = read(STDIN_FILENO, text + len, sizeof text - 1 - len);
	char *line = text, *end;

	if (got <= 0)
		exit(0);
	len += (size_t)got;
	text[len] = '\0';
	while ((end = memchr(line, '\n', len - (size_t)(line - text)))) {
		*end = '\0';
		handle(line);
		line = end + 1;
	}
	len -= (size_t)(line - text);
	memmove(text, line, len);
}

size_t lines_octets(const char *text, unsigned char *out, size_t max)
{
	size_t len = 0;
	unsigned octet;

	while (len < max && sscanf(text + 2 * len, "%2x", &octet) == 1)
		out[len++] = (unsigned char)octet;
	return len;
}

struct sockaddr_in lines_addr(const char *text)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	char ip[INET_ADDRSTRLEN] = "";
	unsigned port = 0;

	if (sscanf(text, "%15[0-9.]:%u", ip, &port) == 2)
		inet_pton(AF_INET, ip, &addr.sin_addr);
	addr.sin_port = htons((in_port_t)port);
	return addr;
}

int lines_same_addr(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
	return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

int lines_socket(const char *address, unsigned port)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons((in_port_t)port) };
	/* The kernel gives two sockets one port if both have this set and leave the choice to it. */
	int fd = socket(AF_INET, SOCK_DGRAM, 0), octets = 1 << 20, shares = port != 0;

	inet_pton(AF_INET, address, &own.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &shares, sizeof shares);
	if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) != 0) {
		perror(address);
		exit(1);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
	return fd;
}

const unsigned char *lines_find_cid(const unsigned char *data, size_t len, uint64_t *number)
{
	for (size_t at = 0; at + RECORD <= len;) {
		const size_t cid = data[at] == TLS12_CID ? LINES_CID_OCTETS : 0;

		if (at + RECORD + cid > len)
			return NULL;
		if (cid) {
			*number = 0;
			for (size_t i = 3; i < CID_AT; i++)
				*number = *number << 8 | data[at + i];
			return data + at + CID_AT;
		}
		at += RECORD + ((size_t)data[at + CID_AT] << 8 | data[at + CID_AT + 1]);
	}
	return NULL;
}

const unsigned char *lines_hello_random(const unsigned char *data, size_t len)
{
	static const unsigned char epoch0[2], first_fragment[3];
	const int is_hello = len >= RANDOM_AT + 32 && data[0] == HANDSHAKE && data[RECORD] == 1 &&
			     memcmp(data + 3, epoch0, sizeof epoch0) == 0 &&
			     memcmp(data + OFFSET_AT, first_fragment, sizeof first_fragment) == 0;

	return is_hello ? data + RANDOM_AT : NULL;
}

void lines_mint(unsigned id, unsigned char cid[LINES_CID_OCTETS])
{
	if (getrandom(cid, LINES_CID_OCTETS, 0) != LINES_CID_OCTETS)
		exit(1);
	cid[0] = (unsigned char)id;
}
