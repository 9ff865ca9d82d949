/* The `coap` probe: a ping (RFC 7252, section 4.3), and its RST or ACK. */
#include <event2/util.h>

#include "common/coap.h"
#include "health/datagram.h"

struct coap {
	struct datagram datagram;
	uint16_t message_id; /* of the last question */
};

static int ping(struct coap *coap)
{
	struct coap_message message = { .type = COAP_CON, .code = COAP_EMPTY };
	uint8_t question[COAP_HEADER_OCTETS];
	size_t len = 0;

	evutil_secure_rng_get_bytes(&coap->message_id, sizeof coap->message_id);
	message.id = coap->message_id;
	coap_encode(&message, question, sizeof question, &len);
	return probe_port_send(&coap->datagram.port, question, len);
}

static void coap_begin(struct probe *probe)
{
	struct coap *coap = (struct coap *)probe;
	int err = datagram_prepare(&coap->datagram);

	if (!err)
		err = ping(coap);
	datagram_sent(&coap->datagram, err);
}

static void coap_wake(struct probe *probe)
{
	datagram_give_up((struct datagram *)probe, "CoAP");
}

/* What life it shows, in words, or NULL. */
static const char *read_answer(const struct coap *coap, const uint8_t *data, size_t len)
{
	struct coap_message message;

	if (coap_decode(&message, data, len) != 0 || message.code != COAP_EMPTY || message.id != coap->message_id)
		return NULL;
	return message.type == COAP_RST ? "RST" : message.type == COAP_ACK ? "ACK" : NULL;
}

static void coap_received(struct probe *probe, struct probe_port *port, const uint8_t *data, size_t len)
{
	struct coap *coap = (struct coap *)probe;

	(void)port;
	datagram_received(&coap->datagram, read_answer(coap, data, len), len);
}

const struct probe_kind probe_coap = {
	.octets = sizeof(struct coap),
	.open = datagram_open,
	.begin = coap_begin,
	.wake = coap_wake,
	.close = datagram_close,
	.received = coap_received,
	.failed = probe_fail,
};
