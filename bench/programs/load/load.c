#include "bench/programs/load/load.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bench/lib/clock.h"
#include "bench/lib/net.h"
#include "bench/programs/load/pace.h"
#include "bench/programs/load/packet.h"
#include "bench/programs/load/record.h"

_Static_assert(RECORD_SOURCES == BLOCK_ADDRESSES * BLOCK_PORTS, "a source's number is in its record");

enum {
	ROUNDS = 4,           /* batches taken from a socket before the others have their turn */
	QUIET_NS = 200000000, /* nothing more is on its way */
	QUIET_STEP_NS = 500000,
};

/* A datagram of a device. */
struct datagram {
	struct iovec vector;
	uint8_t octets[RECORD_MAX_OCTETS];
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

struct load {
	struct load_settings settings;
	volatile struct load_counters *counters;
	struct sockaddr_in target;
	int device_fds[BLOCK_PORTS], server_fds[LOAD_SERVERS_MAX];
	uint32_t device_sockets, server_sockets;
	uint32_t first_server;                        /* its address, host order */
	struct sockaddr_in servers[LOAD_SERVERS_MAX]; /* that devices send to themselves */
	struct mmsghdr headers[PACKET_BATCH];
	struct datagram datagrams[PACKET_BATCH];
	uint32_t next;                    /* source */
	uint64_t arrived_ns, returned_ns; /* the last one; 0: none yet */
	struct packet_batch batch;
	uint8_t prefixes[PACKET_BATCH][PROXY2_MAX_OCTETS];
};

static void sleep_until_ns(uint64_t at_ns)
{
	struct timespec at = { .tv_sec = (time_t)(at_ns / PACE_SECOND_NS), .tv_nsec = (long)(at_ns % PACE_SECOND_NS) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* A socket of the load. The descriptor or -errno. */
static int open_socket(const struct load *load, const struct sockaddr_in *name)
{
	const int fd = packet_bind(name), err = fd >= 0 && load->settings.kernel_times ? packet_note_times(fd) : 0;

	if (!err)
		return fd;
	close(fd);
	return err;
}

static void make_datagrams(struct load *load)
{
	for (size_t i = 0; i < PACKET_BATCH; i++) {
		struct datagram *datagram = &load->datagrams[i];
		struct msghdr *header = &load->headers[i].msg_hdr;

		record_write(datagram->octets, sizeof datagram->octets, &(struct record){ .source = 0 });
		datagram->vector.iov_base = datagram->octets;
		*header = (struct msghdr){ .msg_name = &load->target,
					   .msg_namelen = sizeof load->target,
					   .msg_iovlen = 1 };
		header->msg_iov = &datagram->vector;
	}
}

static int open_devices(struct load *load)
{
	struct sockaddr_in devices = { .sin_family = AF_INET, .sin_port = htons(load->settings.port) };

	int err = net_enter(load->settings.devices_net);

	if (err)
		return err;
	load->device_sockets = (load->settings.sources + BLOCK_ADDRESSES - 1) / BLOCK_ADDRESSES;
	for (uint32_t i = 0; i < load->device_sockets; i++) {
		load->device_fds[i] = open_socket(load, &devices);
		if (load->device_fds[i] < 0)
			return load->device_fds[i];
		devices.sin_port = htons((uint16_t)(ntohs(devices.sin_port) + 1));
	}
	return 0;
}

static int open_servers(struct load *load)
{
	struct sockaddr_in server = packet_name(&load->settings.servers);
	int err = net_enter(load->settings.servers_net);

	if (err)
		return err;
	load->first_server = ntohl(server.sin_addr.s_addr);
	load->server_sockets = load->settings.by_address ? 1 : load->settings.server_count;
	if (load->settings.by_address)
		server.sin_addr.s_addr = htonl(INADDR_ANY);
	for (uint32_t i = 0; i < load->server_sockets; i++) {
		load->servers[i] = server;
		load->server_fds[i] = open_socket(load, &server);
		if (load->server_fds[i] < 0)
			return load->server_fds[i];
		server.sin_port = htons((uint16_t)(ntohs(server.sin_port) + 1));
	}
	return 0;
}

int load_new(struct load **out, const struct load_settings *settings, volatile struct load_counters *counters)
{
	struct load *load = calloc(1, sizeof *load);
	int err;

	if (!load)
		return -ENOMEM;
	load->settings = *settings;
	load->counters = counters;
	load->target = packet_name(&settings->target);
	load->next = settings->first;
	for (size_t i = 0; i < BLOCK_PORTS; i++)
		load->device_fds[i] = -1;
	for (size_t i = 0; i < LOAD_SERVERS_MAX; i++)
		load->server_fds[i] = -1;
	make_datagrams(load);
	err = open_devices(load);
	if (!err)
		err = open_servers(load);
	if (err) {
		load_free(load);
		return err;
	}
	*out = load;
	return 0;
}

void load_free(struct load *load)
{
	for (size_t i = 0; i < BLOCK_PORTS; i++)
		if (load->device_fds[i] >= 0)
			close(load->device_fds[i]);
	for (size_t i = 0; i < LOAD_SERVERS_MAX; i++)
		if (load->server_fds[i] >= 0)
			close(load->server_fds[i]);
	free(load);
}

/* Writes the present time into datagrams that are about to be sent. The record is the last part of a message. */
static void stamp(struct mmsghdr *headers, unsigned count)
{
	uint64_t now_ns = clock_ns();

	for (unsigned i = 0; i < count; i++) {
		struct msghdr *header = &headers[i].msg_hdr;

		record_stamp(header->msg_iov[header->msg_iovlen - 1].iov_base, now_ns);
	}
}

/* Datagram `at` of the batch came; `now_ns` is when it was received. */
static void note_way(struct load *load, volatile struct histogram *ways, unsigned at, const uint8_t *record,
		     uint64_t now_ns)
{
	const uint64_t sent_ns = record_sent_ns(record),
		       came_ns = load->settings.kernel_times ? clock_ns() - packet_age_ns(&load->batch, at) : now_ns;

	ways->cells[histogram_cell(came_ns > sent_ns ? came_ns - sent_ns : 0)]++;
}

/* Makes datagrams of the next sources, at most `most` and all of one socket. Returns how many, and in *socket whose. */
static uint32_t make_batch(struct load *load, uint32_t most, uint32_t *socket)
{
	const struct load_settings *s = &load->settings;
	uint32_t count = 0;

	*socket = load->next / BLOCK_ADDRESSES;
	while (count < most && load->next / BLOCK_ADDRESSES == *socket) {
		struct datagram *datagram = &load->datagrams[count];
		uint32_t source = load->next, server = source % s->server_count;

		record_rename(datagram->octets, &(struct record){ .server = (uint16_t)(server + 1), .source = source });
		datagram->vector.iov_len = s->octets[source % s->octets_count];
		record_resize(datagram->octets, datagram->vector.iov_len);
		packet_set_local(&load->headers[count].msg_hdr, datagram->control,
				 s->devices + source % BLOCK_ADDRESSES);
		if (!s->target.port)
			load->headers[count].msg_hdr.msg_name = &load->servers[server];
		load->next = (uint32_t)(((uint64_t)source + s->stride) % s->sources);
		count++;
	}
	return count;
}

/* Lets the next `count` sources send a datagram each. */
static void send_devices(struct load *load, uint32_t count)
{
	while (count > 0) {
		uint32_t socket, now = make_batch(load, count < PACKET_BATCH ? count : PACKET_BATCH, &socket);
		unsigned refused;

		stamp(load->headers, now);
		refused = packet_send(load->headers, now, load->device_fds[socket]);
		load->counters->sent += now - refused;
		load->counters->refused += refused;
		count -= now;
	}
}

/* Something came. Notes how long it was silent before. */
static void note_silence(volatile uint64_t *longest_ns, uint64_t *last_ns, uint64_t now_ns)
{
	if (*last_ns && now_ns - *last_ns > *longest_ns)
		*longest_ns = now_ns - *last_ns;
	*last_ns = now_ns;
}

static void take_returned(struct load *load, uint32_t socket)
{
	struct packet_batch *batch = &load->batch;
	unsigned count = PACKET_BATCH;
	uint64_t now_ns;

	for (unsigned round = 0; round < ROUNDS && count == PACKET_BATCH; round++) {
		count = packet_receive(batch, load->device_fds[socket]);
		now_ns = clock_ns();
		if (count > 0)
			note_silence(&load->counters->down_silence_ns, &load->returned_ns, now_ns);
		for (unsigned i = 0; i < count; i++) {
			struct record record;
			bool good = !record_read(&record, batch->data[i], batch->headers[i].msg_len) &&
				    record.source / BLOCK_ADDRESSES == socket &&
				    packet_local(batch, i) == load->settings.devices + record.source % BLOCK_ADDRESSES;

			if (!good) {
				load->counters->misdelivered++;
				continue;
			}
			load->counters->returned++;
			note_way(load, &load->counters->down, i, batch->data[i], now_ns);
		}
	}
}

/* In mode tunnel, takes the header off and makes that of the answer. Returns the octets before the payload, or
 * -EINVAL. */
static int unwrap(struct load *load, unsigned at, size_t len)
{
	struct proxy2_ends ends, back;
	size_t octets = 0;

	if (!load->settings.tunnel)
		return 0;
	if (proxy2_read(&ends, &octets, &load->settings.keys, PROXY2_UP, load->batch.data[at], len) != PROXY2_GOOD)
		return -EINVAL;
	back = (struct proxy2_ends){ .source = ends.destination, .destination = ends.source, .version = ends.version };
	load->batch.vectors[at][0] = (struct iovec){
		.iov_base = load->prefixes[at],
		.iov_len = proxy2_write(load->prefixes[at], &load->settings.keys, PROXY2_DOWN, &back),
	};
	return (int)octets;
}

/* Turns datagram `at` of the batch into its answer. Returns false if none is due. */
static bool answer(struct load *load, uint32_t socket, unsigned at, uint64_t now_ns)
{
	struct packet_batch *batch = &load->batch;
	uint32_t local = load->settings.by_address ? packet_local(batch, at) : 0;
	uint32_t server = load->settings.by_address ? local - load->first_server : socket;
	size_t len = batch->headers[at].msg_len;
	int before = unwrap(load, at, len);
	struct record record;

	if (before < 0 || record_read(&record, batch->data[at] + before, len - (size_t)before)) {
		load->counters->garbled++;
		return false;
	}
	load->counters->arrived++;
	note_way(load, &load->counters->up, at, batch->data[at] + before, now_ns);
	if (record.server != server + 1)
		load->counters->elsewhere++;
	batch->vectors[at][load->settings.tunnel ? 1 : 0] =
		(struct iovec){ .iov_base = batch->data[at] + before, .iov_len = len - (size_t)before };
	batch->headers[at].msg_hdr.msg_iovlen = load->settings.tunnel ? 2 : 1;
	packet_set_local(&batch->headers[at].msg_hdr, batch->control[at], local);
	return true;
}

static void serve(struct load *load, uint32_t socket)
{
	struct packet_batch *batch = &load->batch;
	unsigned count = PACKET_BATCH;

	for (unsigned round = 0; round < ROUNDS && count == PACKET_BATCH; round++) {
		unsigned due = 0, refused;
		uint64_t now_ns;

		count = packet_receive(batch, load->server_fds[socket]);
		now_ns = clock_ns();
		if (count > 0)
			note_silence(&load->counters->up_silence_ns, &load->arrived_ns, now_ns);
		for (unsigned i = 0; i < count; i++)
			if (answer(load, socket, i, now_ns))
				batch->headers[due++] = batch->headers[i];
		stamp(batch->headers, due);
		refused = packet_send(batch->headers, due, load->server_fds[socket]);
		load->counters->answered += due - refused;
		load->counters->refused += refused;
	}
}

static uint32_t sockets(const struct load *load)
{
	return load->server_sockets + load->device_sockets;
}

static void take_one(struct load *load, uint32_t at)
{
	if (at < load->server_sockets)
		serve(load, at);
	else
		take_returned(load, at - load->server_sockets);
}

static void take_all(struct load *load)
{
	for (uint32_t i = 0; i < sockets(load); i++)
		take_one(load, i);
}

static void wait_quiet(struct load *load)
{
	uint64_t seen = load->counters->arrived + load->counters->returned, since_ns = clock_ns();

	while (clock_ns() - since_ns < QUIET_NS) {
		take_all(load);
		if (load->counters->arrived + load->counters->returned != seen) {
			seen = load->counters->arrived + load->counters->returned;
			since_ns = clock_ns();
		}
		sleep_until_ns(clock_ns() + QUIET_STEP_NS);
	}
}

/* Datagrams are sent and sockets read in bursts, with sleep between them. */
static void run_bursts(struct load *load, const struct pace *pace, const volatile sig_atomic_t *stop)
{
	uint64_t batch = load->settings.batch, done = 0;

	while (!*stop) {
		sleep_until_ns(pace_at_ns(pace, done + batch));
		for (uint64_t due = pace_due(pace, clock_ns()); done + batch <= due && !*stop; done += batch) {
			send_devices(load, (uint32_t)batch);
			take_all(load);
		}
	}
}

/* One datagram at a time is sent when it is due, and taken when it comes, give or take one system call. */
static void run_even(struct load *load, const struct pace *pace, const volatile sig_atomic_t *stop)
{
	uint64_t done = 0;

	for (uint32_t at = 0; !*stop; at = (at + 1) % sockets(load)) {
		if (done < pace_due(pace, clock_ns())) {
			send_devices(load, 1);
			done++;
		}
		take_one(load, at);
	}
}

/* The load never waits for a socket. To wake it up would cost the sender, and so the balancer that is measured. */
void load_run(struct load *load, const volatile sig_atomic_t *stop)
{
	const struct pace pace = { .start_ns = clock_ns(), .rate = load->settings.rate };

	(load->settings.batch > 1 ? run_bursts : run_even)(load, &pace, stop);
	wait_quiet(load);
}
