/* How tests/e2e/lab drives a DTLS server or device of others: it ends DTLS, and the test speaks for it.
 *
 * Lines on stdout:  ready  open S ADDRESS:PORT  moved S ADDRESS:PORT  data S HEX  closed S WHY
 * Lines on stdin:   send S HEX, and for devices those that device.c names.
 * S numbers the sessions from 1. The process ends with its stdin.
 */
#ifndef CIDLB_TESTS_INTEROP_PEERS_LINES_H
#define CIDLB_TESTS_INTEROP_PEERS_LINES_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum { LINES_CID_OCTETS = 6, LINES_DATAGRAM_OCTETS = 65536, LINES_SESSIONS = 1024 };

extern const char lines_identity[];
extern const unsigned char lines_psk[16];

/* Milliseconds of a monotonic clock. */
uint64_t lines_now_ms(void);

void lines_say(const char *verb, unsigned session, const char *words);
void lines_say_addr(const char *verb, unsigned session, const struct sockaddr_in *addr);
void lines_say_data(unsigned session, const unsigned char *data, size_t len);

/* Reads what stdin has and calls `handle` for each line, without its end. Exits at its end. */
void lines_read(void (*handle)(char *line));

/* Converts the hex at `text`, and returns how many octets it wrote. */
size_t lines_octets(const char *text, unsigned char *out, size_t max);

/* A socket on ADDRESS:PORT. Exits if it cannot be had. */
int lines_socket(const char *address, unsigned port);
struct sockaddr_in lines_addr(const char *text);
int lines_same_addr(const struct sockaddr_in *a, const struct sockaddr_in *b);

/* A server's view of a datagram, as RFC 9146 asks for it: the CID of the first record of type 25, NULL if there is
 * none, and where that record's 48-bit number is. */
const unsigned char *lines_find_cid(const unsigned char *data, size_t len, uint64_t *number);

/* Whether it begins with a ClientHello in epoch 0, or the first fragment of one, and where its 32 random octets are. */
const unsigned char *lines_hello_random(const unsigned char *data, size_t len);

void lines_mint(unsigned id, unsigned char cid[LINES_CID_OCTETS]);

#endif
