/* The `coaps` probe against a server of ours that has one session and misbehaves, in one event loop. */
#include <stdlib.h>
#include <sys/random.h>

#include "common/coap.h"
#include "common/dtls.h"
#include "tests/fixtures/coaps_fixture.h"
#include "tests/unit/suite.h"

enum manner {
	HONEST,
	TO_THE_OLD_PORT, /* follows nobody: answers where the session began */
	DEAF_ELSEWHERE,  /* knows its session by address alone */
	FORGETFUL,       /* forgets a session that moves */
	MUTE,            /* DTLS lives, CoAP does not */
	NOISY,           /* garbage and forgeries before each answer */
	ABSENT,          /* no datagram comes through */
	CLOSING,         /* says close_notify after each answer */
};

static struct fake {
	enum manner manner;
	int fd;
	struct event *readable;
	struct session_config *config;
	struct session *current, *listening;
	struct sockaddr_in home, to;
	const char *payload;
	unsigned sessions, requests;
} fake;

static int fill_random(void *ctx, uint8_t *out, size_t len)
{
	(void)ctx;
	return getrandom(out, len, 0) == (ssize_t)len ? 0 : -1;
}

static void fake_send(void *ctx, const uint8_t *data, size_t len)
{
	(void)ctx;
	sendto(fake.fd, data, len, 0, (struct sockaddr *)&fake.to, sizeof fake.to);
}

static void fake_noise(void)
{
	static const uint8_t forged[] = { 23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0, 16, 1, 2,
					  3,  4,    5,    6, 7, 8, 9, 0, 1, 2,    3,    4, 5,  6 };
	static const uint8_t alert[] = { 21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 80 };
	static const uint8_t verify[60] = {
		22, 0xfe, 0xfd, [12] = 0x2f, 3, [16] = 0x23, [24] = 0x23, 0xfe, 0xfd, 0x20
	};
	static const uint8_t text[] = "not a record at all", reset[] = { 0x70, 0, 0, 1 };

	fake_send(NULL, forged, sizeof forged);
	fake_send(NULL, alert, sizeof alert);
	fake_send(NULL, verify, sizeof verify);
	fake_send(NULL, text, sizeof text);
	fake_send(NULL, reset, sizeof reset);
	fake_send(NULL, text, 0);
}

static void fake_deliver(void *ctx, const uint8_t *data, size_t len)
{
	uint8_t octets[1400];
	struct coap_message message;

	(void)ctx;
	ck_assert_int_eq(coap_decode(&message, data, len), 0);
	if (message.code != COAP_GET)
		return;
	fake.requests++;
	if (fake.manner == MUTE)
		return;
	if (fake.manner == NOISY)
		fake_noise();
	message.type = COAP_ACK;
	message.code = COAP_CONTENT;
	message.path[0] = '\0';
	message.payload = (const uint8_t *)fake.payload;
	message.payload_len = strlen(fake.payload);
	ck_assert_int_eq(coap_encode(&message, octets, sizeof octets, &len), 0);
	ck_assert_int_eq(session_write(fake.current, octets, len), 0);
}

static void fake_listen(void)
{
	static const struct session_callbacks callbacks = { fake_send, fake_deliver };
	static const uint8_t cid[CID_OCTETS] = { ID, 1, 2, 3, 4, 5 };

	ck_assert_int_eq(session_new(&fake.listening, fake.config, cid, &callbacks, NULL), 0);
}

static void fake_hello(const uint8_t *data, size_t len)
{
	ck_assert_int_eq(session_set_peer(fake.listening, (const uint8_t *)&fake.to, sizeof fake.to), 0);
	if (session_input(fake.listening, data, len, 0) != SESSION_HANDSHAKING)
		return;
	session_free(fake.current);
	fake.current = fake.listening;
	fake.home = fake.to;
	fake.sessions++;
	fake_listen();
}

static void fake_record(const uint8_t *data, size_t len)
{
	bool moved = memcmp(&fake.to, &fake.home, sizeof fake.to) != 0;

	if (!fake.current || (fake.manner == DEAF_ELSEWHERE && moved))
		return;
	if (fake.manner == FORGETFUL && moved) {
		session_free(fake.current);
		fake.current = NULL;
		return;
	}
	if (fake.manner == TO_THE_OLD_PORT)
		fake.to = fake.home;
	unsigned before = fake.requests;
	enum session_state state = session_input(fake.current, data, len, 0);
	if (fake.manner == CLOSING && fake.requests > before)
		session_close(fake.current);
	if (state == SESSION_CLOSED || state == SESSION_FAILED || session_state(fake.current) == SESSION_CLOSED) {
		session_free(fake.current);
		fake.current = NULL;
	}
}

static void on_fake(evutil_socket_t fd, short events, void *ctx)
{
	uint8_t data[2048];
	socklen_t from_len = sizeof fake.to;
	struct dtls_view view;

	(void)events;
	(void)ctx;
	memset(&fake.to, 0, sizeof fake.to);
	ssize_t n = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&fake.to, &from_len);
	if (n < 0 || fake.manner == ABSENT)
		return;
	dtls_walk(&view, data, (size_t)n);
	if (view.kind == DTLS_HELLO)
		fake_hello(data, (size_t)n);
	else
		fake_record(data, (size_t)n);
}

static void fake_setup(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct session_options session = {
		.role = SESSION_SERVER,
		.psk_identity = identity,
		.psk_key = key,
		.psk_key_len = sizeof key,
		.use_cid = true,
		.cid_length = CID_OCTETS,
		.random = fill_random,
	};

	setup();
	memset(&fake, 0, sizeof fake);
	fake.payload = "up";
	fake.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	sin.sin_port = htons(target.addr.port);
	ck_assert_int_eq(bind(fake.fd, (struct sockaddr *)&sin, sizeof sin), 0);
	ck_assert_int_eq(session_config_new(&fake.config, &session), 0);
	fake_listen();
	fake.readable = event_new(base, fake.fd, EV_READ | EV_PERSIST, on_fake, NULL);
	event_add(fake.readable, NULL);
}

static void fake_teardown(void)
{
	event_free(fake.readable);
	close(fake.fd);
	session_free(fake.current);
	session_free(fake.listening);
	session_config_free(fake.config);
	fixture_end();
}

START_TEST(an_honest_fake_is_good)
{
	probe_start();
	for (int i = 0; i < 3; i++)
		expect_good(probe_run(1));
	ck_assert_uint_eq(fake.sessions, 1);
	ck_assert_uint_eq(fake.requests, 3);
}
END_TEST

START_TEST(answers_to_the_old_port)
{
	fake.manner = TO_THE_OLD_PORT;
	probe_start();
	for (int i = 0; i < 3; i++) {
		const struct seen *one = probe_run(1);
		ck_assert(one->ok);
		ck_assert_int_eq(one->findings.rebinding, FINDING_BAD);
		ck_assert_str_eq(one->findings.rebinding_reason, "answered to the old port");
	}
	ck_assert_uint_eq(fake.sessions, 1);
	fake.manner = HONEST;
	expect_good(probe_run(1));
}
END_TEST

/* Once may be packet loss. */
START_TEST(knows_no_new_port)
{
	fake.manner = DEAF_ELSEWHERE;
	probe_start();
	const struct seen *one = probe_run(1);
	ck_assert(one->ok);
	ck_assert_int_eq(one->findings.rebinding, FINDING_UNKNOWN);
	one = probe_run(1);
	ck_assert(one->ok);
	ck_assert_int_eq(one->findings.rebinding, FINDING_BAD);
	ck_assert_str_eq(one->findings.rebinding_reason, "not answered from a new port");
	ck_assert_uint_eq(fake.sessions, 1);
}
END_TEST

START_TEST(forgets_sessions_that_move)
{
	fake.manner = FORGETFUL;
	probe_start();
	const struct seen *one = probe_run(1);
	ck_assert(!one->ok);
	ck_assert_str_eq(one->reason, "a handshake, but no answer to a GET for 1000 ms");
	for (int i = 0; i < 6; i++) {
		one = probe_run(1);
		ck_assert_msg(one->ok, "%s", one->reason);
		if (one->findings.rebinding == FINDING_BAD)
			break;
	}
	ck_assert_str_eq(one->findings.rebinding_reason, "needed a handshake");
	fake.manner = HONEST;
	for (int i = 0; i < 8 && one->findings.rebinding == FINDING_BAD; i++)
		one = probe_run(1);
	ck_assert_int_eq(one->findings.rebinding, FINDING_GOOD);
}
END_TEST

/* A handshake is no life of the server behind it, and this is not about rebinding. */
START_TEST(mute)
{
	fake.manner = MUTE;
	target.how.interval_ms = target.how.timeout_ms;
	probe_start();
	for (int i = 0; i < 6; i++) {
		const struct seen *one = probe_run(1);
		ck_assert_msg(!one->ok, "%s", one->reason);
		ck_assert_int_eq(one->findings.rebinding, FINDING_UNKNOWN);
	}
	ck_assert_uint_le(fake.sessions, 4);
	fake.manner = HONEST;
	ck_assert(probe_run(1)->ok);
	expect_good(probe_until("2.05 Content", 2));
}
END_TEST

/* An outage is no loss of the session. */
START_TEST(absent_for_a_while)
{
	probe_start();
	expect_good(probe_run(2));
	fake.manner = ABSENT;
	for (int i = 0; i < 3; i++) {
		const struct seen *one = probe_run(1);
		ck_assert(!one->ok);
		ck_assert_str_eq(one->reason, "no answer for 1000 ms");
		ck_assert_int_eq(one->findings.rebinding, FINDING_GOOD);
	}
	fake.manner = HONEST;
	expect_good(probe_run(1));
	ck_assert_uint_eq(fake.sessions, 1);
}
END_TEST

START_TEST(absent_from_the_beginning)
{
	fake.manner = ABSENT;
	probe_start();
	for (int i = 0; i < 4; i++) {
		const struct seen *one = probe_run(1);
		ck_assert(!one->ok);
		ck_assert_str_eq(one->reason, "no answer for 1000 ms");
		ck_assert_int_eq(one->findings.rebinding, FINDING_UNKNOWN);
	}
	fake.manner = HONEST;
	expect_good(probe_run(1));
}
END_TEST

START_TEST(garbage_changes_nothing)
{
	fake.manner = NOISY;
	probe_start();
	for (int i = 0; i < 4; i++)
		expect_good(probe_run(1));
	ck_assert_uint_eq(fake.sessions, 1);
}
END_TEST

START_TEST(closed_sessions_are_begun_again)
{
	fake.manner = CLOSING;
	probe_start();
	expect_good(probe_run(1));
	for (int i = 0; i < 6; i++) {
		const struct seen *one = probe_run(1);
		ck_assert_msg(one->ok, "%s", one->reason);
		ck_assert_uint_le(one->findings.sessions - one->findings.sessions_lost, 1);
	}
	ck_assert_uint_ge(fake.sessions, 2);
	ck_assert_uint_le(fake.sessions, 5);
}
END_TEST

/* Longer than what is kept: taken only if the first line is whole. */
START_TEST(long_words)
{
	static char text[1101];

	memset(text, 'x', sizeof text - 1);
	fake.payload = text;
	probe_start();
	ck_assert(!probe_run(1)->has_words);
	text[1023] = '\n';
	ck_assert(probe_run(1)->has_words);
	text[1023] = 'x';
	text[1024] = '\n';
	ck_assert(!probe_run(1)->has_words);
	text[1024] = '\0';
	const struct seen *one = probe_run(1);
	ck_assert_str_eq(one->words, text);
	fake.payload = "";
	ck_assert(!probe_run(1)->has_words);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, fake_setup, fake_teardown);
	tcase_add_test(tests, an_honest_fake_is_good);
	tcase_add_test(tests, answers_to_the_old_port);
	tcase_add_test(tests, knows_no_new_port);
	tcase_add_test(tests, forgets_sessions_that_move);
	tcase_add_test(tests, mute);
	tcase_add_test(tests, absent_for_a_while);
	tcase_add_test(tests, absent_from_the_beginning);
	tcase_add_test(tests, garbage_changes_nothing);
	tcase_add_test(tests, closed_sessions_are_begun_again);
	tcase_add_test(tests, long_words);
}
