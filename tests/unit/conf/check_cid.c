/* Mistakes in what a pool says of its CIDs. */
#include "tests/fixtures/conf_mistakes.h"
#include "tests/unit/suite.h"

static const struct mistake cases[] = {
	{ .pool = "", .errors = "" },
	{ .pool = "protocol = \"udp\";" CID,
	  .errors = "t.conf:2: pools[0].cid: a udp pool has no CIDs; remove it, or say protocol = \"dtls\"" },
	{ .pool = "protocol = \"udp\";", .errors = "" },
	{ .pool = "cid = { };",
	  .errors = "t.conf:2: pools[0].cid.scheme: missing; accepted: node-id, quic-lb, hash, none, learned" },
	{ .pool = "cid = { scheme = \"none\"; };", .errors = "" },
	{ .pool = "cid = { scheme = \"hash\"; };", .errors = "t.conf:2: pools[0].cid.length: missing" },
	{ .pool = "cid = { scheme = \"node-id\"; };", .errors = "t.conf:2: pools[0].cid.length: missing" },
	{ .pool = "cid = { scheme = \"learned\"; };", .errors = "" },
	{ .pool = "cid = { scheme = \"learned\"; max_cids = 1024; };", .errors = "" },
	{ .pool = "cid = { scheme = \"learned\"; max_cids = 1023; };",
	  .errors = "t.conf:2: pools[0].cid.max_cids: 1023 is out of range; accepted: 1024..100000000" },
	{ .pool = "cid = { scheme = \"learned\"; length = 6; configs = (); };",
	  .errors = "t.conf:2: pools[0].cid.configs: belongs to scheme \"quic-lb\"\n"
		    "t.conf:2: pools[0].cid.length: belongs to other schemes; with \"learned\" CIDs may be of any "
		    "length" },
	{ .pool = "cid = { scheme = \"node-id\"; length = 6; max_cids = 5000; };",
	  .errors = "t.conf:2: pools[0].cid.max_cids: belongs to scheme \"learned\"" },
	{ .pool = "cid = { scheme = \"node-id\"; length = 6; configs = (); };",
	  .errors = "t.conf:2: pools[0].cid.configs: belongs to scheme \"quic-lb\"" },
	{ .pool = "cid = { scheme = \"quic-lb\"; };", .errors = "t.conf:2: pools[0].cid.configs: missing" },
	{ .pool = "cid = { scheme = \"quic-lb\"; length = 9; offset = 1; size = 2; configs = ( { " ROTATION(
		  0, 2, 6) " } ); };",
	  .errors = "t.conf:2: pools[0].cid.length: belongs to other schemes; \"quic-lb\" has lengths in its configs\n"
		    "t.conf:2: pools[0].cid.offset: belongs to other schemes; \"quic-lb\" has lengths in its configs\n"
		    "t.conf:2: pools[0].cid.size: belongs to other schemes; \"quic-lb\" has lengths in its configs" },
	{ .pool = QUIC_LB(ROTATION(0, 1, 18)), .errors = "" },
	{ .pool = QUIC_LB(ROTATION(0, 1, 4)), .errors = "" },
	{ .pool = QUIC_LB(ROTATION(0, 15, 4)),
	  .backend = "id = \"000102030405060708090a0b0c0d0e\"; address = \"127.0.0.1:6001\";",
	  .errors = "" },
	{ .pool = QUIC_LB(ROTATION(0, 15, 5)),
	  .errors = "t.conf:2: pools[0].cid.configs[0]: server_id_length 15 + nonce_length 5 is more than 19" },
	{ .pool = QUIC_LB(ROTATION(0, 2, 18)),
	  .errors = "t.conf:2: pools[0].cid.configs[0]: server_id_length 2 + nonce_length 18 is more than 19" },
	{ .pool = QUIC_LB(""),
	  .errors = "t.conf:2: pools[0].cid.configs[0].rotation: missing; accepted: 0..6\n"
		    "t.conf:2: pools[0].cid.configs[0].server_id_length: missing; accepted: 1..15 octets\n"
		    "t.conf:2: pools[0].cid.configs[0].nonce_length: missing; accepted: 4..18 octets" },
	{ .pool = "cid = { scheme = \"quic-lb\"; configs = ( ); };",
	  .errors = "t.conf:2: pools[0].cid.configs: 0 entries; accepted: 1..7" },
	{ .pool = "cid = { scheme = \"quic-lb\"; configs = ( 5 ); };",
	  .errors = "t.conf:2: pools[0].cid.configs[0]: not a group { ... }" },
	{ .pool = QUIC_LB(ROTATION(0, 1, 7) "}, {" ROTATION(1, 1, 7) "}, {" ROTATION(2, 1, 7) "}, {" ROTATION(
		  3, 1, 7) "}, {" ROTATION(4, 1, 7) "}, {" ROTATION(5, 1, 7) "}, {" ROTATION(6, 1, 7)),
	  .errors = "" },
	{ .pool = QUIC_LB(ROTATION(4, 1, 7) "}, {" ROTATION(2, 1, 7) "}, {" ROTATION(4, 1, 7)),
	  .errors = "t.conf:2: pools[0].cid.configs[2].rotation: already the rotation of configs[0]" },
	{ .pool = QUIC_LB(ROTATION(0, 2, 6) "}, {" ROTATION(1, 1, 7)),
	  .errors = "t.conf:2: pools[0].cid.configs[1].server_id_length: 1, but 2 in configs[0]: a server has one id "
		    "in all of them" },
	{ .pool = QUIC_LB(ROTATION(0, 1, 7) "key = \"00\";"),
	  .errors = "t.conf:2: pools[0].cid.configs[0].key: not 32 hex digits nor \"@FILE\"; make one with: openssl "
		    "rand -hex 16" },
	{ .pool = QUIC_LB(ROTATION(0, 1, 7) "key = \"@none.key\";"),
	  .errors = "t.conf:2: pools[0].cid.configs[0].key: \"none.key\": No such file or directory" },
	{ .pool = QUIC_LB(ROTATION(0, 1, 7)),
	  .backend = "address = \"127.0.0.1:6001\";",
	  .errors = "t.conf:3: pools[0].backends[0].id: missing: scheme \"quic-lb\" needs one for each backend" },
	{ .pool = QUIC_LB(ROTATION(0, 3, 4)),
	  .backend = "id = \"ed793a\"; address = \"127.0.0.1:6001\";",
	  .errors = "" },
	{ .pool = QUIC_LB(ROTATION(0, 2, 6)),
	  .backend = "id = 65536; address = \"127.0.0.1:6001\";",
	  .errors = "t.conf:3: pools[0].backends[0].id: 65536 does not fit size 2; accepted: 0..65535" },
	{ .pool = "cid = { scheme = \"node-id\"; length = 6; offset = 5; };", .errors = "" },
	{ .pool = "cid = { scheme = \"node-id\"; length = 6; offset = 6; };",
	  .errors = "t.conf:2: pools[0].cid: offset 6 + size 1 is more than length 6" },
	{ .pool = "cid = { scheme = \"node-id\"; length = 6; offset = 4; size = 3; };",
	  .errors = "t.conf:2: pools[0].cid: offset 4 + size 3 is more than length 6" },
};

START_TEST(one_mistake)
{
	expect_mistake(&cases[_i]);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_loop_test(tests, one_mistake, 0, COUNT_OF(cases));
}
