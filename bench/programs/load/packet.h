/* Batches of datagrams over IPv4 sockets, with the local address of each (IP_PKTINFO). */
#ifndef CIDLB_BENCH_LOAD_PACKET_H
#define CIDLB_BENCH_LOAD_PACKET_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/addr.h"

enum {
	PACKET_BATCH = 32, /* as cidlb's IO_BATCH */
	PACKET_OCTETS = 2048,
	PACKET_CONTROL = 128,
};

struct packet_batch {
	struct mmsghdr headers[PACKET_BATCH];
	struct iovec vectors[PACKET_BATCH][2];
	struct sockaddr_in names[PACKET_BATCH];
	_Alignas(struct cmsghdr) uint8_t control[PACKET_BATCH][PACKET_CONTROL];
	uint8_t data[PACKET_BATCH][PACKET_OCTETS];
};

struct sockaddr_in packet_name(const struct addr *addr);

/* Makes a non-blocking socket bound to an IPv4 address, with the options that a listener of cidlb has. Returns the
 * descriptor or -errno. */
int packet_bind(const struct sockaddr_in *name);

/* Receives at most PACKET_BATCH datagrams without waiting. Returns how many. Each is in data[i], has headers[i].msg_len
 * octets and comes from names[i]. */
unsigned packet_receive(struct packet_batch *batch, int fd);

/* From now on, or from a little later, the kernel notes when it has a datagram for the socket. 0 or -errno. */
int packet_note_times(int fd);

/* How long ago the kernel had datagram `at`, in ns. 0: it was not to note that. */
uint64_t packet_age_ns(struct packet_batch *batch, unsigned at);

/* Returns the address that datagram `at` was sent to, in host order, or 0 if that is unknown. */
uint32_t packet_local(struct packet_batch *batch, unsigned at);

/* Writes the control message with which a datagram leaves from `local` (host order; 0: the socket's own address). */
void packet_set_local(struct msghdr *header, void *control, uint32_t local);

/* Sends all without waiting. Returns how many the kernel refused. */
unsigned packet_send(struct mmsghdr *headers, unsigned count, int fd);

#endif
