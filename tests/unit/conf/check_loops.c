/* Backends whose address is cidlb's own. */
#include "tests/fixtures/conf_mistakes.h"
#include "tests/unit/suite.h"

#define AT     "t.conf:3: pools[0].backends[0].address: "
#define END    ": a loop; accepted: the address of a server"
#define TO(to) "id = 1; address = \"" to "\";"
#define TUNNEL                                                                                                         \
	CID "forward = \"tunnel\"; tunnel = { local = \"127.0.0.9:7200\"; keys = ( { id = 1; key = "                   \
	    "\"000102030405060708090a0b0c0d0e0f\"; } ); };"

static const struct mistake mistakes[] = {
	{ .backend = TO("127.0.0.1:5684"), .errors = AT "127.0.0.1:5684 is the address of listeners[0]" END },
	{ .backend = TO("127.0.0.1:5685"), .errors = "" },
	{ .backend = TO("127.0.0.2:5684"), .errors = "" },
	/* A wildcard listener has all addresses of this host. */
	{ .listener = "name = \"l\"; address = \"0.0.0.0:5684\"; pool = \"p\";",
	  .backend = TO("127.0.0.1:5684"),
	  .errors = AT "127.0.0.1:5684 is the address of listeners[0]" END },
	{ .listener = "name = \"l\"; address = \"0.0.0.0:5684\"; pool = \"p\";",
	  .backend = TO("127.3.2.1:5684"),
	  .errors = AT "127.3.2.1:5684 is the address of listeners[0]" END },
	{ .listener = "name = \"l\"; address = \"0.0.0.0:5684\"; pool = \"p\";",
	  .backend = TO("127.3.2.1:5683"),
	  .errors = "" },
	{ .listener = "name = \"l\"; address = \"0.0.0.0:5684\"; pool = \"p\";",
	  .backend = TO("192.0.2.7:5684"),
	  .pool = CID "nat = { sources = [ \"10.64.0.0/10\" ]; };",
	  .errors = "" },
	{ .listener = "name = \"l\"; address = \"[::]:5684\"; pool = \"p\";",
	  .backend = TO("127.0.0.1:5684"),
	  .errors = "" },
	{ .listener = "name = \"l\"; address = \"[::]:5684\"; pool = \"p\";",
	  .backend = TO("[::1]:5684"),
	  .pool = CID "nat = { sources = [ \"fd00::/64\" ]; };",
	  .errors = AT "[::1]:5684 is the address of listeners[0]" END },
	/* The addresses that cidlb sends from. */
	{ .pool = CID "nat = { sources = [ \"127.64.0.0/10\" ]; };",
	  .backend = TO("127.64.0.1:6001"),
	  .errors = AT "127.64.0.1:6001 is in 127.64.0.0/10 of pools[0].nat.sources" END },
	{ .pool = CID "nat = { sources = [ \"127.64.0.0/10\" ]; };", .backend = TO("127.63.0.1:6001"), .errors = "" },
	{ .pool = TUNNEL,
	  .top = "workers = 2;",
	  .backend = TO("127.0.0.9:7200"),
	  .errors = AT "127.0.0.9:7200 is an address that pools[0].tunnel sends from" END },
	{ .pool = TUNNEL,
	  .top = "workers = 2;",
	  .backend = TO("127.0.0.9:7202"),
	  .errors = AT "127.0.0.9:7202 is an address that pools[0].tunnel sends from" END },
	{ .pool = TUNNEL, .top = "workers = 2;", .backend = TO("127.0.0.9:7203"), .errors = "" },
	{ .pool = TUNNEL, .top = "workers = 2;", .backend = TO("127.0.0.8:7200"), .errors = "" },
};

START_TEST(mistake)
{
	expect_mistake(&mistakes[_i]);
}
END_TEST

/* A listener, a tunnel or a prefix of another pool, and each backend of a numbered set. */
START_TEST(other_pools)
{
	expect_errors("listeners = ( { name = \"a\"; address = \"127.0.0.1:5684\"; pool = \"a\"; },\n"
		      "{ name = \"b\"; address = \"127.0.0.1:5685\"; pool = \"b\"; } );\n"
		      "hash_key = \"000102030405060708090a0b0c0d0e0f\"; user = \"nobody\";\n"
		      "pools = ( { name = \"a\"; " CID " nat = { sources = [ \"127.64.0.0/10\" ]; }; backends = (\n"
		      "{ name = \"x\"; id = 9; address = \"127.0.0.1:5685\"; },\n"
		      "{ name = \"s-%d\"; count = 2; id_base = 1; address = \"127.0.0.%d:5684\"; } ); },\n"
		      "{ name = \"b\"; " CID " nat = { sources = [ \"127.128.0.0/10\" ]; }; backends = (\n"
		      "{ name = \"y\"; id = 1; address = \"127.64.0.1:1\"; } ); } );\n",
		      "t.conf:5: pools[0].backends[0].address: 127.0.0.1:5685 is the address of listeners[1]" END "\n"
		      "t.conf:6: pools[0].backends[1].address: 127.0.0.1:5684 is the address of listeners[0]" END "\n"
		      "t.conf:8: pools[1].backends[0].address: 127.64.0.1:1 is in 127.64.0.0/10 of "
		      "pools[0].nat.sources" END);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_loop_test(tests, mistake, 0, COUNT_OF(mistakes));
	tcase_add_test(tests, other_pools);
}
