/* cidlbctl device: what is said of one meter. */
#include "ctl/device.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

#define BACKENDS(health, state)                                                                                        \
	"'backends': [{'pool': 'p', 'name': 'a', 'health': '" health "', 'state': '" state                             \
	"', 'since_s': 7300, 'reason': 'no answer for 1000 ms'}]"
#define SESSION(more)                                                                                                  \
	"{'kind': 'cid', 'class': 'cid', 'cid': '01aa', 'pool': 'p', 'backend': 'a', 'endpoint': '127.64.0.1:40684', " \
	"'first_ms_ago': 90000000, 'octets': 12288, " more "}"
#define HEAD  "session 01aa, pool p, server a, which is up, ready\n"
#define THERE "'device': '10.0.0.1:5000', 'unproven': []"
#define SEES  "  its server sees 127.64.0.1:40684\n"

/* With single quotes for double ones. */
static const struct {
	const char *answer, *of, *text;
} cases[] = {
	{ "{'matched': 1, 'flows': [" SESSION(
		  THERE ", 'moves': 3, 'last_up_ms_ago': 40, 'last_down_ms_ago': 20") "], " BACKENDS("up", "ready") "}",
	  "01aa",
	  HEAD
	  "  at 10.0.0.1:5000, where its handshake was\n"
	  "  last up 40 ms ago, last down 20 ms ago; began 1 d ago; 12 KiB both ways; went on at another address 3 "
	  "times\n" SEES "  => it speaks, and is answered\n" },
	{ "{'matched': 2, 'flows': [" SESSION(
		  "'device': null, 'unproven': [{'address': '10.0.0.2:1', 'answered': true}, {'address': '10.0.0.3:1'},"
		  "{'address': '10.0.0.4:1', 'answered': true, 'withheld': true}], 'moves': 0, 'withheld': 1,"
		  "'last_up_ms_ago': 1000, 'last_down_ms_ago': 61000") "], " BACKENDS("down", "drain") "}",
	  "01aa",
	  "session 01aa, pool p, server a, which is down for 2 h (no answer for 1000 ms), drain\n"
	  "  seen at 10.0.0.2:1 (answered), 10.0.0.3:1 (not answered), 10.0.0.4:1 (its last answer was withheld)\n"
	  "  last up 1 s ago, last down 1 min ago; began 1 d ago; 12 KiB both ways; went on at another address "
	  "never\n" SEES
	  "  withheld: 1 time an address that had not proven itself would have got more than it may have "
	  "(nat.unproven_rate)\n"
	  "  => it speaks, and its server does not answer: for 1 min now\n"
	  "1 more flow\n" },
	{ "{'matched': 1, 'flows': [" SESSION(
		  THERE ", 'moves': 1, 'last_up_ms_ago': 97200000, 'last_down_ms_ago': 97200000") "], 'backends': []}",
	  "10.0.0.1",
	  "session 01aa, pool p, server a, which is no longer configured\n"
	  "  at 10.0.0.1:5000, where its handshake was\n"
	  "  last up 1 d ago, last down 1 d ago; began 1 d ago; 12 KiB both ways; went on at another address 1 "
	  "time\n" SEES "  => it was answered, and is silent for 1 d\n" },
	{ "{'matched': 1, 'flows': [{'kind': 'address', 'class': 'handshake', 'cid': null, 'device': '10.0.0.1:5', "
	  "'pool': 'p', 'backend': 'a', 'endpoint': '127.64.0.1:1', 'first_ms_ago': 900, 'last_up_ms_ago': 900, "
	  "'octets': 100, 'last_down_ms_ago': null}], " BACKENDS(
		  "up", "ready") ", 'dropped': [{'from': '10.0.0.1:5', 'listener': "
				 "'coaps', 'why': 'limited', 'times': 4, 'ago_s': 0}]}",
	  "10.0.0.1",
	  "handshake 10.0.0.1:5, pool p, server a, which is up, ready\n"
	  "  at 10.0.0.1:5\n"
	  "  last up 900 ms ago, never anything down; began 900 ms ago; 100 octets both ways\n"
	  "  its server sees 127.64.0.1:1\n"
	  "  => its server has not answered yet\n"
	  "dropped 4 times, last 0 s ago, from 10.0.0.1:5 at listener coaps: limited: more new handshakes than "
	  "hello_rate "
	  "lets pass\n" },
	{ "{'matched': 0, 'flows': [], 'uptime_s': 120, 'without_flows': [{'pool': 't', 'forward': 'dsr'}]}",
	  "10.0.0.1",
	  "10.0.0.1: no flow, no handshake, and nothing of it was dropped since cidlb was started, 2 min ago\n"
	  "does anything arrive? cidlbctl trace --from 10.0.0.1\n"
	  "pool t, mode dsr, keeps nothing of a device. Its CID says which server it has: cidlbctl device HEX. Does it "
	  "speak? cidlbctl trace --from 10.0.0.1\n" },
	{ "{'matched': 0, 'flows': [], 'without_flows': [{'pool': 'p', 'forward': 'tunnel', 'cid': 'leads', "
	  "'backend': 'a'}], " BACKENDS("up", "drain") "}",
	  "01aa",
	  "CID 01aa, pool p, server a, which is up, drain\n"
	  "  mode tunnel keeps nothing of a device. Does it speak, and from where? cidlbctl trace --cid 01aa\n" },
	{ "{'matched': 0, 'flows': [], 'without_flows': [{'pool': 'p', 'forward': 'nat', 'cid': 'leads', "
	  "'backend': 'a'}], " BACKENDS("down", "ready") "}",
	  "01aa",
	  "CID 01aa, pool p, server a, which is down for 2 h (no answer for 1000 ms), ready\n"
	  "  => what it sends goes there all the same: no other server has its keys\n"
	  "  mode nat keeps nothing of a device. Does it speak, and from where? cidlbctl trace --cid 01aa\n" },
	{ "{'matched': 0, 'flows': [], 'without_flows': [{'pool': 'p', 'forward': 'dsr', 'cid': 'leads', "
	  "'backend': 'a'}, {'pool': 't', 'forward': 'tunnel', 'cid': 'unread'}], " BACKENDS("up", "maint") "}",
	  "01aa",
	  "CID 01aa, pool p, server a, which is up, maint\n"
	  "  => its server is in maint: what it sends is dropped\n"
	  "  mode dsr keeps nothing of a device. Does it speak, and from where? cidlbctl trace --cid 01aa\n"
	  "pool t, mode tunnel, does not read CIDs: a device's address says which server it has\n" },
	{ "{'matched': 0, 'uptime_s': 120, 'without_flows': [{'pool': 't', 'forward': 'tunnel', 'cid': 'misfit'}, "
	  "{'pool': 'u', 'forward': 'dsr', 'cid': 'unknown'}, {'pool': 'v', 'forward': 'dsr', 'cid': 'no_server'}]}",
	  "01aa",
	  "01aa: no flow, no handshake, and nothing of it was dropped since cidlb was started, 2 min ago\n"
	  "whose is it? cidlbctl cid open 01aa; does anything arrive? cidlbctl trace --cid 01aa\n"
	  "pool t, mode tunnel, has no such CIDs: another length, or another config. cidlbctl cid open\n"
	  "pool u, mode dsr, the CID leads to no server: no server has this id, or was seen to give it out\n"
	  "pool v, mode dsr, no server takes sessions\n" },
	{ "{'matched': 0, 'uptime_s': 120}", "01aa",
	  "01aa: no flow, no handshake, and nothing of it was dropped since cidlb was started, 2 min ago\n"
	  "whose is it? cidlbctl cid open 01aa; does anything arrive? cidlbctl trace --cid 01aa\n" },
	{ "{'matched': 0, 'handshakes': [{'pool': 't', 'backend': 'b'}]}", "10.0.0.1:5",
	  "handshake under way, pool t, server b\n" },
};

START_TEST(in_words)
{
	char *json = strdup(cases[_i].answer), *text = NULL;
	size_t octets;
	json_error_t error;
	FILE *out = open_memstream(&text, &octets);

	for (char *at = json; (at = strchr(at, '\''));)
		*at = '"';
	json_t *parsed = json_loads(json, 0, &error);
	ck_assert_msg(parsed, "%s", error.text);
	device_print(parsed, cases[_i].of, out);
	fclose(out);
	ck_assert_str_eq(text, cases[_i].text);
	json_decref(parsed);
	free(text);
	free(json);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, in_words, 0, COUNT_OF(cases));
}
