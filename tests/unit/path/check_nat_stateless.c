/* Mode nat without a table: which pools run so, what their backends see, and whose replies go on. Datagrams are put
 * into the batch and leave through sockets on loopback. */
#include <arpa/inet.h>
#include <poll.h>
#include <unistd.h>

#include "base/sockaddr.h"
#include "control/stateless.h"
#include "path/forward.h"
#include "tests/fixtures/open_socket.h"
#include "tests/fixtures/path_bed.h"
#include "tests/fixtures/records.h"
#include "tests/unit/suite.h"

#define PREFIX  "fd00:c1d:1b00::"
#define SERVICE "198.51.100.7:5684"
#define RECORD_OF(id)                                                                                                  \
	"19fefd0001000000000001" id "20b1d07b359d3c0020000100000000000100112233445566778899aabbccddeeff00112233445566" \
	"77"

enum { WAIT_MS = 5000 };

static struct path_bed bed;
static int backends[NAT_BACKENDS], device, endpoint_fd, listener_fd;
static struct addr backend_addrs[NAT_BACKENDS], device_addr;

static struct addr parsed(const char *text)
{
	struct addr a;

	ck_assert(addr_parse(&a, text) == 0 || addr_parse_ip(&a, text) == 0);
	return a;
}

static const struct table *published(void)
{
	return path_bed_table(&bed);
}

static void publish(void)
{
	path_bed_publish(&bed);
}

static void set_up(void)
{
	struct addr endpoint, listener;

	path_bed_begin(&bed, socket_io_new());
	endpoint_fd = open_socket("::", SOCKET_ENDPOINT, &endpoint);
	listener_fd = open_socket("127.0.0.1", SOCKET_ENDPOINT, &listener);
	device = open_socket("127.0.0.1", SOCKET_ENDPOINT, &device_addr);
	bed.configured.listener.addr = parsed(SERVICE);
	bed.configured.pool.nat.rebind = REBIND_BACKEND;
	bed.configured.pool.nat.sources[0] = (struct conf_prefix){ parsed(PREFIX), 56 };
	bed.configured.pool.nat.port_first = endpoint.port;
	bed.configured.pool.nat.port_last = endpoint.port;
	for (int i = 0; i < NAT_BACKENDS; i++) {
		backends[i] = open_socket("::1", SOCKET_ENDPOINT, &backend_addrs[i]);
		bed.configured.backend[i].addr = backend_addrs[i];
	}
	bed.path->endpoint_handles[IO_V6][endpoint.port] = endpoint_fd;
	bed.path->listener_handles[bed.configured.listener_uid] = listener_fd;
	publish();
}

static void tear_down(void)
{
	for (int i = 0; i < NAT_BACKENDS; i++)
		close(backends[i]);
	close(device);
	close(endpoint_fd);
	close(listener_fd);
	path_bed_end(&bed);
}

static void uplink_from(const struct addr *from, const char *hex)
{
	path_bed_receive(&bed, from, NULL, hex);
}

static void uplink(const char *from, const char *hex)
{
	const struct addr a = parsed(from);

	uplink_from(&a, hex);
}

/* Returns what a socket gets, and who sent it. */
static size_t received(int fd, uint8_t *data, size_t room, struct addr *from)
{
	struct pollfd poll_in = { .fd = fd, .events = POLLIN };
	struct sockaddr_storage source;
	socklen_t len = sizeof source;
	ssize_t octets;

	ck_assert_int_eq(poll(&poll_in, 1, WAIT_MS), 1);
	octets = recvfrom(fd, data, room, 0, (struct sockaddr *)&source, &len);
	ck_assert_int_ge(octets, 0);
	*from = sockaddr_read(&source);
	return (size_t)octets;
}

static bool is_silent(int fd)
{
	struct pollfd poll_in = { .fd = fd, .events = POLLIN };

	return poll(&poll_in, 1, 0) == 0;
}

/* The first octet is one of DTLS 1.3, so that it may pass at the endpoint of a session, too. */
static void reply(const struct addr *from, const struct addr *endpoint)
{
	uint8_t data[] = "/eply";
	struct io_datagram datagram = { .data = data, .len = 5, .from = *from };

	memcpy(datagram.local, endpoint->ip, sizeof datagram.local);
	batch_reply(bed.path, published(), endpoint->port, &datagram, 1);
	io_flush(bed.path->outbox);
}

static struct addr endpoint_of(const struct addr *of)
{
	const struct stateless *stateless = &published()->pools[0].stateless;
	struct addr endpoint = { .port = stateless->port };

	embed_write(endpoint.ip, &stateless->embed, of);
	return endpoint;
}

static uint64_t dropped(enum stateless_drop reason)
{
	return atomic_load(&bed.path->stats.stateless_dropped[bed.configured.pool_uid][reason]);
}

static uint64_t replies(void)
{
	return atomic_load(&bed.path->stats.replies[bed.configured.pool_uid]);
}

static uint64_t sent_down(int backend)
{
	return atomic_load(&bed.path->stats.sent_down[bed.configured.uid[backend]].datagrams);
}

/* The input is c0 00 02 01 | dc 04 | c6 33 64 07 | 16 34. The key is what the label "stateless:p" gives under sixteen
 * zeros. SipHash-2-4 is then 02693610f2e7d67a, as another implementation computed. */
START_TEST(literal_endpoint)
{
	static const uint8_t ip[16] = { 0xfd, 0, 0x0c, 0x1d, 0x1b, 0, 0, 0xe7, 0xd6, 0x7a, 192, 0, 2, 1, 0xdc, 0x04 };
	struct octets record = octets_of(RECORD_OF("02"));
	uint8_t data[256];
	struct addr from;

	uplink("192.0.2.1:56324", RECORD_OF("02"));
	ck_assert_uint_eq(received(backends[1], data, sizeof data, &from), record.len);
	ck_assert_mem_eq(data, record.at, record.len);
	ck_assert_mem_eq(from.ip, ip, sizeof ip);
	ck_assert_uint_eq(from.port, bed.configured.pool.nat.port_first);
	ck_assert_uint_eq(atomic_load(&bed.path->stats.sent_up[bed.configured.uid[1]].datagrams), 1);
	free(record.at);
}
END_TEST

/* One device has one endpoint, without a CID, with one, and with another. There is no flow. */
START_TEST(one_endpoint_per_device)
{
	static const char *const hellos[] = { MBEDTLS_CLIENT_HELLO, RECORD_OF("01"), RECORD_OF("03") };
	const struct addr source = parsed("192.0.2.1:56324"), endpoint = endpoint_of(&source);
	struct addr from;
	uint8_t data[256];

	for (size_t i = 0; i < sizeof hellos / sizeof hellos[0]; i++) {
		uplink("192.0.2.1:56324", hellos[i]);
		for (int b = 0; b < NAT_BACKENDS; b++)
			if (!is_silent(backends[b])) {
				received(backends[b], data, sizeof data, &from);
				ck_assert(addr_equal(&from, &endpoint));
			}
	}
	ck_assert_uint_eq(flows_count(bed.shared.flows, bed.configured.pool_uid).flows[FLOW_CLASS_HANDSHAKE], 0);
	ck_assert_uint_eq(atomic_load(&bed.path->stats.verdicts[bed.configured.listener_uid][VERDICT_HINT]), 0);
	ck_assert_uint_eq(atomic_load(&bed.path->stats.sent_up[bed.configured.uid[0]].datagrams) +
				  atomic_load(&bed.path->stats.sent_up[bed.configured.uid[1]].datagrams) +
				  atomic_load(&bed.path->stats.sent_up[bed.configured.uid[2]].datagrams),
			  3);
}
END_TEST

START_TEST(no_address)
{
	bed.configured.backend[1].addr = (struct addr){ .port = 6001 };
	publish();
	uplink("192.0.2.1:56324", RECORD_OF("02"));
	ck_assert_uint_eq(atomic_load(&bed.path->stats.refused_up[bed.configured.pool_uid][REFUSED_NO_ADDRESS]), 1);
	ck_assert_uint_eq(atomic_load(&bed.path->stats.verdicts[bed.configured.listener_uid][VERDICT_CID]), 1);
}
END_TEST

START_TEST(replies_arrive)
{
	const struct addr endpoint = endpoint_of(&device_addr);
	uint8_t data[16];
	struct addr from;

	for (int i = 0; i < NAT_BACKENDS; i++) {
		reply(&backend_addrs[i], &endpoint);
		ck_assert_uint_eq(received(device, data, sizeof data, &from), 5);
		ck_assert_mem_eq(data, "/eply", 5);
		ck_assert_uint_eq(sent_down(i), 1);
	}
	ck_assert_uint_eq(replies(), 3);
	ck_assert_uint_eq(dropped(STATELESS_CHECK) + dropped(STATELESS_SOURCE), 0);
}
END_TEST

/* The check covers every bit of the address, the port, and whose backend it is. */
START_TEST(forged_replies)
{
	const struct addr endpoint = endpoint_of(&device_addr);
	struct addr other = endpoint, stranger = backend_addrs[0];

	for (unsigned bit = 56; bit < 128; bit++) {
		other.ip[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		reply(&backend_addrs[0], &other);
		other.ip[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
	}
	ck_assert_uint_eq(dropped(STATELESS_CHECK), 72);
	other.port ^= 1;
	reply(&backend_addrs[0], &other);
	ck_assert_uint_eq(dropped(STATELESS_CHECK), 73);
	ck_assert_uint_eq(dropped(STATELESS_SOURCE), 0);
	stranger.port ^= 1;
	reply(&stranger, &endpoint);
	stranger = parsed("[2001:db8::1]:5684");
	reply(&stranger, &endpoint);
	ck_assert_uint_eq(dropped(STATELESS_SOURCE), 2);
	ck_assert_uint_eq(replies(), 0);
	ck_assert_uint_eq(bed.path->stats.strays, 0);
	ck_assert(is_silent(device));
	/* An address beyond the prefix is no endpoint of this pool. */
	other = endpoint;
	other.ip[6] ^= 1;
	reply(&backend_addrs[0], &other);
	ck_assert_uint_eq(bed.path->stats.strays, 1);
	ck_assert_uint_eq(dropped(STATELESS_CHECK), 73);
}
END_TEST

/* A backend that is no longer configured is a stranger. */
START_TEST(backend_gone)
{
	const struct addr endpoint = endpoint_of(&device_addr);

	bed.configured.pool.backend_count = 2;
	bed.configured.owner[2] = SNAPSHOT_NO_BACKEND;
	publish();
	reply(&backend_addrs[2], &endpoint);
	ck_assert_uint_eq(dropped(STATELESS_SOURCE), 1);
	ck_assert(is_silent(device));
}
END_TEST

START_TEST(previous_key)
{
	const struct addr before = endpoint_of(&device_addr);
	uint8_t data[16];
	struct addr now, from;

	bed.configured.conf.has_previous_key = true;
	memcpy(bed.configured.conf.previous_key, bed.configured.conf.hash_key, 16);
	bed.configured.conf.hash_key[0] ^= 1;
	publish();
	now = endpoint_of(&device_addr);
	ck_assert(!addr_equal(&now, &before));
	reply(&backend_addrs[0], &before);
	reply(&backend_addrs[0], &now);
	received(device, data, sizeof data, &from);
	received(device, data, sizeof data, &from);
	bed.configured.conf.has_previous_key = false;
	publish();
	reply(&backend_addrs[0], &before);
	ck_assert_uint_eq(dropped(STATELESS_CHECK), 1);
	ck_assert_uint_eq(sent_down(0), 2);
}
END_TEST

/* A flow is left from before a reload took the table away. A reply still goes to its device. */
START_TEST(flow_of_before)
{
	static const struct flows_limits limits = { .max_flows = 64, .idle_ms = 1000, .cid_idle_ms = 2000 };
	struct addr endpoint;
	uint8_t data[256];

	ck_assert_int_eq(flows_set_limits(bed.shared.flows, bed.configured.pool_uid, &limits), 0);
	bed.configured.pool.nat.rebind = REBIND_FOLLOW;
	publish();
	ck_assert_ptr_eq(published()->pools[0].forwarder, &forward_nat_follow);
	uplink_from(&device_addr, RECORD_OF("02"));
	received(backends[1], data, sizeof data, &endpoint);
	bed.configured.pool.nat.rebind = REBIND_BACKEND;
	publish();
	ck_assert_ptr_eq(published()->pools[0].forwarder, &forward_nat_stateless);
	reply(&backend_addrs[1], &endpoint);
	received(device, data, sizeof data, &endpoint);
	ck_assert_uint_eq(dropped(STATELESS_CHECK), 0);
	ck_assert_uint_eq(replies(), 1);
}
END_TEST

static uint16_t error_backend(const struct icmp_error *error, const struct addr *endpoint)
{
	const struct undelivered datagram = {
		.table = published(), .error = error, .pool = TABLE_NONE, .endpoint = *endpoint
	};

	return forward_nat_stateless.error(bed.path, &datagram);
}

START_TEST(icmp_errors)
{
	const struct addr endpoint = endpoint_of(&device_addr);
	struct icmp_error error = { .to = backend_addrs[1] };
	struct addr other = endpoint;

	ck_assert_uint_eq(error_backend(&error, &endpoint), bed.configured.uid[1]);
	other.ip[9] ^= 1;
	ck_assert_uint_eq(error_backend(&error, &other), SNAPSHOT_NO_BACKEND);
	error.to.port ^= 1;
	ck_assert_uint_eq(error_backend(&error, &endpoint), SNAPSHOT_NO_BACKEND);
}
END_TEST

static const struct condition {
	const char *source, *listener, *second; /* second: another listener of the pool, or NULL */
	unsigned bits, sources;
	enum conf_rebind rebind;
	bool stateless;
} conditions[] = {
	{ PREFIX, SERVICE, NULL, 56, 1, REBIND_BACKEND, true },
	{ "fd00::", SERVICE, NULL, 8, 1, REBIND_BACKEND, true },
	{ PREFIX, SERVICE, NULL, 64, 1, REBIND_BACKEND, true },
	{ PREFIX, SERVICE, NULL, 65, 1, REBIND_BACKEND, false },
	{ PREFIX, SERVICE, NULL, 112, 1, REBIND_BACKEND, false },
	{ "2001:db8::1", SERVICE, NULL, 128, 1, REBIND_BACKEND, false },
	{ PREFIX, SERVICE, NULL, 56, 1, REBIND_FOLLOW, false },
	{ PREFIX, SERVICE, NULL, 56, 2, REBIND_BACKEND, false },
	{ "127.64.0.0", SERVICE, NULL, 10, 1, REBIND_BACKEND, false },
	{ PREFIX, "0.0.0.0:5684", NULL, 56, 1, REBIND_BACKEND, false },
	{ PREFIX, "[2001:db8::1]:5684", NULL, 56, 1, REBIND_BACKEND, false },
	{ PREFIX, "[::]:5684", NULL, 56, 1, REBIND_BACKEND, false },
	{ PREFIX, SERVICE, "198.51.100.7:5685", 56, 1, REBIND_BACKEND, false },
	{ PREFIX, SERVICE, "[2001:db8::1]:5684", 56, 1, REBIND_BACKEND, false },
};

START_TEST(which_pools)
{
	const struct condition *row = &conditions[_i];
	struct conf_listener listeners[3] = { { .addr = parsed("192.0.2.1:5684"), .pool = 1 },
					      { .addr = parsed(row->listener) } };
	struct conf_pool pools[2] = { { .name = "p" }, { .name = "q" } };
	struct conf conf = { .pools = pools, .pool_count = 2, .listeners = listeners, .listener_count = 2 };
	char text[STATELESS_TEXT_OCTETS];

	if (row->second)
		listeners[conf.listener_count++].addr = parsed(row->second);
	pools[0].nat = (struct conf_nat){ .rebind = row->rebind, .source_count = row->sources };
	pools[0].nat.sources[0] = (struct conf_prefix){ parsed(row->source), (uint8_t)row->bits };
	pools[0].nat.sources[1] = (struct conf_prefix){ parsed("fd01::"), 64 };
	ck_assert_ptr_eq(stateless_listener(&conf, 0), row->stateless ? &listeners[1] : NULL);
	ck_assert_ptr_null(stateless_listener(&conf, 1));
	if (_i == 0)
		ck_assert_str_eq(
			stateless_explain(text, &conf, 0),
			"runs without a table: servers see addresses in fd00:c1d:1b00::/56 that carry those of "
			"the devices of 198.51.100.7:5684 and a check of 24 bits");
}
END_TEST

/* One receive brings replies of every kind, in every order: each is counted once, and two reach the device. */
START_TEST(replies_of_every_kind_at_once)
{
	enum { STATELESS, OF_A_FLOW, WRONG_CHECK, WRONG_SOURCE, STRAY, KINDS };
	static const struct flows_limits limits = { .max_flows = 64, .idle_ms = 1000, .cid_idle_ms = 2000 };
	static const char digits[KINDS + 1] = "01234"; /* also first octets of DTLS 1.3 */
	struct addr endpoints[KINDS], from[KINDS] = { backend_addrs[0], backend_addrs[1], backend_addrs[2],
						      parsed("[2001:db8::1]:9"), backend_addrs[0] };
	struct io_datagram datagrams[KINDS];
	uint8_t data[256];
	struct addr sender;

	ck_assert_int_eq(flows_set_limits(bed.shared.flows, bed.configured.pool_uid, &limits), 0);
	bed.configured.pool.nat.rebind = REBIND_FOLLOW;
	publish();
	uplink_from(&device_addr, RECORD_OF("02"));
	received(backends[1], data, sizeof data, &endpoints[OF_A_FLOW]);
	bed.configured.pool.nat.rebind = REBIND_BACKEND;
	publish();
	endpoints[STATELESS] = endpoints[WRONG_CHECK] = endpoints[WRONG_SOURCE] = endpoints[STRAY] =
		endpoint_of(&device_addr);
	endpoints[WRONG_CHECK].ip[9] ^= 1;
	endpoints[STRAY].ip[1] ^= 1;
	for (uint64_t round = 1; round <= KINDS; round++) {
		for (uint64_t i = 0; i < KINDS; i++) {
			const uint64_t kind = (i + round) % KINDS;

			datagrams[i] = (struct io_datagram){ .data = (uint8_t *)(uintptr_t)&digits[kind],
							     .len = 1,
							     .from = from[kind] };
			memcpy(datagrams[i].local, endpoints[kind].ip, sizeof datagrams[i].local);
		}
		batch_reply(bed.path, published(), endpoints[OF_A_FLOW].port, datagrams, KINDS);
		io_flush(bed.path->outbox);
		ck_assert_uint_eq(received(device, data, sizeof data, &sender), 1);
		ck_assert_int_eq(data[0], digits[STATELESS]);
		ck_assert_uint_eq(received(device, data, sizeof data, &sender), 1);
		ck_assert_int_eq(data[0], digits[OF_A_FLOW]);
		ck_assert(is_silent(device));
		ck_assert_uint_eq(replies(), 2 * round);
		ck_assert_uint_eq(sent_down(0), round);
		ck_assert_uint_eq(sent_down(1), round);
		ck_assert_uint_eq(dropped(STATELESS_CHECK), round);
		ck_assert_uint_eq(dropped(STATELESS_SOURCE), round);
		ck_assert_uint_eq(bed.path->stats.strays, round);
	}
}
END_TEST

#define KEY_EXCHANGE "16fefd0000000000000002 000d 10 000001 0002 000000 000001 00"

static uint64_t verdicts(enum verdict verdict)
{
	return bed.path->stats.verdicts[bed.configured.listener_uid][verdict];
}

/* The rest of a handshake reaches the server that it began with, or the one that asked for a cookie last. */
START_TEST(hint_of_a_handshake)
{
	struct octets verify = octets_of(MBEDTLS_HELLO_VERIFY_REQUEST);
	struct io_datagram reply = { .data = verify.at, .len = verify.len, .from = backend_addrs[1] };
	const struct addr endpoint = endpoint_of(&device_addr);

	bed.configured.backend[1].admin = bed.configured.backend[2].admin = BACKEND_MAINT;
	publish();
	uplink_from(&device_addr, MBEDTLS_CLIENT_HELLO);
	bed.configured.backend[0].admin = BACKEND_DRAIN;
	bed.configured.backend[1].admin = BACKEND_READY;
	publish();
	uplink_from(&device_addr, KEY_EXCHANGE);
	uplink_from(&device_addr, MBEDTLS_CLIENT_HELLO);
	ck_assert_uint_eq(bed.path->stats.sent_up[bed.configured.uid[0]].datagrams, 3);
	ck_assert_uint_eq(verdicts(VERDICT_HINT), 2);
	memcpy(reply.local, endpoint.ip, sizeof reply.local);
	batch_reply(bed.path, published(), endpoint.port, &reply, 1);
	io_flush(bed.path->outbox);
	ck_assert_uint_eq(sent_down(1), 1);
	uplink_from(&device_addr, KEY_EXCHANGE);
	ck_assert_uint_eq(bed.path->stats.sent_up[bed.configured.uid[1]].datagrams, 1);
	ck_assert_uint_eq(verdicts(VERDICT_HINT), 3);
	free(verify.at);
}
END_TEST

void suite(TCase *tests)
{
	TCase *conf = suite_case("conf");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, literal_endpoint);
	tcase_add_test(tests, one_endpoint_per_device);
	tcase_add_test(tests, no_address);
	tcase_add_test(tests, replies_arrive);
	tcase_add_test(tests, forged_replies);
	tcase_add_test(tests, backend_gone);
	tcase_add_test(tests, previous_key);
	tcase_add_test(tests, flow_of_before);
	tcase_add_test(tests, icmp_errors);
	tcase_add_test(tests, hint_of_a_handshake);
	tcase_add_test(tests, replies_of_every_kind_at_once);
	tcase_add_loop_test(conf, which_pools, 0, sizeof conditions / sizeof conditions[0]);
}
