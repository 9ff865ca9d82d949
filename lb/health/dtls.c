/* The `dtls` probe: a ClientHello, and any DTLS. Each has a port of its own: pion answers one ClientHello without a
 * cookie per address and port. */
#include <event2/util.h>

#include "health/datagram.h"
#include "health/probe_hello.h"

static int say_hello(const struct datagram *datagram)
{
	uint8_t hello[PROBE_HELLO_OCTETS], random[PROBE_HELLO_RANDOM_OCTETS];

	evutil_secure_rng_get_bytes(random, sizeof random);
	probe_hello_write(hello, random);
	return probe_port_send(&datagram->port, hello, sizeof hello);
}

/* The port before was open until now, for answers that come late. */
static void dtls_begin(struct probe *probe)
{
	struct datagram *datagram = (struct datagram *)probe;
	int err;

	probe_port_close(&datagram->port);
	err = datagram_prepare(datagram);
	if (!err)
		err = say_hello(datagram);
	datagram_sent(datagram, err);
}

static void dtls_wake(struct probe *probe)
{
	datagram_give_up((struct datagram *)probe, "DTLS");
}

static void dtls_received(struct probe *probe, struct probe_port *port, const uint8_t *data, size_t len)
{
	const enum probe_answer answer = probe_hello_read(data, len);

	/* Also when it comes late: else the server keeps a session, and repeats its answer. */
	if (answer == PROBE_ANSWER_SERVER_HELLO)
		(void)probe_port_send(port, probe_hello_abort, PROBE_ABORT_OCTETS);
	datagram_received((struct datagram *)probe, answer != PROBE_ANSWER_NONE ? probe_answer_name(answer) : NULL,
			  len);
}

const struct probe_kind probe_dtls = {
	.octets = sizeof(struct datagram),
	.open = datagram_open,
	.begin = dtls_begin,
	.wake = dtls_wake,
	.close = datagram_close,
	.received = dtls_received,
	.failed = probe_fail,
};
