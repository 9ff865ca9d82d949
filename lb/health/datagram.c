/* The probes without credentials, `dtls` and `coap`: one datagram, and any answer of its kind. */
#include <stdio.h>
#include <string.h>

#include <event2/util.h>

#include "common/coap.h"
#include "health/probe.h"
#include "health/probe_hello.h"

/* It keeps its port for life: a server that makes a session per port makes one, not one per probe. */
struct datagram {
	struct probe probe;
	struct probe_port port;
	uint64_t records;    /* of DTLS, sent so far */
	uint16_t message_id; /* of the last coap question */
	size_t noise_octets; /* of the last thing received that was no answer; 0: nothing */
};

static bool is_coap(const struct datagram *datagram)
{
	return datagram->probe.spec.how.probe == PROBE_COAP;
}

static int send_record(struct datagram *datagram, uint8_t *record, size_t len)
{
	probe_hello_number(record, datagram->records++);
	return probe_port_send(&datagram->port, record, len);
}

static int ask(struct datagram *datagram)
{
	uint8_t question[PROBE_HELLO_OCTETS], random[PROBE_HELLO_RANDOM_OCTETS];
	size_t len = sizeof question;

	if (is_coap(datagram)) {
		struct coap_message ping = { .type = COAP_CON, .code = COAP_EMPTY };
		evutil_secure_rng_get_bytes(&datagram->message_id, sizeof datagram->message_id);
		ping.id = datagram->message_id;
		coap_encode(&ping, question, sizeof question, &len);
		return probe_port_send(&datagram->port, question, len);
	}
	evutil_secure_rng_get_bytes(random, sizeof random);
	probe_hello_write(question, random);
	return send_record(datagram, question, len);
}

static void end_session(struct datagram *datagram)
{
	uint8_t alert[PROBE_ABORT_OCTETS];

	memcpy(alert, probe_hello_abort, sizeof alert);
	send_record(datagram, alert, sizeof alert);
}

static void datagram_begin(struct probe *probe)
{
	struct datagram *datagram = (struct datagram *)probe;
	int error = probe_port_is_open(&datagram->port) ? 0 : probe_port_open(&datagram->port, probe);

	datagram->noise_octets = 0;
	if (error == 0)
		error = ask(datagram);
	if (error == 0)
		probe_wake_in(probe, probe_left_us(probe));
	else
		probe_fail(probe, error);
}

static void datagram_wake(struct probe *probe)
{
	const struct datagram *datagram = (struct datagram *)probe;
	char reason[HEALTH_REASON_OCTETS];
	unsigned ms = probe->spec.how.timeout_ms;

	if (datagram->noise_octets == 0)
		snprintf(reason, sizeof reason, "no answer%s for %u ms", probe_way(probe), ms);
	else
		snprintf(reason, sizeof reason, "no %s answer for %u ms, but %zu octets of something else",
			 is_coap(datagram) ? "CoAP" : "DTLS", ms, datagram->noise_octets);
	probe_finish(probe, false, &(struct health_result){ .reason = reason });
}

/* What life it shows, in words, or NULL. */
static const char *read_answer(struct datagram *datagram, const uint8_t *data, size_t len)
{
	struct coap_message message;

	if (is_coap(datagram)) {
		if (coap_decode(&message, data, len) != 0 || message.code != COAP_EMPTY ||
		    message.id != datagram->message_id)
			return NULL;
		return message.type == COAP_RST ? "RST" : message.type == COAP_ACK ? "ACK" : NULL;
	}
	enum probe_answer answer = probe_hello_read(data, len);
	if (answer ==
	    PROBE_ANSWER_SERVER_HELLO) /* also when it comes late: or the server keeps a session, and sends it again */
		end_session(datagram);
	return answer != PROBE_ANSWER_NONE ? probe_answer_name(answer) : NULL;
}

static void datagram_received(struct probe *probe, struct probe_port *port, const uint8_t *data, size_t len)
{
	struct datagram *datagram = (struct datagram *)probe;
	const char *life = read_answer(datagram, data, len);

	(void)port;
	if (!probe->asking)
		return;
	if (life)
		probe_finish(probe, false, &(struct health_result){ .ok = true, .reason = life });
	else
		datagram->noise_octets = len;
}

static int datagram_open(struct probe *probe)
{
	(void)probe;
	return 0;
}

static void datagram_close(struct probe *probe)
{
	probe_port_close(&((struct datagram *)probe)->port);
}

const struct probe_kind probe_datagram = {
	sizeof(struct datagram), datagram_open,     datagram_begin, datagram_wake,
	datagram_close,          datagram_received, probe_fail,
};
