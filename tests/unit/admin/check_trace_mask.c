#include "admin/trace_mask.h"

#include <string.h>

#include "common/hex.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

enum { ROOM = 512 };

/* version, random, session id, cookie, suites, compression */
#define RANDOM "5555555555555555555555555555555555555555555555555555555555555555"
#define HELLO  " fefd " RANDOM " 00 0433445566 0002c0a8 0100 "

/* Hex with blanks between. `after` NULL: it stays as it is. */
static const struct {
	const char *before, *after;
} cases[] = {
	/* ClientKeyExchange with an identity, then ChangeCipherSpec and a record of epoch 1 */
	{ "16fefd 0000 000000000002 0016 10 00000a 0002 000000 00000a 0008616c696365313233 14fefd 0000 000000000003 "
	  "0001 01"
	  "16fefd 0001 000000000000 0004 01020304",
	  "16fefd 0000 000000000002 0016 10 00000a 0002 000000 00000a 00000000000000000000 14fefd 0000 000000000003 "
	  "0001 01"
	  "16fefd 0001 000000000000 0004 01020304" },
	/* the same, cut short */
	{ "16fefd 0000 000000000002 0016 10 00000a 0002 000000 00000a 000861",
	  "16fefd 0000 000000000002 0016 10 00000a 0002 000000 00000a 000000" },
	{ "16fefd 0000 000000000002 0016 1000000a0002", "16fefd 0000 000000000002 0016 000000000000" },
	/* a certificate, and ServerHelloDone behind it in one record */
	{ "16fefd 0000 000000000002 001c 0b 000004 0002 000000 000004 01020304 0e 000000 0003 000000 000000",
	  "16fefd 0000 000000000002 001c 0b 000004 0002 000000 000004 00000000 0e 000000 0003 000000 000000" },
	/* ServerHello, and HelloVerifyRequest */
	{ "16fefd 0000 000000000001 0010 02 000004 0001 000000 000004 fefd5555", NULL },
	{ "16feff 0000 000000000000 0013 03 000007 0000 000000 000007 feff0411223344", NULL },
	/* ClientHello without extensions; with connection_id; with server_name and pre_shared_key around it */
	{ "16fefd 0000 000000000000 003c 01 000030 0000 000000 000030" HELLO "0000", NULL },
	{ "16fefd 0000 000000000000 0041 01 000035 0000 000000 000035" HELLO "0005 0036 0001 00", NULL },
	{ "16fefd 0000 000000000000 004f 01 000043 0000 000000 000043" HELLO
	  "0013 0000 0003 414243 0036 0001 00 0029 0003 616263",
	  "16fefd 0000 000000000000 004f 01 000043 0000 000000 000043" HELLO
	  "0013 0000 0003 000000 0036 0001 00 0029 0003 000000" },
	/* a fragment of a ClientHello, the first and a later one */
	{ "16fefd 0000 000000000000 0010 01 000041 0000 000000 000004 fefd5555",
	  "16fefd 0000 000000000000 0010 01 000041 0000 000000 000004 00000000" },
	{ "16fefd 0000 000000000000 0010 01 000041 0000 000004 000004 61626364",
	  "16fefd 0000 000000000000 0010 01 000041 0000 000004 000004 00000000" },
	/* no DTLS, and DTLS with a CID */
	{ "68656c6c6f3f68656c6c6f3f68656c6c6f3f", NULL },
	{ "19fefd 0001 000000000001 00112233445566778899", NULL },
	{ "", NULL },
};

static size_t read_octets(uint8_t out[static ROOM], const char *text)
{
	char hex[2 * ROOM];
	size_t digits = 0;

	for (; *text; text++)
		if (*text != ' ')
			hex[digits++] = *text;
	ck_assert_int_ge(hex_read(out, ROOM, hex, digits), 0);
	return digits / 2;
}

START_TEST(masked)
{
	uint8_t data[ROOM], expected[ROOM];
	const size_t len = read_octets(data, cases[_i].before);

	ck_assert_uint_eq(read_octets(expected, cases[_i].after ? cases[_i].after : cases[_i].before), len);
	const size_t count = trace_mask(data, len);
	ck_assert_mem_eq(data, expected, len);
	ck_assert_int_eq(count > 0, cases[_i].after != NULL);
	/* Once more changes nothing. */
	(void)trace_mask(data, len);
	ck_assert_mem_eq(data, expected, len);
}
END_TEST

/* However it is cut, nothing behind the end is touched. */
START_TEST(cut_anywhere)
{
	for (int i = 0; i < COUNT_OF(cases); i++) {
		uint8_t whole[ROOM];
		const size_t len = read_octets(whole, cases[i].before);

		for (size_t cut = 0; cut <= len; cut++) {
			uint8_t data[ROOM];

			memcpy(data, whole, cut);
			data[cut] = 0xa5;
			ck_assert_uint_le(trace_mask(data, cut), cut);
			ck_assert_uint_eq(data[cut], 0xa5);
		}
	}
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, masked, 0, COUNT_OF(cases));
	tcase_add_test(tests, cut_anywhere);
}
