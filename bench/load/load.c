#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "pace.h"
#include "packet.h"
#include "record.h"

enum {
	ROUNDS = 4,           /* batches taken from a socket before the others have their turn */
	QUIET_NS = 200000000, /* nothing more is on its way */
	QUIET_STEP_NS = 500000,
};

/* One per source, ready to be sent. */
struct datagram {
	struct iovec vector;
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

struct load {
	struct load_settings settings;
	volatile struct load_counters *counters;
	struct sockaddr_in target;
	int device_fd, server_fds[PLACES_SERVERS];
	struct mmsghdr *headers; /* of the sources in turn */
	struct datagram *datagrams;
	uint8_t *octets;
	uint32_t next; /* source */
	struct packet_batch batch;
	uint8_t prefixes[PACKET_BATCH][PROXY2_MAX_OCTETS];
};

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * PACE_SECOND_NS + (uint64_t)now.tv_nsec;
}

static void sleep_until_ns(uint64_t at_ns)
{
	struct timespec at = { .tv_sec = (time_t)(at_ns / PACE_SECOND_NS), .tv_nsec = (long)(at_ns % PACE_SECOND_NS) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static int make_datagrams(struct load *load)
{
	const struct load_settings *s = &load->settings;

	load->headers = calloc(s->sources, sizeof *load->headers);
	load->datagrams = calloc(s->sources, sizeof *load->datagrams);
	load->octets = calloc(s->sources, s->octets);
	if (!load->headers || !load->datagrams || !load->octets)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->sources; i++) {
		struct msghdr *header = &load->headers[i].msg_hdr;
		uint8_t *octets = load->octets + (size_t)i * s->octets;

		record_write(octets, s->octets, &(struct record){ .server = (uint8_t)(i % s->server_count + 1), .source = i });
		load->datagrams[i].vector = (struct iovec){ .iov_base = octets, .iov_len = s->octets };
		*header = (struct msghdr){ .msg_name = &load->target, .msg_namelen = sizeof load->target, .msg_iovlen = 1 };
		header->msg_iov = &load->datagrams[i].vector;
		packet_set_local(header, load->datagrams[i].control, PLACES_SOURCES + i);
	}
	return 0;
}

static int open_sockets(struct load *load)
{
	const struct sockaddr_in devices = { .sin_family = AF_INET, .sin_port = htons(load->settings.port) };
	struct sockaddr_in server = packet_name(&load->settings.servers);

	load->device_fd = packet_bind(&devices);
	if (load->device_fd < 0)
		return load->device_fd;
	for (uint32_t i = 0; i < load->settings.server_count; i++) {
		load->server_fds[i] = packet_bind(&server);
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
	load->device_fd = -1;
	for (size_t i = 0; i < PLACES_SERVERS; i++)
		load->server_fds[i] = -1;
	err = make_datagrams(load);
	if (!err)
		err = open_sockets(load);
	if (err) {
		load_free(load);
		return err;
	}
	*out = load;
	return 0;
}

void load_free(struct load *load)
{
	if (load->device_fd >= 0)
		close(load->device_fd);
	for (size_t i = 0; i < PLACES_SERVERS; i++)
		if (load->server_fds[i] >= 0)
			close(load->server_fds[i]);
	free(load->headers);
	free(load->datagrams);
	free(load->octets);
	free(load);
}

/* The next `count` sources say something. */
static void send_devices(struct load *load, uint32_t count)
{
	while (count > 0) {
		uint32_t left = load->settings.sources - load->next, now = count < left ? count : left;
		unsigned refused = packet_send(load->headers + load->next, now, load->device_fd);

		load->counters->sent += now - refused;
		load->counters->refused += refused;
		load->next = (load->next + now) % load->settings.sources;
		count -= now;
	}
}

static void take_returned(struct load *load)
{
	struct packet_batch *batch = &load->batch;
	unsigned count = PACKET_BATCH;

	for (unsigned round = 0; round < ROUNDS && count == PACKET_BATCH; round++) {
		count = packet_receive(batch, load->device_fd);
		for (unsigned i = 0; i < count; i++) {
			struct record record;
			bool good = !record_read(&record, batch->data[i], batch->headers[i].msg_len) &&
				    packet_local(batch, i) == PLACES_SOURCES + record.source;

			if (good)
				load->counters->returned++;
			else
				load->counters->misdelivered++;
		}
	}
}

/* Takes the header off in mode tunnel, and makes that of the answer. The octets before the payload, or -EINVAL. */
static int unwrap(struct load *load, unsigned at, size_t len)
{
	struct proxy2_ends ends, back;
	size_t octets = 0;

	if (!load->settings.tunnel)
		return 0;
	if (proxy2_read(&ends, &octets, &load->settings.keys, PROXY2_UP, load->batch.data[at], len) != PROXY2_GOOD)
		return -EINVAL;
	back = (struct proxy2_ends){ .source = ends.destination, .destination = ends.source };
	load->batch.vectors[at][0] = (struct iovec){
		.iov_base = load->prefixes[at],
		.iov_len = proxy2_write(load->prefixes[at], &load->settings.keys, PROXY2_DOWN, &back),
	};
	return (int)octets;
}

/* Turns datagram `at` of the batch into its answer. False: none is due. */
static bool answer(struct load *load, uint32_t server, unsigned at)
{
	struct packet_batch *batch = &load->batch;
	size_t len = batch->headers[at].msg_len;
	int before = unwrap(load, at, len);
	struct record record;

	if (before < 0 || record_read(&record, batch->data[at] + before, len - (size_t)before)) {
		load->counters->garbled++;
		return false;
	}
	load->counters->arrived++;
	if (record.server != server + 1)
		load->counters->elsewhere++;
	batch->vectors[at][load->settings.tunnel ? 1 : 0] =
		(struct iovec){ .iov_base = batch->data[at] + before, .iov_len = len - (size_t)before };
	batch->headers[at].msg_hdr.msg_iovlen = load->settings.tunnel ? 2 : 1;
	packet_set_local(&batch->headers[at].msg_hdr, NULL, 0);
	return true;
}

static void serve(struct load *load, uint32_t server)
{
	struct packet_batch *batch = &load->batch;
	unsigned count = PACKET_BATCH;

	for (unsigned round = 0; round < ROUNDS && count == PACKET_BATCH; round++) {
		unsigned due = 0, refused;

		count = packet_receive(batch, load->server_fds[server]);
		for (unsigned i = 0; i < count; i++)
			if (answer(load, server, i))
				batch->headers[due++] = batch->headers[i];
		refused = packet_send(batch->headers, due, load->server_fds[server]);
		load->counters->answered += due - refused;
		load->counters->refused += refused;
	}
}

static void take_all(struct load *load)
{
	for (uint32_t i = 0; i < load->settings.server_count; i++)
		serve(load, i);
	take_returned(load);
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

void load_run(struct load *load, const volatile sig_atomic_t *stop)
{
	const struct pace pace = { .start_ns = clock_ns(), .rate = load->settings.rate };
	uint64_t batch = load->settings.batch, done = 0;

	/* Nobody waits for a socket here: to be woken would cost who sends to it, and so the one that is measured. */
	while (!*stop) {
		sleep_until_ns(pace_at_ns(&pace, done + batch));
		for (uint64_t due = pace_due(&pace, clock_ns()); done + batch <= due && !*stop; done += batch) {
			send_devices(load, (uint32_t)batch);
			take_all(load);
		}
	}
	wait_quiet(load);
}
