/* What is asked for a name, and what is made of the answer. */
#include "tests/fixtures/dns_fixture.h"
#include "tests/unit/suite.h"

START_TEST(one_address)
{
	static const uint8_t question[] = { 0x01, 0x00, 0, 1,   0,   0,   0,   0, 0, 0, 3, 'p',
					    'o',  'd',  4, 't', 'e', 's', 't', 0, 0, 1, 0, 1 };
	const struct report *report;

	know("pod");
	report = next_report();
	ck_assert(report->good);
	ck_assert_str_eq(report->host, "pod");
	ck_assert(!report->v6);
	ck_assert_mem_eq(report->ip, ((uint8_t[16]){ [10] = 0xff, 0xff, 10, 1, 2, 3 }), 16);
	ck_assert_uint_eq(report->ttl_s, 60);
	ck_assert_uint_eq(server.asked, 1);
	ck_assert_int_eq(server.query_len, 2 + (ssize_t)sizeof question);
	for (size_t i = 0; i < sizeof question; i++) /* evdns mixes small and capital letters */
		ck_assert_int_eq(tolower(server.query[2 + i]), tolower(question[i]));
}
END_TEST

START_TEST(ipv6)
{
	static const struct resolve_name both[] = { { "pod", true }, { "pod", false }, { "POD", true } };

	memcpy(server.address, "\xfd\x00\0\0\0\0\0\0\0\0\0\0\0\0\0\x07", 16);
	ck_assert_int_eq(resolve_set_names(resolve, both, 3), 0);
	run_until(&reported, 2);
	ck_assert_uint_eq(server.asked, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert(reports[i].good);
		ck_assert_mem_eq(reports[i].ip + (reports[i].v6 ? 0 : 12), server.address, reports[i].v6 ? 16 : 4);
	}
	ck_assert_int_ne(reports[0].v6, reports[1].v6);
}
END_TEST

static const struct {
	bool v6;
	unsigned addresses, times;
	const char *reason; /* "": it is good */
} repeated[] = {
	{ false, 1, 2, "" },
	{ false, 1, 7, "" },
	{ true, 1, 2, "" },
	{ false, 2, 2, "4 addresses, where a backend is one" },
	{ false, 3, 1, "3 addresses, where a backend is one" },
	{ true, 3, 2, "6 addresses, where a backend is one" },
};

START_TEST(an_address_that_is_given_again)
{
	server.addresses = repeated[_i].addresses;
	server.times = repeated[_i].times;
	ck_assert_int_eq(resolve_set_names(resolve, &(struct resolve_name){ "pod", repeated[_i].v6 }, 1), 0);
	ck_assert_str_eq(next_report()->reason, repeated[_i].reason);
	if (!repeated[_i].reason[0])
		ck_assert_mem_eq(reports[0].ip + (repeated[_i].v6 ? 0 : 12), server.address, repeated[_i].v6 ? 16 : 4);
}
END_TEST

static const struct {
	uint32_t sent_s, taken_s;
} ttls[] = { { 0, 5 },         { 4, 5 },     { 5, 5 },     { 6, 6 },
	     { 299, 299 },     { 300, 300 }, { 301, 300 }, { 0x7fffffff, 300 },
	     { 0x80000000, 5 } };

START_TEST(ttl)
{
	server.ttl_s = ttls[_i].sent_s;
	know("pod");
	ck_assert_uint_eq(next_report()->ttl_s, ttls[_i].taken_s);
}
END_TEST

static const struct {
	uint16_t flags;
	unsigned addresses;
	bool v6;
	const char *address; /* NULL: 10.1.2.3 */
	const char *reason;
} bad[] = {
	{ 0, 0, false, NULL, "the name has no IPv4 address" },
	{ 0, 0, true, NULL, "the name has no IPv6 address" },
	{ 0, 2, false, NULL, "2 addresses, where a backend is one" },
	{ 0, 2, true, NULL, "2 addresses, where a backend is one" },
	{ 0, 30, false, NULL, "30 addresses, where a backend is one" },
	{ TRUNCATED, 1, false, NULL, "the answer is truncated" },
	{ 1, 1, false, NULL, "an answer that makes no sense" },
	{ 2, 1, false, NULL, "the DNS failed (SERVFAIL)" },
	{ NXDOMAIN, 1, false, NULL, "no such name" },
	{ 4, 1, false, NULL, "the DNS refuses to answer" },
	{ 5, 1, false, NULL, "the DNS refuses to answer" },
	{ 9, 1, false, NULL, "an answer that makes no sense" },
	{ 0, 1, false, "\0\0\0\0", "0.0.0.0 is no address of a backend" },
	{ 0, 1, true, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", ":: is no address of a backend" },
	{ 0, 1, false, "\xe0\0\0\x01", "224.0.0.1 is no address of a backend" },
	{ 0, 1, false, "\xff\xff\xff\xff", "255.255.255.255 is no address of a backend" },
	{ 0, 1, true, "\xff\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", "ff02::1 is no address of a backend" },
	{ 0, 1, true, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x01\x02\x03", "10.1.2.3 is no address of a backend" },
};

/* No good report, and a good one once the answer is. */
START_TEST(bad_answer)
{
	static const uint8_t address[16] = { 10, 1, 2, 3 };

	server.flags = bad[_i].flags;
	server.addresses = bad[_i].addresses;
	if (bad[_i].address)
		memcpy(server.address, bad[_i].address, bad[_i].v6 ? 16 : 4);
	ck_assert_int_eq(resolve_set_names(resolve, &(struct resolve_name){ "pod", bad[_i].v6 }, 1), 0);
	ck_assert_str_eq(next_report()->reason, bad[_i].reason);
	server.flags = 0;
	server.addresses = 1;
	memcpy(server.address, address, sizeof address);
	ck_assert_str_eq(next_report()->reason, "");
}
END_TEST

START_TEST(another_id_is_ignored)
{
	server.forge = true;
	know("pod");
	ck_assert_uint_eq(next_report()->ip[12], 10);
	ck_assert_uint_eq(reported, 1);
}
END_TEST

/* Whoever wants to answer in the server's name has to guess the port anew for each question, and the letters. */
START_TEST(each_question_from_another_port)
{
	enum { QUESTIONS = 20 };
	static const struct resolve_name pod = { "a-name-of-some-letters", false };
	uint16_t ports[QUESTIONS];
	size_t same = 0, capitals = 0, letters = 0;

	know(pod.host);
	for (size_t i = 0; i < QUESTIONS; i++) {
		ck_assert(next_report()->good);
		ports[i] = server.from.sin_port;
		for (size_t j = 0; j < i; j++)
			same += ports[j] == ports[i];
		for (ssize_t j = HEADER; j < server.query_len; j++) {
			letters += isalpha(server.query[j]) != 0;
			capitals += isupper(server.query[j]) != 0;
		}
		resolve_now(resolve, &pod);
	}
	/* Of some 28,000 ports two may be the same now and then. */
	ck_assert_uint_le(same, 2);
	ck_assert(capitals > letters / 4 && capitals < letters * 3 / 4);
}
END_TEST

/* In two rounds of silence both are asked. Then the one that answers is asked first. */
START_TEST(one_of_two_servers_is_dead)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof addr;
	char second[64];

	resolve_free(resolve);
	ck_assert_int_eq(getsockname(other.fd, (struct sockaddr *)&addr, &len), 0);
	snprintf(second, sizeof second, "nameserver 127.0.0.1:%u\n", ntohs(addr.sin_port));
	write_conf(&server, second);
	ck_assert_int_eq(resolve_new_from(&resolve, base, file, on_report, &reports), 0);
	server.silent = other.silent = true;
	other.address[3] = 9;
	know("pod");
	ck_assert_str_eq(next_report()->reason, "no answer from the DNS");
	ck_assert_uint_eq(server.asked, 1);
	ck_assert_uint_eq(other.asked, 1);
	other.silent = false;
	ck_assert_uint_eq(next_report()->ip[15], 9);
	ck_assert_uint_eq(server.asked, 1);
	ck_assert_uint_eq(other.asked, 2);
}
END_TEST

/* More than are asked at once: the others have their turn when those are given up. */
START_TEST(many_in_silence)
{
	enum { NAMES = 3 * RESOLVE_AT_ONCE };
	static char hosts[NAMES][8];
	struct resolve_name names[NAMES];

	server.silent = true;
	for (size_t i = 0; i < NAMES; i++) {
		snprintf(hosts[i], sizeof hosts[i], "n%03zu", i);
		names[i] = (struct resolve_name){ hosts[i], false };
	}
	ck_assert_int_eq(resolve_set_names(resolve, names, NAMES), 0);
	run_until(&server.asked, RESOLVE_AT_ONCE);
	run_ms(100);
	ck_assert_uint_eq(server.asked, RESOLVE_AT_ONCE);
	/* Most of those that are asked for are forgotten, and half of those that wait. */
	ck_assert_int_eq(resolve_set_names(resolve, names + 60, NAMES / 2), 0);
	server.silent = false;
	run_until(&reported, NAMES / 2);
	for (size_t i = 0; i < NAMES / 2; i++)
		ck_assert_msg(reports[i].good || i < 4, "%s: %s", reports[i].host, reports[i].reason);
}
END_TEST

START_TEST(silence_then_an_answer)
{
	server.silent = true;
	know("pod");
	ck_assert_str_eq(next_report()->reason, "no answer from the DNS");
	ck_assert_uint_eq(server.asked, 2);
	server.silent = false;
	ck_assert(next_report()->good);
}
END_TEST

START_TEST(many_at_once)
{
	enum { NAMES = 500 };
	static char hosts[NAMES][8];
	struct resolve_name names[NAMES];
	bool seen[NAMES] = { false };

	server.by_number = true;
	for (size_t i = 0; i < NAMES; i++) {
		snprintf(hosts[i], sizeof hosts[i], "n%zu", i);
		names[i] = (struct resolve_name){ hosts[i], false };
	}
	ck_assert_int_eq(resolve_set_names(resolve, names, NAMES), 0);
	run_until(&reported, NAMES);
	for (size_t i = 0; i < NAMES; i++) {
		const size_t number = (size_t)(reports[i].ip[14] << 8 | reports[i].ip[15]);
		ck_assert(reports[i].good);
		ck_assert_str_eq(reports[i].host, hosts[number]);
		ck_assert(!seen[number]);
		seen[number] = true;
	}
}
END_TEST

START_TEST(search_list)
{
	resolve_free(resolve);
	write_conf(&server, "search one.test two.test\noptions ndots:3\n");
	ck_assert_int_eq(resolve_new_from(&resolve, base, file, on_report, &reports), 0);
	server.only = "a.b.two.test";
	know("a.b");
	ck_assert(next_report()->good);
	ck_assert_uint_eq(server.asked, 2);
	ck_assert_str_eq(server.name, "a.b.two.test");
	know("a.b.");
	ck_assert_str_eq(next_report()->reason, "no such name");
	ck_assert_uint_eq(server.asked, 3);
	ck_assert_str_eq(server.name, "a.b");
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, LIMIT_S);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, one_address);
	tcase_add_test(tests, ipv6);
	tcase_add_loop_test(tests, ttl, 0, sizeof ttls / sizeof *ttls);
	tcase_add_loop_test(tests, an_address_that_is_given_again, 0, sizeof repeated / sizeof *repeated);
	tcase_add_loop_test(tests, bad_answer, 0, sizeof bad / sizeof *bad);
	tcase_add_test(tests, another_id_is_ignored);
	tcase_add_test(tests, each_question_from_another_port);
	tcase_add_test(tests, one_of_two_servers_is_dead);
	tcase_add_test(tests, many_in_silence);
	tcase_add_test(tests, silence_then_an_answer);
	tcase_add_test(tests, many_at_once);
	tcase_add_test(tests, search_list);
}
