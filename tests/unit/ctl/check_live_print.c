/* cidlbctl: what its reader sees of a running cidlb's answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/live_print.h"
#include "ctl/live_sort.h"
#include "tests/unit/suite.h"

/* With single quotes for double ones. */
static void expect(const char *command, const char *answer, const char *printed)
{
	char *json = strdup(answer), *text = NULL;
	size_t octets;
	json_error_t error;
	FILE *out = open_memstream(&text, &octets);

	for (char *at = json; (at = strchr(at, '\''));)
		*at = '"';
	json_t *parsed = json_loads(json, 0, &error);
	ck_assert_msg(parsed, "%s", error.text);
	live_print(command, parsed, out);
	fclose(out);
	ck_assert_str_eq(text, printed);
	json_decref(parsed);
	free(text);
	free(json);
}

START_TEST(test_backends_that_are_fine)
{
	static const char answer[] = "{'backends': ["
				     "{'pool': 'lwm2m', 'name': 'a', 'health': 'up', 'state': 'ready', 'weight': 100, "
				     "'address': '127.0.0.1:6001',"
				     " 'ids': ['01'], 'flows': 1017, 'last_cid_s': 0, 'probed': true, 'reason': "
				     "'HelloVerifyRequest', 'latency_us': 840},"
				     "{'pool': 'lwm2m', 'name': 'b', 'health': 'up', 'state': 'ready', 'weight': 100, "
				     "'address': '127.0.0.1:6002',"
				     " 'ids': ['02', '05', '06', '07', '08'], 'flows': 3, 'last_cid_s': null, "
				     "'probed': true, 'reason': 'alert',"
				     " 'latency_us': 12400}]}";

	expect("backends", answer,
	       "BACKEND  HEALTH  STATE  WEIGHT  ADDRESS         IDS          FLOWS  LAST CID   PROBE\n"
	       "lwm2m/a  up      ready     100  127.0.0.1:6001  01            1017  0 s ago    HelloVerifyRequest in "
	       "0.8 ms\n"
	       "lwm2m/b  up      ready     100  127.0.0.1:6002  02,05,06 +2      3  none seen  alert in 12 ms\n");
}
END_TEST

START_TEST(test_backends_that_are_not)
{
	static const char answer[] =
		"{'backends': ["
		"{'pool': 'lwm2m', 'name': 'b', 'health': 'up', 'state': 'drain', 'weight': 100, 'address': "
		"'127.0.0.1:6002',"
		" 'ids': ['02'], 'flows': 17, 'last_cid_s': 12, 'reason': '2.05 Content', 'latency_us': 1100, "
		"'since_s': 9,"
		" 'rebinding': {'finding': 'no', 'reason': 'answered to the old port'},"
		" 'cid': {'finding': 'wrong', 'reason': 'length 8, configured 6'}, 'steering': 'drain 75%',"
		" 'drain': {'watched_s': 99, 'silent_s': 12, 'may_stop': false}},"
		"{'pool': 'lwm2m', 'name': 'c', 'health': 'down', 'state': 'ready', 'weight': 100, 'address': null,"
		" 'ids': [], 'flows': 0, 'last_cid_s': null, 'reason': 'no answer for 1000 ms', 'latency_us': null, "
		"'since_s': 7199,"
		" 'host': 'c.example', 'name_reason': 'no such name', 'next_hop': 'no route', 'unanswered': 12, "
		"'rebinding': {'finding': "
		"'unknown'}, 'cid': "
		"{'finding': 'ok'}}]}";

	expect("backends", answer,
	       "BACKEND  HEALTH  STATE  WEIGHT  HOST       ADDRESS         IDS  FLOWS  LAST CID   REBINDING  CID    "
	       "PROBE\n"
	       "lwm2m/b  up      drain     100  -          127.0.0.1:6002  02      17  12 s ago   no         wrong  "
	       "2.05 Content in 1.1 ms\n"
	       "    rebinding: answered to the old port\n"
	       "    cid: length 8, configured 6\n"
	       "    says of itself: drain 75%\n"
	       "    17 flows left, last CID 12 s ago\n"
	       "lwm2m/c  down    ready     100  c.example  unresolved      -        0  none seen  unknown    ok     no "
	       "answer for 1000 ms\n"
	       "    down for 1 h\n"
	       "    gets nothing: no route\n"
	       "    12 new sessions in a row got no answer\n"
	       "    c.example: no such name\n");
}
END_TEST

/* "May I stop it now?" 1795940856 is 2026-11-29 08:27:36 UTC. */
START_TEST(test_drain)
{
#define DRAIN(watched, silent, may, before)                                                                            \
	", 'drain': {'watched_s': " watched ", 'silent_s': " silent ", 'needed_s': 86400, 'may_stop': " may            \
	", 'not_before': " before "}"
#define UNTIL "; cannot tell before 2026-11-29 08:27:36"
	static const struct {
		const char *facts, *row, *said;
	} cases[] = {
		/* silent for long, but watched for 4 s */
		{ "'flows': 0, 'last_cid_s': null" DRAIN("4", "4", "false", "1795940856"), "0  none seen",
		  "no CID seen, drained and watched for 4 s" UNTIL },
		{ "'flows': 0, 'last_cid_s': 172800" DRAIN("90", "90", "false", "1795940856"), "0  2 d ago",
		  "last CID 2 d ago, drained and watched for 1 min" UNTIL },
		{ "'flows': 0, 'last_cid_s': 4" DRAIN("7200", "4", "false", "1795940856"), "0  4 s ago",
		  "last CID 4 s ago" UNTIL },
		{ "'flows': 2, 'last_cid_s': 4" DRAIN("90", "4", "false", "1795940856"), "2  4 s ago",
		  "2 flows left, last CID 4 s ago" UNTIL },
		/* no CID, and yet somebody */
		{ "'flows': 1, 'last_cid_s': 90000" DRAIN("99999", "90000", "false", "null"), "1  1 d ago",
		  "1 flow left, last CID 1 d ago" },
		{ "'flows': 0, 'last_cid_s': 90000" DRAIN("99999", "90000", "true", "null"), "0  1 d ago",
		  "may be stopped: no CID for 1 d" },
	};

	ck_assert_int_eq(setenv("TZ", "UTC", 1), 0);
	expect("backends",
	       "{'backends': [{'pool': 'p', 'name': 'b', 'drain': {'watched_s': 9, 'silent_s': 4, 'forecast': "
	       "{'half_s': 0, 'all_s': 0, 'late': 0, 'new': 2, 'by_s': 0}}}]}",
	       "BACKEND\n"
	       "p/b\n"
	       "    no CID seen, drained and watched for 9 s\n"
	       "    2 of them so new that their interval is not known\n");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char answer[512], printed[256];

		snprintf(answer, sizeof answer, "{'backends': [{'pool': 'p', 'name': 'b', 'state': 'drain', %s}]}",
			 cases[i].facts);
		snprintf(printed, sizeof printed, "BACKEND  STATE  FLOWS  LAST CID\np/b      drain      %s\n    %s\n",
			 cases[i].row, cases[i].said);
		expect("backends", answer, printed);
	}
}
END_TEST

START_TEST(test_backends_of_few_words)
{
	expect("backends",
	       "{'backends': [{}, {'pool': 'p', 'name': 'b', 'probed': false, 'id': '02', 'latency_us': 1}]}",
	       "BACKEND  PROBE\n"
	       "-/-      -\n"
	       "p/b      not yet\n");
	expect("backends",
	       "{'backends': [{'reason': 'alert', 'latency_us': 1230000, 'rebinding': {'finding': 'no'}, 'cid': 7}]}",
	       "BACKEND  REBINDING  PROBE\n"
	       "-/-      no         alert in 1.2 s\n"
	       "    rebinding: no\n");
}
END_TEST

START_TEST(test_status)
{
	expect("status",
	       "{'version': '0.1', 'uptime_s': 90061, 'workers': 2, 'file': '/etc/cidlb/cidlb.conf', 'fingerprint': "
	       "'0123456789abcdef',"
	       "'generation': 7, 'ready': true,"
	       "'listeners': [{'name': 'coaps', 'address': '0.0.0.0:5684', 'pool': 'lwm2m', 'received': 1000, "
	       "'kernel_drops': 0}],"
	       "'pools': [{'name': 'lwm2m', 'backends': 3, 'accepting': 0, 'id_moves': 1, 'ids_contested': 1,"
	       "'flows': {'handshake': 4, 'address': 6, 'cid': 50}, 'replies': 900, 'copies': 2, 'withheld': 3, "
	       "'own_endpoint': 0,"
	       "'refused_up': {'flows': 0, 'send': 3, 'no_address': 9}, 'refused_down': {'budget': 0}},"
	       "{'name': 'q', 'accepting': 1, 'refused_up': {'flows': 0}, 'refused_down': {'budget': 2}}],"
	       "'verdicts': {'cid': 990, 'hello': 0, 'malformed': 10}}",
	       "cidlb 0.1, up 1 d 1 h 1 min 1 s, 2 workers, ready\n"
	       "configuration /etc/cidlb/cidlb.conf, fingerprint 0123456789abcdef, routing table 7\n"
	       "\n"
	       "LISTENER  ADDRESS       POOL   RECEIVED  KERNEL DROPS\n"
	       "coaps     0.0.0.0:5684  lwm2m      1000             0\n"
	       "\n"
	       "POOL   BACKENDS  TAKE NEW  CID FLOWS  ADDRESS  HANDSHAKE  REPLIES  COPIES  WITHHELD  OWN ENDPOINT  ID "
	       "MOVES\n"
	       "lwm2m         3         0         50        6          4      900       2         3             0      "
	       "   "
	       "1\n"
	       "    no backend takes new sessions\n"
	       "    1 server id claimed by several backends\n"
	       "    refused to backends: send 3, no_address 9\n"
	       "q             -         1          -        -          -        -       -         -             -      "
	       "   "
	       "-\n"
	       "    refused to devices: budget 2\n"
	       "\n"
	       "verdicts  cid 990, malformed 10\n");
}
END_TEST

START_TEST(test_buffers)
{
	expect("status",
	       "{'version': '0.1', 'uptime_s': 1, 'workers': 1, 'file': 'f', 'fingerprint': '0', 'generation': 7, "
	       "'ready': true, 'listeners': [], 'pools': [], 'verdicts': {}, "
	       "'receive_buffers': {'asked': 16777216, 'listener': 4194304, 'endpoint': 212992, 'tunnel': 1023}}",
	       "cidlb 0.1, up 1 s, 1 worker, ready\n"
	       "configuration f, fingerprint 0, routing table 7\n"
	       "receive buffers: listener 4 MiB, endpoint 208 KiB, tunnel 1023 octets, 16 MiB asked for\n"
	       "\n"
	       "LISTENER  ADDRESS  POOL  RECEIVED  KERNEL DROPS\n"
	       "\n"
	       "POOL  BACKENDS  TAKE NEW  CID FLOWS  ADDRESS  HANDSHAKE  REPLIES  COPIES  WITHHELD  OWN ENDPOINT  ID "
	       "MOVES\n"
	       "\n"
	       "verdicts  none yet\n");
}
END_TEST

/* Times in people's units. */
START_TEST(test_flows)
{
	expect("flows",
	       "{'matched': 2, 'flows': ["
	       "{'pool': 'p', 'kind': 'cid', 'device': '192.0.2.1:4000', 'first_ms_ago': 90061000, 'last_up_ms_ago': "
	       "999, 'last_down_ms_ago': 1000},"
	       "{'pool': 'p', 'kind': 'address', 'device': '192.0.2.2:4000', 'first_ms_ago': 120000, 'last_up_ms_ago': "
	       "0, 'last_down_ms_ago': null}]}",
	       "POOL  KIND     DEVICE          BEGAN      LAST UP     LAST DOWN\n"
	       "p     cid      192.0.2.1:4000  1 d ago    999 ms ago  1 s ago\n"
	       "p     address  192.0.2.2:4000  2 min ago  0 ms ago    never\n");
	expect("flows", "{'matched': 0, 'flows': []}", "no flow\n");
}
END_TEST

START_TEST(test_one_flow)
{
	expect("flows",
	       "{'matched': 1, 'flows': [{'kind': 'cid', 'copies': 2, 'unproven': ["
	       "{'address': '192.0.2.1:1', 'answered': true, 'known': false, 'withheld': true},"
	       "{'address': '192.0.2.2:1', 'answered': false, 'known': false, 'withheld': false}],"
	       "'first_ms_ago': 7200000}]}",
	       "kind             cid\n"
	       "copies           2\n"
	       "unproven         192.0.2.1:1 (answered) (withheld), 192.0.2.2:1\n"
	       "began            2 h ago\n");
}
END_TEST

START_TEST(test_one_backend)
{
	expect("drain",
	       "{'backend': {'pool': 'p', 'name': 'a', 'state': 'drain', 'health': 'up', 'weight': 100, 'flows': 3}}",
	       "p/a: drain, up, weight 100\n");
}
END_TEST

/* By both ways together, and not by datagrams. */
START_TEST(test_sorted_by_octets)
{
	static const char *const order[] = { "b", "c", "a" };
	const struct ctl_options options = { .sort = "octets" };
	json_t *answer = json_pack("{s:[{s:s, s:i, s:i, s:i}, {s:s, s:i, s:i, s:i}, {s:s, s:i, s:i, s:i}]}", "backends",
				   "name", "a", "octets_up", 5, "octets_down", 5, "forwarded_up", 9, "name", "b",
				   "octets_up", 1, "octets_down", 20, "forwarded_up", 1, "name", "c", "octets_up", 19,
				   "octets_down", 1, "forwarded_up", 2);

	ck_assert_int_eq(live_sort_check("backends", &options), CTL_OK);
	live_sort_backends(answer, &options);
	for (size_t i = 0; i < 3; i++)
		ck_assert_str_eq(json_string_value(json_object_get(
					 json_array_get(json_object_get(answer, "backends"), i), "name")),
				 order[i]);
	json_decref(answer);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, test_sorted_by_octets);
	tcase_add_test(tests, test_backends_that_are_fine);
	tcase_add_test(tests, test_backends_that_are_not);
	tcase_add_test(tests, test_drain);
	tcase_add_test(tests, test_backends_of_few_words);
	tcase_add_test(tests, test_status);
	tcase_add_test(tests, test_buffers);
	tcase_add_test(tests, test_flows);
	tcase_add_test(tests, test_one_flow);
	tcase_add_test(tests, test_one_backend);
}
