/* A pool that learns CIDs, under handshakes of those who have no keys: with CIDLB_FULL a million. They answer the
 * cookie, show the CID that they are given, and let the server repeat its flight. They replay tickets, so that the
 * server speaks under keys at once. Nothing of it is learned, nothing that was learned is forgotten, and devices go on
 * beside it. */
#include <stdlib.h>

#include "path/learned_cids.h"
#include "path/pending_cids.h"
#include "tests/fixtures/nat_bed.h"
#include "tests/simulation/path/grace.h"
#include "tests/simulation/path/wire.h"
#include "tests/unit/suite.h"

enum { HANDSHAKES = 30000, IN_FULL = 1000000, DEVICES = 100, MAX_FLOWS = 8000, CID_OCTETS = 8 };

static struct learned learned;
static void *memory;

static uint32_t handshakes(void)
{
	return getenv("CIDLB_FULL") ? IN_FULL : HANDSHAKES;
}

static void begin(int rebind)
{
	static const uint8_t secret[16] = { 9 };
	const struct flows_limits limits = { .max_flows = MAX_FLOWS, .idle_ms = 300000, .cid_idle_ms = 86400000 };
	const size_t octets = (learned_octets(LEARNED_MIN_CIDS) + 63) / 64 * 64;

	nat_begin();
	ck_assert_int_eq(flows_set_limits(bed.shared.flows, bed.configured.pool_uid, &limits), 0);
	memory = aligned_alloc(64, octets);
	ck_assert_ptr_nonnull(memory);
	memset(memory, 0, octets);
	learned_begin(&learned, memory, LEARNED_MIN_CIDS, secret);
	bed.configured.pool.layout = (struct cid_layout){ .scheme = CID_LAYOUT_LEARNED };
	bed.configured.pool.nat.rebind = rebind ? REBIND_BACKEND : REBIND_FOLLOW;
	bed.configured.learned.of[LEARNED_CIDS] = &learned;
	publish();
}

static void end(void)
{
	tear_down();
	free(memory);
}

static struct wire_cid cid_of_number(uint32_t number)
{
	struct wire_cid cid = { .len = CID_OCTETS };
	const uint64_t mixed = (number + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);

	memcpy(cid.octets, &mixed, CID_OCTETS);
	return cid;
}

/* An address for each. */
static struct addr source_of(uint32_t number)
{
	return (struct addr){
		.ip = { [10] = 0xff, 0xff, 100, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number },
		.port = (uint16_t)(1024 + number % 60000)
	};
}

static struct arrival send_up(const struct addr *from, struct wire *wire)
{
	struct io_datagram datagram = { .data = wire->data, .len = wire->len, .from = *from };
	struct arrival arrival = { .at = NOBODY };
	const struct io_double_sent *sent;

	batch_uplink(bed.path, path_bed_table(&bed), bed.configured.listener_uid, &datagram, 1);
	io_flush(bed.path->outbox);
	sent = left_next();
	wire->len = 0;
	if (!sent)
		return arrival;
	ck_assert_ptr_null(left_next());
	arrival.at = sent->to.port - bed.configured.backend[0].addr.port;
	arrival.endpoint.port = (uint16_t)sent->queue;
	memcpy(arrival.endpoint.ip, sent->local, sizeof arrival.endpoint.ip);
	return arrival;
}

/* How many addresses get it. */
static unsigned send_down(const struct arrival *to, struct wire *wire)
{
	struct io_datagram datagram = { .data = wire->data,
					.len = wire->len,
					.from = bed.configured.backend[to->at].addr };
	unsigned count = 0;

	memcpy(datagram.local, to->endpoint.ip, sizeof datagram.local);
	batch_reply(bed.path, path_bed_table(&bed), to->endpoint.port, &datagram, 1);
	io_flush(bed.path->outbox);
	wire->len = 0;
	while (left_next())
		count++;
	return count;
}

static void add_protected(struct wire *wire, const struct wire_cid *cid, uint8_t type, uint64_t sequence)
{
	static const struct wire_message message = { WIRE_REQUEST, 1, WIRE_LEAST };
	const struct wire_seal seal = { .type = type, .epoch = 1, .cid = cid, .sequence = sequence };

	wire_add_protected(wire, &seal, &message, WIRE_LEAST);
}

static void add_server_hello(struct wire *wire, const struct wire_hello *hello)
{
	struct wire wires[2] = { 0 };

	wire_add_server_hello(wires, hello, WIRE_PLAIN);
	*wire = wires[0];
}

/* Of a server that resumes a session: what follows its ServerHello. */
static void add_server_finished(struct wire *wire)
{
	wire_add_change_cipher(wire);
	add_protected(wire, NULL, WIRE_HANDSHAKE, 0);
}

/* The first flight of a server. */
static void add_server_flight(struct wire *wire, const struct wire_hello *hello)
{
	add_server_hello(wire, hello);
	if (hello->ticket)
		add_server_finished(wire);
}

/* Up to the ServerHello. Returns where the server is. */
static struct arrival offer(const struct addr *from, const struct wire_hello *server)
{
	struct wire_hello hello = { .random = server->random, .ticket = server->ticket, .has_cid = true };
	struct wire wire = { 0 };
	struct arrival first, second;

	wire_add_client_hello(&wire, &hello);
	first = send_up(from, &wire);
	ck_assert_int_ne(first.at, NOBODY);
	hello.has_cookie = true;
	hello.cookie = server->random * 3;
	wire_add_verify_request(&wire, false, hello.cookie);
	ck_assert_uint_eq(send_down(&first, &wire), 1);
	wire_add_client_hello(&wire, &hello);
	second = send_up(from, &wire);
	assert_same(first, second);
	add_server_flight(&wire, server);
	ck_assert_uint_eq(send_down(&second, &wire), 1);
	return second;
}

static struct wire_hello server_says(uint32_t number, bool resumes)
{
	return (struct wire_hello){ .random = number + UINT64_C(1),
				    .ticket = resumes ? number + UINT64_C(1) : 0,
				    .has_cid = true,
				    .cid = cid_of_number(number) };
}

static struct arrival send_data(uint32_t device, const struct addr *from)
{
	const struct wire_cid cid = cid_of_number(device);
	struct wire wire = { 0 };

	add_protected(&wire, &cid, WIRE_DATA, 7);
	return send_up(from, &wire);
}

/* Where each device's server is. */
static int home[DEVICES];

static void device_joins(uint32_t device)
{
	const struct wire_hello server = server_says(device, device % 2);
	const struct addr from = source_of(device);
	const struct arrival at = offer(&from, &server);
	struct wire wire = { 0 };

	if (!server.ticket)
		wire_add_key_exchange(&wire, 1);
	wire_add_change_cipher(&wire);
	add_protected(&wire, &server.cid, WIRE_DATA, 0);
	ck_assert_int_eq(send_up(&from, &wire).at, at.at);
	if (!server.ticket)
		wire_add_change_cipher(&wire);
	add_protected(&wire, NULL, server.ticket ? WIRE_DATA : WIRE_HANDSHAKE, 1);
	ck_assert_uint_eq(send_down(&at, &wire), 1);
	home[device] = at.at;
}

static void devices_are_served(uint32_t moved_to)
{
	for (uint32_t device = 0; device < DEVICES; device++) {
		const struct addr from = source_of(moved_to + device);

		ck_assert_int_eq(send_data(device, &from).at, home[device]);
	}
}

/* Some servers send each message in a datagram of its own. When they repeat their flight, the stranger knows the CID.
 */
static void stranger_comes_between(const struct addr *from, const struct arrival *at, const struct wire_hello *server)
{
	struct wire wire = { 0 };

	for (uint64_t again = 0; again < 3; again++) {
		add_server_hello(&wire, server);
		(void)send_down(at, &wire);
		add_protected(&wire, &server->cid, WIRE_DATA, again + 20);
		(void)send_up(from, &wire);
		add_server_finished(&wire);
		(void)send_down(at, &wire);
	}
}

/* What its server says is repeated, and the stranger goes on about it. */
static void stranger_goes_on(const struct addr *from, const struct arrival *at, const struct wire_hello *server)
{
	struct wire wire = { 0 };

	for (uint64_t again = 0; again < 2; again++) {
		if (!server->ticket)
			wire_add_key_exchange(&wire, 1);
		wire_add_change_cipher(&wire);
		add_protected(&wire, &server->cid, WIRE_DATA, again);
		(void)send_up(from, &wire);
		add_protected(&wire, &server->cid, WIRE_DATA, again + 9);
		(void)send_up(from, &wire);
		add_server_flight(&wire, server);
		(void)send_down(at, &wire);
	}
	if (server->ticket)
		stranger_comes_between(from, at, server);
}

/* rebind = "follow", and "backend". */
START_TEST(strangers)
{
	const uint32_t count = handshakes();

	begin(_i);
	for (uint32_t device = 0; device < DEVICES; device++)
		device_joins(device);
	ck_assert_uint_eq(learned_count(&learned), DEVICES);
	for (uint32_t number = 0x100000; number < 0x100000 + count; number++) {
		const struct wire_hello server = server_says(number, number % 4 == 3);
		const struct addr from = source_of(number);
		const struct arrival at = offer(&from, &server);

		if (number % 8 == 7 || number % 8 == 0)
			stranger_goes_on(&from, &at, &server);
		if (number % 64 == 0)
			pass_ms(1);
		grace_end();
	}
	ck_assert_uint_eq(learned_count(&learned), DEVICES);
	ck_assert_uint_eq(learned.counts.added, DEVICES);
	ck_assert_uint_eq(learned.counts.evicted, 0);
	ck_assert_uint_eq(learned_lengths(&learned), 1U << CID_OCTETS);
	devices_are_served(0x2000000);
	ck_assert_uint_eq(counted()->handshakes_begun[bed.configured.pool_uid], DEVICES + count);
	end();
}
END_TEST

/* Where there are no flows: what is kept of handshakes is asked itself. */
START_TEST(strangers_without_flows)
{
	struct pending_cids *pending = pending_cids_new();
	struct wire wire = { 0 };
	struct pending_said said;
	uint32_t over = 0;
	uint16_t backend;
	uint8_t len;

	begin(0);
	ck_assert_ptr_nonnull(pending);
	for (uint32_t number = 0; number < handshakes(); number++) {
		const struct wire_hello server = server_says(number, number % 4 == 3);
		struct pending_reply reply = { .source = number * UINT64_C(0x9e3779b97f4a7c15),
					       .backend = 1,
					       .learns_cids = true };
		struct route_in in = { 0 };

		for (uint32_t again = 0; again < 3; again++) {
			add_server_flight(&wire, &server);
			reply.now_s = number / 1000;
			reply.data = wire.data;
			reply.len = wire.len;
			over += pending_cids_reply(pending, &bed.path->hello_key, &reply, &said) >= PENDING_OVER;
			wire.len = 0;
			add_protected(&wire, &server.cid, WIRE_DATA, again);
			in.data = wire.data;
			in.len = wire.len;
			dtls_walk(&in.view, in.data, in.len);
			ck_assert(pending_cids_find(pending, reply.source, &in, &backend, &len));
			ck_assert_uint_eq(len, CID_OCTETS);
			wire.len = 0;
		}
		if (number % 1000 != 0)
			continue;
		/* A device, whose server answers. */
		add_protected(&wire, NULL, WIRE_DATA, 1);
		reply.data = wire.data;
		reply.len = wire.len;
		ck_assert_int_eq(pending_cids_reply(pending, &bed.path->hello_key, &reply, &said), PENDING_OVER);
		ck_assert_mem_eq(said.cid.octets, server.cid.octets, CID_OCTETS);
		wire.len = 0;
	}
	ck_assert_uint_eq(over, 0);
	pending_cids_free(pending);
	end();
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, getenv("CIDLB_FULL") ? 600 : 60);
	tcase_add_loop_test(tests, strangers, 0, 2);
	tcase_add_test(tests, strangers_without_flows);
}
