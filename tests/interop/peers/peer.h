/* What the servers in C share. */
#ifndef CIDLB_TESTS_INTEROP_PEERS_PEER_H
#define CIDLB_TESTS_INTEROP_PEERS_PEER_H

#include <netinet/in.h>

#define PSK_IDENTITY "demo"

enum { PSK_OCTETS = 16 }; /* 00 01 02 … 0f */

/* Listens on a port of 127.0.0.1 and returns in a process of its own for each address that speaks: a socket that hears
 * that address alone, from its first datagram on. Exits with status 1 if the port cannot be had. The processes end when
 * the first one ends. */
int peer_accept(const char *port, struct sockaddr_in *peer);

#endif
