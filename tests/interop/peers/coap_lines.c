/* A CoAP server, or devices, with libcoap and PSK (or plain). What a device is told to send it POSTs, confirmable, and
 * the server answers in the response; what the server is told to send is a notification of the resource that the
 * device observes from its first word on. It says and takes the lines of lines.h and of device.c. */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <coap3/coap.h>

#include "tests/interop/peers/lines.h"

enum { SESSIONS = 256, NOTE_OCTETS = 1024 };

/* A session of the server, from 1 on, or a device, by its number. */
struct peer {
	unsigned number;
	coap_session_t *session;
	struct sockaddr_in target;       /* of a device */
	char query[24];                  /* with which it observes, unlike all others */
	unsigned char note[NOTE_OCTETS]; /* of the server, to be sent */
	size_t note_len;
	bool is_open;
};

static struct peer *peers[SESSIONS];
static unsigned last, observed;
static bool is_server, is_plain;
static coap_context_t *context;
static coap_resource_t *lines;

/* talk.py: the answer to E is e with the same number. */
static size_t answer_of(const uint8_t *data, size_t len, unsigned char *out)
{
	if (len < 5 || data[0] != 'E')
		return 0;
	memcpy(out, data, 5);
	out[0] = 'e';
	return 5;
}

static struct peer *peer_of(coap_session_t *session)
{
	struct peer *peer = coap_session_get_app_data(session);

	if (peer || last + 1 == SESSIONS)
		return peer;
	peer = calloc(1, sizeof *peer);
	if (!peer)
		exit(1);
	peer->number = ++last;
	peer->session = session;
	peers[last] = peer;
	coap_session_set_app_data(session, peer);
	lines_say_addr("open", peer->number, &coap_session_get_addr_remote(session)->addr.sin);
	return peer;
}

static void on_post(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *request,
		    const coap_string_t *query, coap_pdu_t *response)
{
	struct peer *peer = peer_of(session);
	unsigned char answer[5];
	const uint8_t *data;
	size_t len;

	(void)resource, (void)query;
	coap_pdu_set_code(response, COAP_RESPONSE_CODE_CHANGED);
	if (!peer || !coap_get_data(request, &len, &data))
		return;
	const size_t answer_len = answer_of(data, len, answer);
	if (answer_len)
		coap_add_data(response, answer_len, answer);
	else
		lines_say_data(peer->number, data, len);
}

static void on_get(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *request,
		   const coap_string_t *query, coap_pdu_t *response)
{
	struct peer *peer = peer_of(session);

	(void)resource, (void)request;
	coap_pdu_set_code(response, COAP_RESPONSE_CODE_CONTENT);
	if (peer && query && query->length < sizeof peer->query)
		memcpy(peer->query, query->s, query->length);
	if (peer && peer->note_len)
		coap_add_data(response, peer->note_len, peer->note);
}

static int on_event(coap_session_t *session, coap_event_t event)
{
	struct peer *peer = coap_session_get_app_data(session);

	if (!peer)
		return 0;
	if (is_server && event == COAP_EVENT_SERVER_SESSION_DEL) {
		lines_say("closed", peer->number, "its session is deleted");
		peer->session = NULL;
	} else if (!is_server && (event == COAP_EVENT_DTLS_CLOSED || event == COAP_EVENT_DTLS_ERROR)) {
		lines_say("closed", peer->number, event == COAP_EVENT_DTLS_ERROR ? "an error" : "by its server");
	}
	return 0;
}

static coap_response_t on_response(coap_session_t *session, const coap_pdu_t *sent, const coap_pdu_t *received,
				   const coap_mid_t mid)
{
	struct peer *device = coap_session_get_app_data(session);
	const uint8_t *data;
	size_t len;

	(void)sent, (void)mid;
	if (!device)
		return COAP_RESPONSE_OK;
	if (!device->is_open) {
		device->is_open = true;
		lines_say_addr("open", device->number, &device->target);
	}
	if (coap_get_data(received, &len, &data))
		lines_say_data(device->number, data, len);
	return COAP_RESPONSE_OK;
}

static coap_pdu_t *request_of(const struct peer *device, coap_pdu_code_t code)
{
	coap_pdu_t *pdu = coap_new_pdu(COAP_MESSAGE_CON, code, device->session);
	uint8_t token[8];
	size_t len;

	if (!pdu)
		exit(1);
	coap_session_new_token(device->session, &len, token);
	coap_add_token(pdu, len, token);
	return pdu;
}

static void begin(struct peer *device)
{
	coap_dtls_cpsk_t psk = { .version = COAP_DTLS_CPSK_SETUP_VERSION,
				 .psk_info = { .identity = { strlen(lines_identity), (const uint8_t *)lines_identity },
					       .key = { sizeof lines_psk, lines_psk } } };
	coap_address_t target;

	coap_address_init(&target);
	target.size = sizeof device->target;
	target.addr.sin = device->target;
	device->is_open = false;
	device->session = is_plain ? coap_new_client_session(context, NULL, &target, COAP_PROTO_UDP)
				   : coap_new_client_session_psk2(context, NULL, &target, COAP_PROTO_DTLS, &psk);
	if (!device->session)
		exit(1);
	coap_session_set_app_data(device->session, device);
	snprintf(device->query, sizeof device->query, "%u.%u", device->number, ++observed);
	coap_pdu_t *pdu = request_of(device, COAP_REQUEST_CODE_GET);
	coap_add_option(pdu, COAP_OPTION_OBSERVE, 0, NULL);
	coap_add_option(pdu, COAP_OPTION_URI_PATH, 5, (const uint8_t *)"lines");
	coap_add_option(pdu, COAP_OPTION_URI_QUERY, strlen(device->query), (const uint8_t *)device->query);
	coap_send(device->session, pdu);
}

static void post(struct peer *device, const unsigned char *data, size_t len)
{
	coap_pdu_t *pdu = request_of(device, COAP_REQUEST_CODE_POST);

	coap_add_option(pdu, COAP_OPTION_URI_PATH, 5, (const uint8_t *)"lines");
	coap_add_data(pdu, len, data);
	coap_send(device->session, pdu);
}

static void notify(struct peer *peer, const unsigned char *data, size_t len)
{
	coap_string_t query = { strlen(peer->query), (uint8_t *)peer->query };

	memcpy(peer->note, data, len);
	peer->note_len = len;
	coap_resource_notify_observers(lines, &query);
}

static void command(char *line)
{
	static unsigned char data[NOTE_OCTETS];
	char verb[8];
	unsigned number;
	int at = 0;

	if (sscanf(line, "%7s %u %n", verb, &number, &at) < 2 || number < 1 || number >= SESSIONS)
		return;
	struct peer *peer = peers[number];
	if (strcmp(verb, "new") == 0 && !peer) {
		peer = peers[number] = calloc(1, sizeof *peer);
		if (!peer)
			exit(1);
		peer->number = number;
		peer->target = lines_addr(line + at);
		begin(peer);
	} else if (strcmp(verb, "again") == 0 && peer) {
		coap_session_set_app_data(peer->session, NULL);
		coap_session_disconnected(peer->session, COAP_NACK_RST); /* else it repeats its requests */
		coap_session_release(peer->session);
		begin(peer);
	} else if (strcmp(verb, "send") == 0 && peer && peer->session) {
		const size_t len = lines_octets(line + at, data, sizeof data);
		if (is_server)
			notify(peer, data, len);
		else
			post(peer, data, len);
	}
}

static void serve(unsigned port)
{
	coap_dtls_spsk_t psk = { .version = COAP_DTLS_SPSK_SETUP_VERSION,
				 .psk_info = { .key = { sizeof lines_psk, lines_psk } } };
	coap_address_t own;
	char text[32];

	snprintf(text, sizeof text, "127.0.0.1:%u", port);
	coap_address_init(&own);
	own.size = sizeof own.addr.sin;
	own.addr.sin = lines_addr(text);
	coap_context_set_psk2(context, &psk);
	lines = coap_resource_init(coap_make_str_const("lines"), COAP_RESOURCE_FLAGS_NOTIFY_NON);
	coap_resource_set_get_observable(lines, 1);
	coap_register_request_handler(lines, COAP_REQUEST_GET, on_get);
	coap_register_request_handler(lines, COAP_REQUEST_POST, on_post);
	coap_add_resource(context, lines);
	if (!coap_new_endpoint(context, &own, is_plain ? COAP_PROTO_UDP : COAP_PROTO_DTLS)) {
		perror(text);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	is_server = argc > 3 && strcmp(argv[1], "server") == 0;
	const int needed = is_server ? 4 : 2;
	is_plain = argc == needed + 1 && strcmp(argv[needed], "plain") == 0;
	if (argc != needed + is_plain || (!is_server && strcmp(argv[1], "device") != 0)) {
		fputs("usage: coap_lines server PORT ID [plain] | device [plain]\n", stderr);
		return 2;
	}
	coap_startup();
	context = coap_new_context(NULL);
	if (!context)
		return 1;
	coap_register_event_handler(context, on_event);
	coap_register_response_handler(context, on_response);
	if (is_server)
		serve((unsigned)atoi(argv[2]));
	puts("ready");
	fflush(stdout);
	struct pollfd polled[] = { { .fd = coap_context_get_coap_fd(context), .events = POLLIN },
				   { .fd = STDIN_FILENO, .events = POLLIN } };
	for (;;) {
		poll(polled, 2, 50);
		coap_io_process(context, COAP_IO_NO_WAIT);
		if (polled[1].revents)
			lines_read(command);
	}
}
