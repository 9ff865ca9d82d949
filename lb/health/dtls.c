/* The `dtls` probe: a ClientHello, and any DTLS. */
#include <string.h>

#include <event2/util.h>

#include "health/datagram.h"
#include "health/probe_hello.h"

struct dtls {
	struct datagram datagram;
	uint64_t records; /* sent so far */
};

static int send_record(struct dtls *dtls, uint8_t *record, size_t len)
{
	probe_hello_number(record, dtls->records++);
	return probe_port_send(&dtls->datagram.port, record, len);
}

static int say_hello(struct dtls *dtls)
{
	uint8_t hello[PROBE_HELLO_OCTETS], random[PROBE_HELLO_RANDOM_OCTETS];

	evutil_secure_rng_get_bytes(random, sizeof random);
	probe_hello_write(hello, random);
	return send_record(dtls, hello, sizeof hello);
}

static void end_session(struct dtls *dtls)
{
	uint8_t alert[PROBE_ABORT_OCTETS];

	memcpy(alert, probe_hello_abort, sizeof alert);
	send_record(dtls, alert, sizeof alert);
}

static void dtls_begin(struct probe *probe)
{
	struct dtls *dtls = (struct dtls *)probe;
	int err = datagram_prepare(&dtls->datagram);

	if (!err)
		err = say_hello(dtls);
	datagram_sent(&dtls->datagram, err);
}

static void dtls_wake(struct probe *probe)
{
	datagram_give_up((struct datagram *)probe, "DTLS");
}

static void dtls_received(struct probe *probe, struct probe_port *port, const uint8_t *data, size_t len)
{
	struct dtls *dtls = (struct dtls *)probe;
	const enum probe_answer answer = probe_hello_read(data, len);

	(void)port;
	/* Also when it comes late: else the server keeps a session, and repeats its answer. */
	if (answer == PROBE_ANSWER_SERVER_HELLO)
		end_session(dtls);
	datagram_received(&dtls->datagram, answer != PROBE_ANSWER_NONE ? probe_answer_name(answer) : NULL, len);
}

const struct probe_kind probe_dtls = {
	.octets = sizeof(struct dtls),
	.open = datagram_open,
	.begin = dtls_begin,
	.wake = dtls_wake,
	.close = datagram_close,
	.received = dtls_received,
	.failed = probe_fail,
};
