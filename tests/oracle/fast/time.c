/* What the program of the fast path costs for a datagram: nanoseconds above an empty loop that does no more than put
 * the frame there, on this CPU, by BPF_PROG_TEST_RUN. Of a network card and of interrupts it measures nothing.
 *
 * usage: fast_time [--json] [--repeat N]
 * --json: a line of JSON for each case: nanoseconds of the empty loop, and above it, of each round, least first.
 * Exit status: 0 good, 1 a frame was not forwarded, 2 usage, 77 there is no bpf() here (skipped). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/oracle/fast/bed.h"
#include "tests/oracle/fast/frame.h"
#include "tests/oracle/fast/loop.h"

enum { SKIPPED = 77, REPEAT = 2000000, ROUNDS = 5, FEW = 1024, MANY = LOOP_FRAMES, RECORD_OCTETS = 128 };

struct timing {
	const char *name;
	enum pool_kind pool;
	bool down;
	bool v6;     /* of the device */
	bool bare;   /* no DTLS, which is dropped */
	bool hashed; /* no CID */
};

/* clang-format off */
static const struct timing timings[] = {
	{ "tunnel up",               POOL_NODE_ID,   .v6 = false },
	{ "tunnel up, IPv6",         POOL_NODE_ID,   .v6 = true },
	{ "tunnel up, by the cache", POOL_QUIC_LB,   .v6 = false },
	{ "tunnel up, by the hash",  POOL_NONE,      .hashed = true },
	{ "tunnel up, IPv6, by the hash", POOL_NONE, .v6 = true, .hashed = true },
	{ "tunnel down",             POOL_NODE_ID,   .down = true },
	{ "nat without a table up",  POOL_STATELESS, .v6 = false },
	{ "nat without a table down", POOL_STATELESS, .down = true },
	{ "dsr up, l2",              POOL_L2,        .v6 = false },
	{ "dsr up, l2, IPv6",        POOL_L2_V6,     .v6 = true },
	{ "dsr up, ipip",            POOL_IPIP,      .v6 = false },
	{ "dsr up, ipip, IPv6",      POOL_IPIP_V6,   .v6 = true },
	{ "no DTLS, dropped",        POOL_NODE_ID,   .bare = true },
};
/* clang-format on */

static struct bed bed;
static struct bpf_object *object;
static struct loop *loop;
static struct loop_frame *frames;

static void *map_of(const char *name, size_t octets)
{
	void *at = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_object__find_map_fd_by_name(object, name),
			0);

	if (at == MAP_FAILED) {
		perror(name);
		exit(EXIT_FAILURE);
	}
	return at;
}

/* The loop has maps of its own, filled as those of the bed; but the hash leads everybody to one server. */
static void maps_copy(void)
{
	struct fast_slots *slots = map_of("fast_slots", FAST_HASH_POOLS * sizeof *slots);
	const int devices = bpf_object__find_map_fd_by_name(object, "fast_devices");
	const struct fast_control *control = fast_program_control(bed.program);
	const struct fast_table *spare = fast_program_spare_table(bed.program);
	struct fast_table *tables = map_of("fast_tables", 2 * sizeof *tables);

	memcpy(map_of("fast_control", sizeof *control), control, sizeof *control);
	memcpy(map_of("fast_cids", FAST_CID_SETS * sizeof(struct fast_cid_set)), bed.cids.sets,
	       FAST_CID_SETS * sizeof(struct fast_cid_set));
	for (int i = 0; i < 2; i++)
		memcpy(&tables[i], control->table ? spare + 1 : spare - 1, sizeof *tables);
	for (size_t slot = 0; slot < 1 << FAST_SLOT_BITS; slot++)
		slots[POOL_NONE].backend[slot] = bed_uid(POOL_NONE, CAST_UP);
	for (uint32_t device = 0; device < 2; device++) {
		const uint32_t loopback = 1;

		if (bpf_map_update_elem(devices, &device, &loopback, BPF_ANY) != 0)
			exit(EXIT_FAILURE);
	}
}

static void loop_load(void)
{
	object = bpf_object__open_file(FAST_LOOP_OBJECT, NULL);
	if (!object ||
	    bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "fast_counts"),
				     (uint32_t)libbpf_num_possible_cpus()) != 0 ||
	    bpf_object__load(object) != 0) {
		fprintf(stderr, "fast_time: %s: %s\n", FAST_LOOP_OBJECT, strerror(errno));
		exit(EXIT_FAILURE);
	}
	loop = map_of("loop_state", sizeof *loop);
	frames = map_of("loop_frames", LOOP_FRAMES * sizeof *frames);
}

/* One record of a session of its own. Returns its octets. */
static size_t put_record(const struct timing *timing, unsigned number, uint8_t *out)
{
	const bool cached = bed_has_rotations(timing->pool);
	const uint8_t cid_len = cached ? 10 : 8;
	const size_t body = RECORD_OCTETS - 13 - cid_len;
	uint8_t *cid = out + 11;

	memset(out, 0x5a, RECORD_OCTETS);
	memcpy(out, (const uint8_t[]){ timing->bare ? 0 : 25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1 }, 11);
	if (timing->hashed) {
		out[0] = 23;
		out[11] = 0;
		out[12] = RECORD_OCTETS - 13;
		return RECORD_OCTETS;
	}
	cid[0] = cached ? 0x20 : 1 + CAST_UP;
	for (int i = 1; i < 5; i++)
		cid[i] = (uint8_t)(number >> 8 * (i - 1));
	memset(cid + 5, 7, cid_len - 5U);
	cid[cid_len] = (uint8_t)(body >> 8);
	cid[cid_len + 1] = (uint8_t)body;
	if (cached)
		fast_cids_put(&bed.cids, (uint16_t)timing->pool, cid, cid_len, bed_uid(timing->pool, CAST_UP));
	return RECORD_OCTETS;
}

static struct addr device_of(unsigned number, bool v6)
{
	struct addr device = { .ip = { [10] = 0xff, 0xff, 20 }, .port = (uint16_t)(1024 + number % 60000) };

	if (v6)
		memcpy(device.ip, (const uint8_t[12]){ 0x20, 0x01, 0x0d, 0xb8, 0x77 }, 12);
	device.ip[13] = (uint8_t)(number >> 16);
	device.ip[14] = (uint8_t)(number >> 8);
	device.ip[15] = (uint8_t)number;
	return device;
}

static void put_up(const struct timing *timing, unsigned number, struct datagram *out, uint8_t *payload)
{
	out->source = device_of(number, timing->v6);
	out->to = bed_service(&bed, timing->pool, timing->v6);
	out->len = put_record(timing, number, payload);
	memcpy(out->from_mac, bed_gateway_mac, 6);
}

static void put_down(const struct timing *timing, unsigned number, struct datagram *out, uint8_t *payload)
{
	const struct table_pool *pool = &bed.table->pools[timing->pool];
	const struct addr device = device_of(number, timing->v6);
	const struct proxy2_ends ends = { .source = bed_service(&bed, timing->pool, timing->v6),
					  .destination = device,
					  .version = PROXY2_V2 };

	out->source = bed_backend_addr(timing->pool, CAST_UP);
	if (timing->pool == POOL_STATELESS) {
		out->to.port = EMBED_PORT;
		embed_write(out->to.ip, &pool->stateless.embed, &device);
	} else {
		out->to = pool->tunnel_local;
		out->len = proxy2_write(payload, &pool->tunnel_keys, PROXY2_DOWN, &ends);
	}
	out->len += put_record(timing, number, payload + out->len);
	memcpy(out->from_mac, bed_backend_mac, 6);
}

/* Frames of as many sessions. `whole`: one of them, from first to last octet. */
static void frames_make(const struct timing *timing, unsigned sessions, struct frame *whole)
{
	static uint8_t payload[PAYLOAD_MAX];

	for (unsigned i = 0; i < sessions; i++) {
		struct datagram datagram = { .payload = payload, .hops = 60 };

		(timing->down ? put_down : put_up)(timing, i, &datagram, payload);
		memcpy(datagram.to_mac, bed_mac, 6);
		frame_make(whole, &datagram);
		memcpy(&frames[i], whole->octets, sizeof frames[i]);
	}
	*loop = (struct loop){ .mask = sessions - 1, .octets = (uint32_t)whole->len };
}

static double run(const struct frame *whole, unsigned repeat, bool empty)
{
	const int fd = bpf_program__fd(bpf_object__find_program_by_name(object, "cidlb_loop"));
	static uint8_t out[FRAME_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = whole->octets, .data_size_in = (uint32_t)whole->len,
		    .data_out = out, .data_size_out = sizeof out, .repeat = (int)repeat);

	loop->empty = empty;
	if (bpf_prog_test_run_opts(fd, &options) != 0 || options.retval != XDP_PASS) {
		fprintf(stderr, "fast_time: %s, action %u\n", strerror(errno), options.retval);
		exit(EXIT_FAILURE);
	}
	return options.duration;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_rounds(const char *name, const double ns[static ROUNDS])
{
	printf(", \"%s\": [", name);
	for (int i = 0; i < ROUNDS; i++)
		printf("%s%.0f", i ? ", " : "", ns[i]);
	putchar(']');
}

/* Least first. */
static void print_json(const struct timing *timing, unsigned sessions, const double empty[static ROUNDS],
		       const double above[static ROUNDS])
{
	printf("{\"case\": \"%s\", \"sessions\": %u", timing->name, sessions);
	print_rounds("empty_ns", empty);
	print_rounds("above_ns", above);
	puts("}");
}

/* Prints the median of the rounds. False: not each frame was forwarded, or dropped where it is to be. */
static bool time_one(const struct timing *timing, unsigned sessions, unsigned repeat, bool json)
{
	const unsigned wanted = timing->bare ? XDP_DROP : XDP_TX;
	double empty[ROUNDS], above[ROUNDS], ratio[ROUNDS];
	static struct frame whole;
	unsigned long long others = 0;

	frames_make(timing, sessions, &whole);
	maps_copy();
	/* After that the loop knows whether frames grow. */
	run(&whole, sessions, false);
	for (int round = 0; round < ROUNDS; round++) {
		empty[round] = run(&whole, repeat, true);
		const double full = run(&whole, repeat, false);

		above[round] = full - empty[round];
		ratio[round] = full / (empty[round] > 0 ? empty[round] : 1);
	}
	qsort(empty, ROUNDS, sizeof *empty, compare);
	qsort(above, ROUNDS, sizeof *above, compare);
	qsort(ratio, ROUNDS, sizeof *ratio, compare);
	if (json)
		print_json(timing, sessions, empty, above);
	else
		printf("%-28s %6u sessions: %4.0f ns above the empty loop, %.1f of it\n", timing->name, sessions,
		       above[ROUNDS / 2], ratio[ROUNDS / 2]);
	for (unsigned action = 0; action < LOOP_ACTIONS; action++)
		others += action == wanted ? 0 : loop->actions[action];
	/* A few are passed up: samples of what is dropped, and sources that look odd. */
	if (others < loop->actions[wanted] / 100)
		return true;
	fprintf(stderr, "%llu of %llu frames had another action than %u\n", others, others + loop->actions[wanted],
		wanted);
	return false;
}

int main(int argc, char **argv)
{
	const bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
	unsigned repeat = REPEAT;
	char why[EBPF_WHY_OCTETS];
	bool good = true;
	int err;

	argc -= json;
	argv += json;
	if (argc == 3 && strcmp(argv[1], "--repeat") == 0 && atoi(argv[2]) > 0)
		repeat = (unsigned)atoi(argv[2]);
	else if (argc != 1)
		return 2;
	err = bed_open(&bed, 1, why);
	if (err == -ENOTSUP || err == -EPERM || err == -ENOSYS) {
		printf("skipped: no bpf() here: %s %s\n", strerror(-err), why);
		return SKIPPED;
	}
	if (err)
		return EXIT_FAILURE;
	loop_load();
	for (size_t i = 0; i < sizeof timings / sizeof *timings; i++) {
		good &= time_one(&timings[i], FEW, repeat, json);
		/* So many CIDs are more than the cache can be sure to hold. */
		if (!timings[i].bare && !bed_has_rotations(timings[i].pool))
			good &= time_one(&timings[i], MANY, repeat, json);
	}
	bpf_object__close(object);
	bed_close(&bed);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
