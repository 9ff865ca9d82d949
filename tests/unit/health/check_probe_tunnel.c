/* Probes of pools in mode tunnel against the reference server and one of ours, both at the end of a tunnel, in one
 * event loop. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sockaddr.h"
#include "bench/programs/backend/server.h"
#include "common/proxy2.h"
#include "tests/fixtures/bind_apart.h"
#include "tests/fixtures/probe_fixture.h"
#include "tests/unit/suite.h"

enum { CID_OCTETS = 6, ID = 2, MOST_ASKED = 64, WITH_HEADER = 2048 };

static char identity[] = "probe", path[] = "/.well-known/cidlb";
static const uint8_t key[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
static const struct proxy2_keys keys = { { { 1, { 3, 4 } } }, 1 }, new_keys = { { { 2, { 5, 6 } } }, 1 };
static const struct proxy2_keys both_keys = { { { 1, { 3, 4 } }, { 2, { 5, 6 } } }, 2 },
				wrong_keys = { { { 1, { 3, 5 } } }, 1 };
static struct server *server;

static int open_udp(const char *ip, struct addr *out)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int fd;

	ck_assert_int_eq(addr_parse_ip(out, ip), 0);
	out->port = 0;
	len = sockaddr_write(&sa, out);
	fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bind_apart(fd, &sa, len);
	out->port = ntohs(((struct sockaddr_in *)&sa)->sin_port); /* at the same place in both */
	return fd;
}

static struct addr free_addr(const char *ip)
{
	struct addr addr;

	close(open_udp(ip, &addr));
	return addr;
}

/* The server's end of the tunnel: takes headers off and puts them on. Where there is a reference server, it gets
 * everything from a socket per inner source, as it knows nothing of tunnels; else a CoAP ping is answered here. */
enum answer { ANSWER, ANSWER_OTHER_SERVICE, ANSWER_OTHER_DEVICE, ANSWER_OTHER_KEY, ANSWER_UP, ANSWER_BARE, ANSWERS };

struct inner {
	struct addr source;
	int fd;
	struct event *readable;
};

static struct {
	int fd;
	struct event *readable;
	struct addr addr, to; /* `to`: the reference server */
	struct sockaddr_storage from;
	uint16_t outer[MOST_ASKED];
	size_t asked;
	enum answer answer;
	enum proxy2_version version; /* in which it answers */
	struct inner inner[MOST_ASKED];
	size_t count;
} end;

static void answer(const struct addr *device, const uint8_t *data, size_t len)
{
	struct proxy2_ends ends = { target.tunnel.service, *device, 0, (uint8_t)end.version };
	uint8_t out[WITH_HEADER];
	size_t head_len;

	ends.source.port ^= end.answer == ANSWER_OTHER_SERVICE;
	ends.destination.port ^= end.answer == ANSWER_OTHER_DEVICE ? 0x8000 : 0;
	head_len = proxy2_write(out, end.answer == ANSWER_OTHER_KEY ? &wrong_keys : &target.tunnel.keys,
				end.answer == ANSWER_UP ? PROXY2_UP : PROXY2_DOWN, &ends);
	if (end.answer == ANSWER_BARE)
		head_len = 0;
	ck_assert_uint_le(head_len + len, sizeof out);
	memcpy(out + head_len, data, len);
	ck_assert_int_gt(sendto(end.fd, out, head_len + len, 0, (struct sockaddr *)&end.from, sizeof end.from), 0);
}

static void on_inner(evutil_socket_t fd, short events, void *ctx)
{
	const struct inner *inner = ctx;
	uint8_t data[1500];
	ssize_t n = recv(fd, data, sizeof data, 0);

	(void)events;
	if (n > 0)
		answer(&inner->source, data, (size_t)n);
}

static struct inner *inner_of(const struct addr *source)
{
	struct sockaddr_storage sa;
	struct addr local;
	struct inner *inner;

	for (size_t i = 0; i < end.count; i++)
		if (addr_equal(&end.inner[i].source, source))
			return &end.inner[i];
	ck_assert_uint_lt(end.count, MOST_ASKED);
	inner = &end.inner[end.count++];
	inner->source = *source;
	inner->fd = open_udp(addr_is_v4(&end.to) ? "127.0.0.1" : "::1", &local);
	ck_assert_int_eq(connect(inner->fd, (struct sockaddr *)&sa, sockaddr_write(&sa, &end.to)), 0);
	inner->readable = event_new(base, inner->fd, EV_READ | EV_PERSIST, on_inner, inner);
	event_add(inner->readable, NULL);
	return inner;
}

static void on_end(evutil_socket_t fd, short events, void *ctx)
{
	uint8_t data[WITH_HEADER];
	struct proxy2_ends ends;
	size_t head_len;
	socklen_t from_len = sizeof end.from;
	ssize_t n = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&end.from, &from_len);
	const struct sockaddr_in *in =
		(const struct sockaddr_in *)&end.from; /* the port is at the same place in both */

	(void)events;
	(void)ctx;
	ck_assert_int_ge(n, 0);
	ck_assert_int_eq(proxy2_read(&ends, &head_len, &both_keys, PROXY2_UP, data, (size_t)n), PROXY2_GOOD);
	ck_assert_int_eq(ends.version, PROXY2_V1_OFFER);
	ck_assert_uint_lt(end.asked, MOST_ASKED);
	end.outer[end.asked++] = ntohs(in->sin_port);
	ck_assert(addr_equal(&ends.destination, &target.tunnel.service));
	ck_assert_mem_eq(ends.source.ip, target.tunnel.local.ip, 16);
	if (server) {
		send(inner_of(&ends.source)->fd, data + head_len, (size_t)n - head_len, 0);
	} else {
		inner_of(&ends.source);
		data[head_len] = 0x70; /* RST */
		answer(&ends.source, data + head_len, (size_t)n - head_len);
	}
}

static void begin(enum conf_probe probe, const char *ip)
{
	fixture_begin(probe);
	memset(&end, 0, sizeof end);
	end.fd = open_udp(ip, &end.addr);
	end.readable = event_new(base, end.fd, EV_READ | EV_PERSIST, on_end, NULL);
	event_add(end.readable, NULL);
	target.addr = end.addr;
	target.tunnel = (struct health_tunnel){ .keys = keys, .local = free_addr(ip), .service = end.addr };
	target.tunnel.service.port = 5684;
	target.how.path = path;
	target.how.psk_identity = identity;
	memcpy(target.how.psk_key, key, sizeof key);
	target.how.psk_key_len = sizeof key;
	target.layout = (struct cid_layout){
		.scheme = CID_LAYOUT_ID,
		.length = CID_OCTETS,
		.lbcid = { .scheme = LBCID_NODE_ID, .length = CID_OCTETS, .size = 1 },
	};
	target.has_id = true;
	target.id = (struct server_id){ .len = 1, .octets = { ID } };
}

static void serve(const char *ip)
{
	struct server_options options = { .id = ID,
					  .cid = { .scheme = LBCID_NODE_ID, .length = CID_OCTETS, .size = 1 },
					  .notify_ms = 1000,
					  .psk_key_len = sizeof key };

	strcpy(options.psk_identity, identity);
	memcpy(options.psk_key, key, sizeof key);
	options.listen = end.to = free_addr(ip);
	ck_assert_int_eq(server_new(&server, base, &options), 0);
}

static void finish(void)
{
	fixture_end();
	for (size_t i = 0; i < end.count; i++) {
		event_free(end.inner[i].readable);
		close(end.inner[i].fd);
	}
	event_free(end.readable);
	close(end.fd);
	server_free(server);
	server = NULL;
}

static const char *const loopback[] = { "127.0.0.1", "::1" };

static void setup(void)
{
	begin(PROBE_COAP, loopback[0]);
}

static void expect_asked_from_local(void)
{
	ck_assert_uint_gt(end.asked, 0);
	for (size_t i = 0; i < end.asked; i++)
		ck_assert_uint_eq(end.outer[i], target.tunnel.local.port);
}

static void expect_good(const struct seen *one)
{
	ck_assert_str_eq(one->reason, "2.05 Content");
	ck_assert(one->ok);
	ck_assert_str_eq(one->findings.rebinding_reason, "");
	ck_assert_int_eq(one->findings.rebinding, FINDING_GOOD);
	ck_assert_str_eq(one->findings.cid_reason, "");
	ck_assert_int_eq(one->findings.cid, FINDING_GOOD);
}

/* Whatever the number of its ports, cidlb binds one. */
START_TEST(coaps_moves_inside)
{
	begin(PROBE_COAPS, loopback[_i]);
	serve(loopback[_i]);
	probe_start();
	for (int i = 0; i < 4; i++)
		expect_good(probe_run(1));
	ck_assert_uint_eq(server->report.handshakes, 1);
	ck_assert_uint_eq(server->report.address_changes, 4);
	ck_assert_uint_eq(end.count, 5);
	for (size_t i = 0; i < end.count; i++)
		for (size_t j = 0; j < i; j++)
			ck_assert_uint_ne(end.inner[i].source.port, end.inner[j].source.port);
	expect_asked_from_local();
	finish();
}
END_TEST

START_TEST(dtls)
{
	begin(PROBE_DTLS, loopback[_i]);
	serve(loopback[_i]);
	probe_start();
	for (int i = 0; i < 3; i++) {
		const struct seen *one = probe_run(1);
		ck_assert_str_eq(one->reason, "HelloVerifyRequest or HelloRetryRequest");
		ck_assert(one->ok);
	}
	ck_assert_uint_eq(end.count, 3); /* a port inside the tunnel each */
	expect_asked_from_local();
	finish();
}
END_TEST

START_TEST(coap)
{
	begin(PROBE_COAP, loopback[_i]);
	probe_start();
	for (int i = 0; i < 3; i++) {
		const struct seen *one = probe_run(1);
		ck_assert_str_eq(one->reason, "RST");
		ck_assert(one->ok);
	}
	ck_assert_uint_eq(end.count, 1);
	expect_asked_from_local();
	finish();
}
END_TEST

START_TEST(what_is_no_answer)
{
	const struct seen *one;

	end.answer = (enum answer)_i;
	probe_start();
	one = probe_run(1);
	ck_assert(!one->ok && !one->unasked);
	ck_assert_str_eq(one->reason, "no answer through the tunnel for 1000 ms");
	ck_assert_uint_eq(end.asked, 1);
	end.answer = ANSWER;
	ck_assert(probe_run(1)->ok);
}
END_TEST

/* Every server reads what probes are written in, and its answer says what else it reads. */
START_TEST(says_what_the_server_reads)
{
	static const enum proxy2_version answers[] = { PROXY2_V1, PROXY2_V2, PROXY2_V1 };
	const struct seen *one;

	probe_start();
	for (int i = 0; i < (int)(sizeof answers / sizeof *answers); i++) {
		end.version = answers[i];
		one = probe_run(1);
		ck_assert(one->ok && one->tunnelled);
		ck_assert_int_eq(one->version, answers[i]);
	}
	end.version = PROXY2_V2;
	ck_assert_int_eq(probe_run(1)->version, PROXY2_V2);
	end.answer = ANSWER_OTHER_KEY;
	one = probe_run(1);
	ck_assert(!one->ok && one->tunnelled);
	ck_assert_int_eq(one->version, PROXY2_V1);
}
END_TEST

START_TEST(nobody_there)
{
	target.addr = free_addr(loopback[0]);
	probe_start();
	for (int i = 0; i < 3; i++)
		ck_assert_str_eq(probe_run(1)->reason, "connection refused");
}
END_TEST

/* Probes of all backends have one local port: each gets its own answers and errors. */
START_TEST(backends_are_apart)
{
	struct health_target both[2] = { target, target };
	bool answered = false, refused = false;

	both[1].addr = free_addr(loopback[0]);
	ck_assert_int_eq(health_set_targets(health, both, 2), 0);
	for (int i = 0; i < 20; i++) {
		const struct seen *one = probe_run(1);
		ck_assert_str_eq(one->reason, one->ok ? "RST" : "connection refused");
		answered |= one->ok;
		refused |= !one->ok;
	}
	ck_assert(answered && refused);
	expect_asked_from_local();
}
END_TEST

/* What is wrong here says nothing of the server. */
START_TEST(local_port_is_taken)
{
	struct addr taken;
	int fd = open_udp(loopback[0], &taken);
	char reason[HEALTH_REASON_OCTETS], local[ADDR_TEXT_OCTETS];

	target.tunnel.local = taken;
	snprintf(reason, sizeof reason, "cannot ask from %s: Address already in use", addr_format(&taken, local));
	probe_start();
	for (int i = 0; i < 2; i++) {
		const struct seen *one = probe_run(1);
		ck_assert(!one->ok && one->unasked);
		ck_assert_str_eq(one->reason, reason);
	}
	close(fd);
	ck_assert(probe_run(1)->ok);
}
END_TEST

/* As where a server has another port for such things, which is at the end of no tunnel. */
START_TEST(a_port_of_its_own_is_asked_directly)
{
	struct addr plain;
	uint8_t data[64];
	int fd = open_udp(loopback[0], &plain);

	target.how.port = plain.port;
	probe_start();
	ck_assert_str_eq(probe_run(1)->reason, "no answer for 1000 ms");
	ck_assert_int_eq(recv(fd, data, sizeof data, 0), 4);
	ck_assert_uint_eq(data[0], 0x40);
	ck_assert_uint_eq(end.asked, 0);
	ck_assert(!seen[seen_count - 1].tunnelled);
	close(fd);
}
END_TEST

START_TEST(keys_change_under_a_session)
{
	begin(PROBE_COAPS, loopback[0]);
	serve(loopback[0]);
	probe_start();
	expect_good(probe_run(1));
	target.tunnel.keys = new_keys;
	probe_start();
	for (int i = 0; i < 3; i++)
		expect_good(probe_run(1));
	ck_assert_uint_eq(server->report.handshakes, 1);
	finish();
}
END_TEST

START_TEST(another_local_address)
{
	const uint16_t before = target.tunnel.local.port;

	probe_start();
	ck_assert(probe_run(2)->ok);
	target.tunnel.local = free_addr(loopback[0]);
	probe_start();
	ck_assert(probe_run(2)->ok);
	ck_assert_uint_eq(end.outer[0], before);
	ck_assert_uint_eq(end.outer[end.asked - 1], target.tunnel.local.port);
	/* And to a pool without tunnel. */
	target.tunnel = (struct health_tunnel){ 0 };
	target.how.port = free_addr(loopback[0]).port;
	probe_start();
	ck_assert_str_eq(probe_run(1)->reason, "connection refused");
}
END_TEST

void suite(TCase *tests)
{
	TCase *coap_v4 = suite_case("coap");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, coaps_moves_inside, 0, 2);
	tcase_add_loop_test(tests, dtls, 0, 2);
	tcase_add_loop_test(tests, coap, 0, 2);
	tcase_add_test(tests, keys_change_under_a_session);
	tcase_set_timeout(coap_v4, 60);
	tcase_add_checked_fixture(coap_v4, setup, finish);
	tcase_add_loop_test(coap_v4, what_is_no_answer, ANSWER + 1, ANSWERS);
	tcase_add_test(coap_v4, says_what_the_server_reads);
	tcase_add_test(coap_v4, nobody_there);
	tcase_add_test(coap_v4, backends_are_apart);
	tcase_add_test(coap_v4, local_port_is_taken);
	tcase_add_test(coap_v4, a_port_of_its_own_is_asked_directly);
	tcase_add_test(coap_v4, another_local_address);
}
