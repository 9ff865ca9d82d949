/* Good configurations, and what becomes of them. */
#include <sched.h>

#include "tests/fixtures/conf_texts.h"
#include "tests/unit/suite.h"

START_TEST(defaults)
{
	struct conf *conf = load_good("user = \"nobody\"; hash_key = \"" KEY "\";" LISTENERS
				      "pools = ( { name = \"p\"; cid = { scheme = \"node-id\"; length = 6; };"
				      "backends = ( { name = \"a\"; id = 7; address = \"127.0.0.1:6001\"; } ); } );");
	const struct conf_pool *pool = conf->pools;
	cpu_set_t cpus;

	ck_assert_int_eq(sched_getaffinity(0, sizeof cpus, &cpus), 0);
	ck_assert_uint_eq(conf->workers, CPU_COUNT(&cpus) < 64 ? (unsigned)CPU_COUNT(&cpus) : 64);
	ck_assert_str_eq(conf->file, FILE_NAME);
	ck_assert_str_eq(conf->user, "nobody");
	ck_assert_mem_eq(conf->hash_key, key_octets, sizeof key_octets);
	ck_assert(!conf->has_http);
	ck_assert_str_eq(conf->socket, "/run/cidlb/admin.sock");
	ck_assert(conf->socket_default);
	ck_assert_str_eq(conf->state_file, "/var/lib/cidlb/state.json");
	ck_assert_uint_eq(conf->listener_count, 1);
	ck_assert_uint_eq(conf->pool_count, 1);
	ck_assert_int_eq(pool->protocol, POOL_DTLS);
	ck_assert_int_eq(pool->affinity, AFFINITY_ADDRESS_PORT);
	ck_assert_int_eq(pool->unknown_cid, UNKNOWN_CID_DROP);
	ck_assert_int_eq(pool->all_down, ALL_DOWN_HASH);
	ck_assert_int_eq(pool->layout.scheme, CID_LAYOUT_ID);
	ck_assert_uint_eq(pool->layout.length, 6);
	ck_assert_uint_eq(pool->layout.lbcid.length, 6);
	ck_assert_uint_eq(pool->layout.lbcid.offset, 0);
	ck_assert_uint_eq(pool->layout.lbcid.size, 1);
	ck_assert_int_eq(pool->nat.rebind, REBIND_FOLLOW);
	ck_assert_uint_eq(pool->nat.source_count, 1);
	ck_assert_mem_eq(pool->nat.sources[0].addr.ip, ((uint8_t[16]){ [10] = 0xff, 0xff, 127, 64 }), 16);
	ck_assert_uint_eq(pool->nat.sources[0].bits, 10);
	ck_assert_uint_eq(pool->nat.port_first, 40684);
	ck_assert_uint_eq(pool->nat.port_last, 40684);
	ck_assert_uint_eq(pool->nat.idle_s, 300);
	ck_assert_uint_eq(pool->nat.cid_idle_s, 86400);
	ck_assert_uint_eq(pool->nat.max_flows, 100000);
	ck_assert_int_eq(pool->nat.contest, CONTEST_OWN);
	ck_assert_int_eq(pool->nat.endpoint, ENDPOINT_CID);
	ck_assert_uint_eq(pool->nat.unproven_rate, 1250000);
	ck_assert_uint_eq(pool->max_resumable, 100000);
	ck_assert_uint_eq(pool->hello_rate.pool, 0);
	ck_assert_uint_eq(pool->hello_rate.backend, 0);
	ck_assert_uint_eq(pool->hello_rate.prefix, 0);
	ck_assert_int_eq(pool->health.probe, PROBE_DTLS);
	ck_assert_uint_eq(pool->health.interval_ms, 2000);
	ck_assert_uint_eq(pool->health.timeout_ms, 1000);
	ck_assert_uint_eq(pool->health.rise, 2);
	ck_assert_uint_eq(pool->health.fall, 3);
	ck_assert_uint_eq(pool->backend_count, 1);
	ck_assert(pool->backends[0].has_id);
	ck_assert_uint_eq(pool->backends[0].id.len, 1);
	ck_assert_uint_eq(pool->backends[0].id.octets[0], 7);
	ck_assert_ptr_null(pool->backends[0].host);
	ck_assert_uint_eq(pool->backends[0].weight, 100);
	ck_assert_int_eq(pool->backends[0].admin, BACKEND_READY);
	conf_free(conf);
}
END_TEST

static const char every_value_text[] =
	"workers = 3; user = \"nobody\"; state_file = \"/t\"; hash_key = \"" KEY
	"\"; admin = { http = \"[::1]:9180\"; socket = \"/s\"; };"
	"listeners = ( { name = \"l6\"; address = \"[::1]:5684\"; pool = \"q\"; }, { "
	"name = \"l4\"; address = \"127.0.0.1:5684\"; "
	"pool = \"p\"; } );"
	"pools = ( { name = \"p\"; protocol = \"udp\"; affinity = \"address\"; backends "
	"= ( { name = \"a\"; address = "
	"\"127.0.0.1:6001\"; } ); },"
	"{ name = \"q\"; protocol = \"dtls\"; forward = \"nat\"; unknown_cid = \"hash\";"
	"  cid = { scheme = \"node-id\"; length = 12; offset = 2; size = 3; };"
	"  nat = { rebind = \"backend\"; sources = ( \"10.64.0.0/16\", \"fd00:1::/64\" "
	"); ports = \"100-107\"; idle_s = 11; "
	"cid_idle_s = 12;"
	"          max_flows = 0x0D; contest = \"home\"; unproven_rate = 15L; };"
	"  health = { probe = \"none\"; interval_ms = 16; timeout_ms = 17; rise = 18; "
	"fall = 19; all_down = \"drop\"; };"
	"  hello_rate = { pool = 20; backend = 21; prefix = 22; };"
	"  backends = ( { name = \"A.b_c-1\"; id = \"ed793a\"; address = "
	"\"10.0.0.1:6001\"; weight = 0; state = \"drain\"; },"
	"               { name = \"b\"; id = 65537; address = \"[fd00::2]:6002\"; weight "
	"= 256; state = \"maint\"; } ); } );";

static void assert_daemon(const struct conf *conf)
{
	char text[ADDR_TEXT_OCTETS];

	ck_assert_uint_eq(conf->workers, 3);
	ck_assert_str_eq(conf->user, "nobody");
	ck_assert(conf->has_http);
	ck_assert_str_eq(addr_format(&conf->http, text), "[::1]:9180");
	ck_assert_str_eq(conf->socket, "/s");
	ck_assert_str_eq(conf->state_file, "/t");
	ck_assert(!conf->socket_default);
	ck_assert_str_eq(conf->listeners[0].name, "l6");
	ck_assert_str_eq(addr_format(&conf->listeners[0].addr, text), "[::1]:5684");
	ck_assert_uint_eq(conf->listeners[0].pool, 1);
	ck_assert_uint_eq(conf->listeners[1].pool, 0);
}

static void assert_udp_pool(const struct conf_pool *p)
{
	ck_assert_int_eq(p->protocol, POOL_UDP);
	ck_assert_int_eq(p->affinity, AFFINITY_ADDRESS);
	ck_assert_int_eq(p->layout.scheme, CID_LAYOUT_NONE);
	ck_assert_uint_eq(p->layout.length, 0);
	ck_assert_int_eq(p->health.probe, PROBE_COAP);
	ck_assert(!p->backends[0].has_id);
}

static void assert_nat(const struct conf_nat *nat)
{
	char text[ADDR_TEXT_OCTETS];

	ck_assert_int_eq(nat->rebind, REBIND_BACKEND);
	ck_assert_uint_eq(nat->source_count, 2);
	ck_assert_str_eq(addr_format(&nat->sources[0].addr, text), "10.64.0.0");
	ck_assert_uint_eq(nat->sources[0].bits, 16);
	ck_assert_str_eq(addr_format(&nat->sources[1].addr, text), "fd00:1::");
	ck_assert_uint_eq(nat->sources[1].bits, 64);
	ck_assert_uint_eq(nat->port_first, 100);
	ck_assert_uint_eq(nat->port_last, 107);
	ck_assert_uint_eq(nat->idle_s, 11);
	ck_assert_uint_eq(nat->cid_idle_s, 12);
	ck_assert_uint_eq(nat->max_flows, 13);
	ck_assert_int_eq(nat->contest, CONTEST_HOME);
	ck_assert_uint_eq(nat->unproven_rate, 15);
}

static void assert_dtls_pool(const struct conf_pool *q)
{
	char text[ADDR_TEXT_OCTETS];

	ck_assert_int_eq(q->unknown_cid, UNKNOWN_CID_HASH);
	ck_assert_uint_eq(q->layout.length, 12);
	ck_assert_uint_eq(q->layout.lbcid.offset, 2);
	ck_assert_uint_eq(q->layout.lbcid.size, 3);
	ck_assert_uint_eq(q->hello_rate.pool, 20);
	ck_assert_uint_eq(q->hello_rate.backend, 21);
	ck_assert_uint_eq(q->hello_rate.prefix, 22);
	ck_assert_int_eq(q->health.probe, PROBE_NONE);
	ck_assert_uint_eq(q->health.interval_ms, 16);
	ck_assert_uint_eq(q->health.timeout_ms, 17);
	ck_assert_uint_eq(q->health.rise, 18);
	ck_assert_uint_eq(q->health.fall, 19);
	ck_assert_int_eq(q->all_down, ALL_DOWN_DROP);
	ck_assert_str_eq(q->backends[0].name, "A.b_c-1");
	ck_assert_mem_eq(q->backends[0].id.octets, "\xed\x79\x3a", 3);
	ck_assert_uint_eq(q->backends[0].weight, 0);
	ck_assert_int_eq(q->backends[0].admin, BACKEND_DRAIN);
	ck_assert_mem_eq(q->backends[1].id.octets, "\x01\x00\x01", 3);
	ck_assert_str_eq(addr_format(&q->backends[1].addr, text), "[fd00::2]:6002");
	ck_assert_uint_eq(q->backends[1].weight, 256);
	ck_assert_int_eq(q->backends[1].admin, BACKEND_MAINT);
}

START_TEST(every_value)
{
	struct conf *conf = load_good(every_value_text);

	assert_daemon(conf);
	assert_udp_pool(&conf->pools[0]);
	assert_dtls_pool(&conf->pools[1]);
	assert_nat(&conf->pools[1].nat);
	conf_free(conf);
}
END_TEST

START_TEST(previous_key)
{
	struct conf *conf = load_good("user = \"nobody\"; hash_key = \"" KEY "\";" LISTENERS POOLS);

	ck_assert(!conf->has_previous_key);
	conf_free(conf);
	write_file("k.key", 0600, "ff0102030405060708090a0b0c0d0e0f\n");
	conf = load_good("user = \"nobody\"; hash_key = \"" KEY "\"; hash_key_previous = \"@k.key\";" LISTENERS POOLS);
	ck_assert(conf->has_previous_key);
	ck_assert_uint_eq(conf->previous_key[0], 0xff);
	ck_assert_uint_eq(conf->previous_key[15], 0x0f);
	conf_free(conf);
	expect_errors("user = \"nobody\"; hash_key = \"" KEY "\";\nhash_key_previous = \"" KEY "\";" LISTENERS POOLS,
		      "t.conf:2: hash_key_previous: the same as hash_key");
	expect_errors(
		"user = \"nobody\"; hash_key = \"" KEY "\";\nhash_key_previous = \"00\";" LISTENERS POOLS,
		"t.conf:2: hash_key_previous: not 32 hex digits nor \"@FILE\"; make one with: openssl rand -hex 16");
	unlink("k.key");
}
END_TEST

START_TEST(probe_options_have_defaults)
{
	struct conf *conf = load_good(PROBED("probe = \"http\";"));

	ck_assert_int_eq(conf->pools[0].health.probe, PROBE_HTTP);
	ck_assert_str_eq(conf->pools[0].health.path, "/.well-known/cidlb");
	ck_assert_uint_eq(conf->pools[0].health.port, 0);
	ck_assert_ptr_null(conf->pools[0].health.psk_identity);
	conf_free(conf);
	conf = load_good(PROBED("probe = \"coap\";"));
	ck_assert_ptr_null(conf->pools[0].health.path);
	conf_free(conf);
}
END_TEST

START_TEST(quic_lb_configs)
{
	struct conf *conf = load_good("user = \"nobody\"; hash_key = \"" KEY
				      "\";" LISTENERS QUIC_LB_POOL("8f95f09245765f80256934e50c66207f"));
	static const uint8_t cid[] = { 0xa7, 0x20, 0xb1, 0xd0, 0x7b, 0x35, 0x9d, 0x3c };
	const struct cid_layout *layout = &conf->pools[0].layout;
	struct server_id id;

	ck_assert_int_eq(layout->scheme, CID_LAYOUT_ID);
	ck_assert_uint_eq(layout->length, 13);
	ck_assert_uint_eq(cid_length(layout, 0xa0), 8);
	ck_assert_uint_eq(cid_length(layout, 0x00), 13);
	ck_assert_uint_eq(cid_id_octets(layout), 3);
	ck_assert_uint_eq(layout->lbcid.rotation, 5);
	ck_assert_ptr_nonnull(cid_config(layout, 5)->key);
	ck_assert_ptr_null(cid_config(layout, 0)->key);
	ck_assert_int_eq(cid_open_octets(&id, layout, cid, sizeof cid), CID_OPENED);
	ck_assert_mem_eq(&id, &conf->pools[0].backends[0].id, sizeof id);
	conf_free(conf);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_test(tests, defaults);
	tcase_add_test(tests, every_value);
	tcase_add_test(tests, previous_key);
	tcase_add_test(tests, probe_options_have_defaults);
	tcase_add_test(tests, quic_lb_configs);
}
