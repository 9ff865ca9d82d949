/* What the filter lets in, by the kernel itself: a Unix socket filters what comes to it, as a packet socket does. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/udp_packet.h"
#include "io/answers_filter.h"
#include "tests/unit/suite.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct addr service = { { [10] = 0xff, 0xff, 192, 0, 2, 10 }, 5684 };
static const struct addr other_service = { { [10] = 0xff, 0xff, 192, 0, 2, 11 }, 5684 };
static const struct addr same_host = { { [10] = 0xff, 0xff, 192, 0, 2, 10 }, 5685 };
static const struct addr here = { { [10] = 0xff, 0xff, 10, 0, 0, 1 }, 0 };
static const struct addr also_here = { { [10] = 0xff, 0xff, 10, 0, 0, 2 }, 0 };

static struct addr at(struct addr host, uint16_t port)
{
	host.port = port;
	return host;
}

static int ends[2]; /* in, out */
static struct sock_filter code[ANSWERS_FILTER_MAX];

static void setup(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends), 0);
}

static void teardown(void)
{
	close(ends[0]);
	close(ends[1]);
}

static void attach(const struct answers_port *ports, size_t count)
{
	struct sock_fprog program = { .filter = code };

	program.len = (unsigned short)answers_filter_make(code, ports, count);
	ck_assert_uint_gt(program.len, 0);
	ck_assert_int_eq(setsockopt(ends[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
}

/* A Unix socket tells its sender of nothing that the filter drops. */
static bool lets_octets_in(const uint8_t *octets, size_t len)
{
	uint8_t out[200];
	ssize_t n;

	(void)send(ends[0], octets, len, 0);
	n = recv(ends[1], out, sizeof out, 0);
	if (n < 0)
		return false;
	ck_assert_uint_eq((size_t)n, len);
	ck_assert_mem_eq(out, octets, len);
	return true;
}

static size_t packet_write(uint8_t out[static 100], struct addr from, struct addr to)
{
	const struct udp_packet packet = { from, to, 64, 0, (const uint8_t *)"answer", 6 };
	struct udp_packet_part part;

	udp_packet_whole(&part, &packet);
	memcpy(out, part.head, part.head_len);
	memcpy(out + part.head_len, part.data, part.len);
	return part.head_len + part.len;
}

static bool lets_in(struct addr from, struct addr to)
{
	uint8_t octets[100];

	return lets_octets_in(octets, packet_write(octets, from, to));
}

START_TEST(nothing)
{
	attach(NULL, 0);
	ck_assert(!lets_in(service, at(here, 40000)));
	ck_assert(!lets_octets_in((const uint8_t *)"", 1));
}
END_TEST

/* Each port has one sender, at one address and port. */
START_TEST(ends_that_fit)
{
	const struct answers_port ports[] = {
		{ service, at(here, 40000) },   { other_service, at(here, 40001) }, { service, at(here, 40002) },
		{ same_host, at(here, 40003) }, { service, at(also_here, 40004) },  { service, at(here, 65535) },
	};
	const struct addr from[] = { service, other_service, same_host, at(service, 1), at(here, 5684) };
	const struct addr to[] = { here, also_here, service };

	attach(ports, COUNT(ports));
	for (size_t i = 0; i < COUNT(from); i++) {
		for (size_t j = 0; j < COUNT(to); j++) {
			static const uint16_t numbers[] = { 39999, 40000, 40001, 40002, 40003,
							    40004, 40005, 5684,  65535, 65534 };
			for (size_t k = 0; k < COUNT(numbers); k++) {
				const struct answers_port one = { from[i], at(to[j], numbers[k]) };
				bool fits = false;

				for (size_t n = 0; n < COUNT(ports); n++)
					fits |= addr_equal(&one.from, &ports[n].from) &&
						addr_equal(&one.to, &ports[n].to);
				ck_assert_msg(lets_in(one.from, one.to) == fits, "%zu, %zu, %u", i, j, numbers[k]);
			}
		}
	}
}
END_TEST

/* Also where jumps are long. */
START_TEST(as_many_as_there_may_be)
{
	static struct answers_port ports[ANSWERS_PORTS];

	for (size_t count = 1; count <= ANSWERS_PORTS; count = count < 130 ? count + 43 : count * 2 + 1) {
		for (size_t i = 0; i < count; i++)
			ports[i] = (struct answers_port){ i % 3 ? service : other_service,
							  at(here, (uint16_t)(40000 + 2 * i)) };
		attach(ports, count);
		for (size_t i = 0; i < count; i++) {
			ck_assert(lets_in(ports[i].from, ports[i].to));
			ck_assert(!lets_in(ports[i].from, at(here, (uint16_t)(ports[i].to.port + 1))));
			ck_assert(!lets_in(i % 3 ? other_service : service, ports[i].to));
		}
	}
	for (size_t i = 0; i < ANSWERS_PORTS; i++)
		ports[i] = (struct answers_port){ service, at(here, (uint16_t)(1024 + i)) };
	attach(ports, ANSWERS_PORTS);
	ck_assert(lets_in(service, at(here, 1024)) && lets_in(service, at(here, 2047)));
	ck_assert(!lets_in(service, at(here, 1023)) && !lets_in(service, at(here, 2048)));
}
END_TEST

/* More pairs of addresses than a program has room for. */
START_TEST(too_long)
{
	static struct answers_port ports[ANSWERS_PORTS];

	for (size_t i = 0; i < ANSWERS_PORTS; i++)
		ports[i] = (struct answers_port){ at(service, (uint16_t)(i + 1)), at(here, 40000) };
	ck_assert_uint_eq(answers_filter_make(code, ports, ANSWERS_PORTS), 0);
	ck_assert_uint_gt(answers_filter_make(code, ports, 300), 0);
}
END_TEST

/* The header may have options; a fragment, another protocol and what is cut short stay out. */
START_TEST(only_whole_datagrams)
{
	const struct answers_port port = { service, at(here, 40000) };
	uint8_t octets[100], longer[104];
	const size_t len = packet_write(octets, port.from, port.to);

	attach(&port, 1);
	ck_assert(lets_octets_in(octets, len));
	memcpy(longer, octets, 20);
	memset(longer + 20, 1, 4);
	memcpy(longer + 24, octets + 20, len - 20);
	longer[0] = 0x46;
	ck_assert(lets_octets_in(longer, len + 4));
	longer[0] = 0x45;
	ck_assert(!lets_octets_in(longer, len + 4));
	octets[9] = 6;
	ck_assert(!lets_octets_in(octets, len));
	octets[9] = 17;
	octets[6] = 0x20; /* more fragments */
	ck_assert(!lets_octets_in(octets, len));
	octets[6] = 0;
	ck_assert(lets_octets_in(octets, len));
	octets[7] = 1; /* not the first */
	ck_assert(!lets_octets_in(octets, len));
	octets[7] = 0;
	for (size_t some = 1; some < 24; some++)
		ck_assert(!lets_octets_in(octets, some));
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, nothing);
	tcase_add_test(tests, ends_that_fit);
	tcase_add_test(tests, as_many_as_there_may_be);
	tcase_add_test(tests, too_long);
	tcase_add_test(tests, only_whole_datagrams);
}
