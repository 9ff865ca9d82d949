/* When a probe takes the other way, without a socket: its kind only counts how often it is opened and closed. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "health/encap.h"
#include "health/way.h"
#include "io/answers.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

enum { FALL = 3 };

struct fake {
	struct probe probe;
	int known; /* what it has learned */
};

static unsigned opened, closed;
static int open_err;

static int fake_open(struct probe *probe)
{
	ck_assert_int_eq(((struct fake *)probe)->known, 0);
	opened += open_err == 0;
	return open_err;
}

static void fake_close(struct probe *probe)
{
	(void)probe;
	closed++;
}

static void fake_received(struct probe *probe, struct probe_port *port, const uint8_t *data, size_t len)
{
	(void)probe;
	(void)port;
	(void)data;
	(void)len;
}

static const struct probe_kind kind = {
	.octets = sizeof(struct fake), .open = fake_open, .close = fake_close, .received = fake_received
};
static struct encap encap;
static struct fake fake;
static struct probe *const probe = &fake.probe;
static char reason[HEALTH_REASON_OCTETS];

static const struct health_result answered = { .ok = true, .reason = "answered" };
static const struct health_result silent = { .reason = "no answer" };
static const struct health_result no_memory = { .reason = "out of memory", .unasked = true };

static void setup(void)
{
	encap = (struct encap){ .answers = 3 };
	fake = (struct fake){ .probe = { .kind = &kind, .encap = &encap } };
	probe->spec.how.fall = FALL;
	probe->spec.encap.service = (struct addr){ { [10] = 0xff, 0xff, 192, 0, 2, 10 }, 5684 };
	probe->spec.encap.from[15] = 1;
	opened = closed = 0;
	open_err = 0;
}

/* A question that ends with this result. True: it was reported. */
static bool asked(const struct health_result *result)
{
	probe->heard = false;
	if (way_is_due(probe))
		ck_assert_int_eq(way_turn(probe), 0);
	fake.known++;
	if (result->ok)
		probe_hear(probe);
	if (way_leaves_another(probe, result))
		return false;
	way_judge(probe, result, reason);
	return true;
}

static void refused(unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		probe->refusals++;
		ck_assert(asked(&silent));
	}
}

START_TEST(own_address_is_kept_to)
{
	ck_assert(asked(&answered));
	ck_assert_str_eq(reason, "answered");
	for (int i = 0; i < 2 * FALL; i++)
		ck_assert(asked(&silent));
	ck_assert_str_eq(reason, "no answer");
	ck_assert_uint_eq(probe->way, PROBE_OWN);
	ck_assert_uint_eq(closed, 0);
	ck_assert(!way_leads_through(probe));
}
END_TEST

/* Refused until it is down; then the server may be somewhere else. */
START_TEST(own_address_refuses)
{
	ck_assert(asked(&answered));
	refused(FALL - 1);
	ck_assert(!way_leads_through(probe));
	refused(1);
	ck_assert(way_leads_through(probe));
	ck_assert(!asked(&silent));
	ck_assert(asked(&answered));
	ck_assert_str_eq(reason, "answered through the encapsulation");
	ck_assert_uint_eq(probe->way, PROBE_ENCAP);
	ck_assert_uint_eq(opened, 1);
	ck_assert_uint_eq(closed, 1);
}
END_TEST

START_TEST(service_address_alone)
{
	ck_assert(way_leads_through(probe));
	ck_assert(!asked(&silent));
	ck_assert(asked(&answered));
	for (int i = 0; i < FALL - 1; i++) {
		ck_assert(asked(&silent));
		ck_assert_str_eq(reason, "no answer");
		ck_assert_uint_eq(probe->way, PROBE_ENCAP);
	}
	ck_assert(asked(&answered));
	for (int i = 0; i < FALL; i++)
		ck_assert(asked(&silent));
	/* Down: it is looked for anew. */
	ck_assert(!asked(&silent));
	ck_assert_uint_eq(probe->way, PROBE_OWN);
	ck_assert(asked(&silent));
	ck_assert_str_eq(reason, "no answer at its own address; no answer");
	ck_assert(asked(&answered));
	ck_assert_uint_eq(probe->way, PROBE_OWN);
}
END_TEST

START_TEST(nowhere)
{
	for (int i = 0; i < 2 * FALL; i++) {
		ck_assert(!asked(&silent));
		ck_assert(asked(&silent));
		ck_assert_str_eq(reason, "no answer at its own address; no answer");
	}
	ck_assert(way_leads_through(probe));
}
END_TEST

/* Something else than an answer shows that somebody listens there. */
START_TEST(noise)
{
	probe_hear(probe);
	ck_assert(!way_leaves_another(probe, &silent));
	way_judge(probe, &silent, reason);
	ck_assert(!way_leads_through(probe));
}
END_TEST

START_TEST(what_was_not_asked_says_nothing)
{
	ck_assert(asked(&no_memory));
	ck_assert_uint_eq(probe->way, PROBE_OWN);
	ck_assert(!asked(&silent));
	ck_assert(asked(&no_memory));
	ck_assert_uint_eq(probe->way, PROBE_ENCAP);
	ck_assert(asked(&answered));
	ck_assert_str_eq(reason, "answered through the encapsulation");
}
END_TEST

/* It forgets what it knew, and begins on the same way. */
START_TEST(another_source)
{
	ck_assert(!asked(&silent));
	ck_assert(asked(&answered));
	way_begin_anew(probe);
	ck_assert(way_is_due(probe));
	ck_assert(asked(&answered));
	ck_assert_int_eq(fake.known, 1);
	ck_assert_uint_eq(probe->way, PROBE_ENCAP);
	ck_assert_uint_eq(closed, 2);
}
END_TEST

START_TEST(without_memory_it_is_still_due)
{
	ck_assert(!asked(&silent));
	open_err = -ENOMEM;
	ck_assert_int_eq(way_turn(probe), -ENOMEM);
	ck_assert(way_is_due(probe));
	open_err = 0;
	ck_assert(asked(&answered));
	ck_assert_uint_eq(probe->way, PROBE_ENCAP);
}
END_TEST

static void no_service(void)
{
	probe->spec.encap.service.port = 0;
}

static void port_of_its_own(void)
{
	probe->spec.how.port = 8080;
}

static void no_socket(void)
{
	encap.answers = -1;
}

static const struct {
	const char *name;
	void (*take)(void);
} without[] = { { "another mode", no_service }, { "health.port", port_of_its_own }, { "no socket", no_socket } };

START_TEST(there_is_no_other)
{
	without[_i].take();
	ck_assert_msg(asked(&silent), "%s", without[_i].name);
	ck_assert_str_eq(reason, "no answer");
	ck_assert(!way_leads_through(probe));
}
END_TEST

START_TEST(ipv6_needs_no_socket)
{
	encap.answers = -1;
	memset(probe->spec.encap.service.ip, 0xfd, 16);
	ck_assert(!asked(&silent));
}
END_TEST

/* In IPv4 all ports share what receives. */
START_TEST(no_room)
{
	struct probe_port port = { .socket = { .fd = socket(AF_INET, SOCK_DGRAM, 0) } };

	encap.count = ANSWERS_PORTS;
	ck_assert_int_eq(encap_add(&port, probe), -ENOBUFS);
	ck_assert_ptr_null(port.probe);
	ck_assert_ptr_null(encap.ports);
	close(port.socket.fd);
}
END_TEST

START_TEST(no_next_hop)
{
	ck_assert(!way_is_closed(probe));
	ck_assert(!asked(&silent));
	ck_assert(asked(&answered));
	ck_assert(!way_is_closed(probe));
	memset(probe->spec.encap.from, 0, 16);
	ck_assert(way_is_closed(probe));
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, own_address_is_kept_to);
	tcase_add_test(tests, own_address_refuses);
	tcase_add_test(tests, service_address_alone);
	tcase_add_test(tests, nowhere);
	tcase_add_test(tests, noise);
	tcase_add_test(tests, what_was_not_asked_says_nothing);
	tcase_add_test(tests, another_source);
	tcase_add_test(tests, without_memory_it_is_still_due);
	tcase_add_loop_test(tests, there_is_no_other, 0, COUNT_OF(without));
	tcase_add_test(tests, ipv6_needs_no_socket);
	tcase_add_test(tests, no_room);
	tcase_add_test(tests, no_next_hop);
}
