/* A load and its servers: many devices that send a datagram each in turn, at an absolute rate, and servers that echo.
 * One thread.
 *
 * A device is an address of 127.16.0.0/12 and a port, which the first million share (addr_block.h). What a device gets
 * back must bear its number, and what a server gets is counted by whether it names that server. */
#ifndef CIDLB_BENCH_LOAD_LOAD_H
#define CIDLB_BENCH_LOAD_LOAD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/programs/load/addr_block.h"
#include "bench/programs/load/histogram.h"
#include "common/addr.h"
#include "common/proxy2.h"

enum { LOAD_SIZES = 64 };

struct load_settings {
	struct addr target, servers; /* IPv4; the first of the servers. A target of port 0: devices send to the server
					that a CID names */
	uint32_t server_count;       /* CIDs name them 1, 2, … */
	bool by_address;  /* servers are on consecutive addresses of one port and share a socket, 1..UINT16_MAX of them;
			     else on consecutive ports, 1..LOAD_SERVERS_MAX */
	uint32_t sources; /* 1..BLOCK_ADDRESSES * BLOCK_PORTS */
	uint32_t first, stride;      /* the source that begins, and how much further the next one is, modulo sources */
	uint16_t octets[LOAD_SIZES]; /* of the datagrams of sources 0, 1, … and so on from the first again */
	uint32_t octets_count;
	uint32_t batch;   /* datagrams that fall due together; 1: sockets are polled without a pause */
	uint64_t rate;    /* of the devices together, per second */
	uint32_t devices; /* the first device's address, host order; block_is_first() */
	uint16_t port;    /* of the devices, the first */
	const char *devices_net, *servers_net; /* network namespaces, as files; NULL: the present one */
	bool kernel_times;                     /* in the histograms: see struct load_counters */
	bool tunnel;                           /* servers get and send the header of mode tunnel */
	struct proxy2_keys keys;
};

/* In datagrams. Written by the load alone; others may read them at any time, out of the file that they are mapped
 * from. */
struct load_counters {
	uint64_t sent;         /* by devices */
	uint64_t arrived;      /* at servers, whole */
	uint64_t elsewhere;    /* of these, at another server than the CID names */
	uint64_t answered;     /* by servers */
	uint64_t returned;     /* to the device that they belong to */
	uint64_t misdelivered; /* to another device, or changed on the way */
	uint64_t garbled;      /* at servers: not what a device sent, or a header that is not good */
	uint64_t refused;      /* by the kernel, when devices or servers sent */
	/* The longest time between datagrams that arrived, and between those that returned. */
	uint64_t up_silence_ns, down_silence_ns;
	/* From the call that sent a datagram to the end of the call that received it: device to server, and server to
	 * device. With kernel_times, until the kernel had it for the receiver, whether that had a CPU or not. */
	struct histogram up, down;
};

struct load;

/* Returns 0 or -errno: what it needs cannot be had. `counters` are the caller's, and must outlive the load. */
int load_new(struct load **out, const struct load_settings *settings, volatile struct load_counters *counters);
void load_free(struct load *load);

/* Runs until *stop is set. Then waits for what is on its way. */
void load_run(struct load *load, const volatile sig_atomic_t *stop);

#endif
