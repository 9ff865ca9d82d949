/* What attackers without keys did to mode nat, and what comes of it now. */
#include <errno.h>

#include "tests/fixtures/nat_bed.h"
#include "tests/unit/suite.h"

enum { MADE_UP = 40 };

/* The text of the nth address of its own /24. */
static const char *elsewhere(unsigned n)
{
	static char text[32];

	snprintf(text, sizeof text, "10.%u.%u.1:4000", n / 250, n % 250);
	return text;
}

/* A ClientHello in the name of a device whose session, without a CID, was there before us. */
START_TEST(hello_for_a_session_of_before)
{
	struct arrival at;

	bed.configured.pool.nat.unproven_rate = 0;
	publish();
	at = up(X, seen_datagram(OPENSSL, 0));
	down(&at, seen_datagram(OPENSSL, 1));
	for (int i = 0; i < 20; i++) {
		at = up(X, DATA);
		for (int j = 0; j < 5; j++)
			ck_assert_str_eq(down_long(&at, 1000), "X");
	}
	ck_assert_uint_eq(flows_in(FLOW_CLASS_ADDRESS), 1);
}
END_TEST

/* A server may give a CID out again while the flow of its last session still lives. */
START_TEST(cid_given_again)
{
	const struct arrival old = make_session();
	struct arrival handshake, home;
	char from[32];

	for (int i = 0; i < 100; i++) {
		snprintf(from, sizeof from, "198.51.100.2:%d", 5000 + i);
		handshake = up(from, seen_datagram(OPENSSL, 0));
		if (handshake.at == old.at)
			break;
	}
	ck_assert_int_eq(handshake.at, old.at);
	down(&handshake, server_hello(cid_of(old.at)));
	home = up(from, flight_of(old.at));
	ck_assert(same(&home, &handshake));
	down(&handshake, CHANGE FINISHED);
	home = up(from, data_of(old.at));
	ck_assert(same(&home, &old));
	/* The old device is none of this session. */
	ck_assert_ptr_null(strchr(down_long(&home, 60000), 'X'));
}
END_TEST

/* Class handshake is full of what was made up. Another device of the same /24 begins a handshake. */
START_TEST(full_class_and_a_neighbour)
{
	struct arrival handshake, home;

	for (unsigned n = 0; n < MADE_UP; n++)
		up(elsewhere(n), DATA);
	handshake = begin_handshake();
	up("192.0.2.77:9999", seen_datagram(OPENSSL, 0));
	home = up(X, with_cid("19fefd0001000000000000", handshake.at));
	ck_assert(same(&home, &handshake));
	down(&handshake, CHANGE FINISHED);
	pass_ms(10);
	for (unsigned n = 0; n < MADE_UP; n++)
		up(elsewhere(n), DATA);
	up("192.0.2.78:9999", seen_datagram(OPENSSL, 0));
	home = up(X, data_of(handshake.at));
	ck_assert_str_eq(down_long(&home, 60000), "X");
}
END_TEST

/* Records with CIDs that were made up come in one batch with a ClientHello, and before it. Each gets a flow, so that of
 * the ClientHello is evicted before it has left. */
START_TEST(hello_behind_made_up_cids)
{
	enum { CIDS = IO_BATCH - 1 };
	struct io_datagram datagrams[CIDS + 1];
	struct octets octets[CIDS + 1];
	struct arrival first, second;
	char hex[512];

	for (int i = 0; i < CIDS; i++) {
		snprintf(hex, sizeof hex, DATA_OF("01%014x"), (unsigned)i);
		octets[i] = octets_of(hex);
	}
	octets[CIDS] = octets_of(seen_datagram(MBEDTLS, 0));
	for (int i = 0; i <= CIDS; i++)
		datagrams[i] = (struct io_datagram){ .data = octets[i].at, .len = octets[i].len, .from = addr_of(X) };
	batch_uplink(bed.path, path_bed_table(&bed), bed.configured.listener_uid, datagrams, CIDS + 1);
	io_flush(bed.path->outbox);
	for (int i = 0; i <= CIDS; i++) {
		ck_assert_ptr_nonnull(left_next());
		free(octets[i].at);
	}
	ck_assert_uint_eq(counted()->refused_up[bed.configured.pool_uid][REFUSED_FLOWS], 0);
	/* And the handshake goes on. */
	first = up(X, seen_datagram(MBEDTLS, 0));
	ck_assert_str_eq(down(&first, seen_datagram(MBEDTLS, 1)), "X");
	second = up(X, seen_datagram(MBEDTLS, 2));
	assert_same(first, second);
	ck_assert_uint_eq(sum_of(counted()->begun, STATS_BACKENDS), 1);
}
END_TEST

/* A server without cookies answers in any case. It takes nothing from those that have moved. */
START_TEST(purse_and_hellos)
{
	const struct arrival home = make_session();
	struct arrival at;
	char cid[2 * NAT_CID_OCTETS + 1];

	up(Y, data_of(home.at));
	for (unsigned n = 0; n < 1000; n++) {
		at = up(elsewhere(n), seen_datagram(OPENSSL, 0));
		snprintf(cid, sizeof cid, "%.2s%014x", cid_of(at.at), n);
		down(&at, server_hello(cid));
		down_long(&at, 1200);
		down_long(&at, 1200);
	}
	ck_assert_str_eq(down_long(&home, 1100), "XY");
}
END_TEST

static int ports_asked;

static int one_port(void *ctx, struct port_sockets *of, uint16_t port)
{
	(void)ctx;
	(void)of;
	(void)port;
	return ports_asked++ ? -EMFILE : 7;
}

/* No own endpoint is to be had: the session's own does it, and a datagram counts once. */
START_TEST(own_endpoint_that_is_not_to_be_had)
{
	struct conf_nat *nat = &bed.configured.pool.nat;
	const struct octets cid = octets_of(cid_of(0));
	const struct flow_key key = {
		.kind = FLOW_CID, .pool = bed.configured.pool_uid, .cid_len = NAT_CID_OCTETS, .cid = cid.at
	};
	struct arrival home = { .at = 0 };
	unsigned sent = 0, got = 0;

	nat->single = true;
	nat->sources[0].bits = 32;
	nat->port_first = 20000;
	nat->port_last = 20999;
	nat->unproven_rate = 0;
	publish();
	ports_asked = 0;
	bed.path->open_port = one_port;
	for (int i = 0; i < 10; i++) {
		up(Y, data_of(0));
		sent += (unsigned)strlen(data_of(0)) / 2;
		home.endpoint = flows_find(bed.shared.flows, &key)->endpoint;
		ck_assert_str_eq(down_long(&home, 60000), "");
	}
	ck_assert_uint_eq(counted()->refused_up[bed.configured.pool_uid][REFUSED_FLOWS], 0);
	while (*down_long(&home, 20))
		got += 20;
	ck_assert_uint_le(got, 3 * sent);
	ck_assert_uint_gt(got, 3 * sent - 20);
	free(cid.at);
}
END_TEST

/* A ServerHello that was withheld went to nobody: it makes no session. */
START_TEST(withheld_server_hello)
{
	struct arrival at;

	bed.configured.pool.nat.unproven_rate = 0;
	publish();
	at = up(X, seen_datagram(OPENSSL, 0));
	down(&at, seen_datagram(OPENSSL, 1));
	while (*down_long(&at, 50))
		;
	ck_assert_str_eq(down(&at, server_hello(cid_of(at.at))), "");
	up(X, flight_of(at.at));
	down(&at, CHANGE FINISHED);
	ck_assert_str_eq(down_long(&at, 3000), "");
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, hello_for_a_session_of_before);
	tcase_add_test(tests, cid_given_again);
	tcase_add_test(tests, full_class_and_a_neighbour);
	tcase_add_test(tests, hello_behind_made_up_cids);
	tcase_add_test(tests, purse_and_hellos);
	tcase_add_test(tests, own_endpoint_that_is_not_to_be_had);
	tcase_add_test(tests, withheld_server_hello);
}
