#include <errno.h>
#include <string.h>

#include "decap/options.h"
#include "tests/unit/suite.h"

enum { WORDS = 8 };

static struct decap_options options;
static char mistake[DECAP_MISTAKE_OCTETS];

static int read_line(const char *line)
{
	static char text[4096];
	char *argv[WORDS] = { "cidlb-decap" };
	int argc = 1;

	ck_assert_uint_lt(strlen(line), sizeof text);
	strcpy(text, line);
	for (char *rest = text, *word; (word = strtok_r(rest, " ", &rest)) && argc < WORDS;)
		argv[argc++] = word;
	mistake[0] = '\0';
	return decap_options_read(&options, argc, argv, mistake);
}

START_TEST(values)
{
	ck_assert_int_eq(read_line("eth0 --address 10.9.0.11,fd09::11 --nodes 10.9.0.1,10.9.0.2 --attach generic"), 0);
	ck_assert_str_eq(options.interface, "eth0");
	ck_assert_uint_eq(options.own.count, 2);
	ck_assert_uint_eq(options.nodes.count, 2);
	ck_assert_uint_eq(options.own.at[0].ip[15], 11);
	ck_assert_uint_eq(options.own.at[1].ip[0], 0xfd);
	ck_assert_uint_eq(options.nodes.at[1].ip[15], 2);
	ck_assert_int_eq(options.attach, EBPF_GENERIC);
	ck_assert_int_eq(options.task, DECAP_RUN);
	ck_assert_int_eq(read_line("--address=10.9.0.11 eth0 --nodes 10.9.0.1 --nodes ::1"), 0);
	ck_assert_uint_eq(options.nodes.count, 2);
	ck_assert_int_eq(options.attach, EBPF_AUTO);
	ck_assert_int_eq(read_line("-h"), 0);
	ck_assert_int_eq(options.task, DECAP_HELP);
	ck_assert_int_eq(read_line("--version"), 0);
	ck_assert_int_eq(options.task, DECAP_VERSION);
}
END_TEST

static const struct {
	const char *line, *mistake;
} mistakes[] = {
	{ "", "one INTERFACE is needed" },
	{ "eth0 eth1 --address 10.0.0.1 --nodes 10.0.0.2", "one INTERFACE is needed" },
	{ "eth0 --nodes 10.0.0.2", "--address is missing: this server's own address" },
	{ "eth0 --address 10.0.0.2", "--nodes is missing: the addresses that cidlb's nodes send from" },
	{ "eth0 --address 10.0.0.2 --nodes 10.0.0.2:5684",
	  "--nodes: \"10.0.0.2:5684\" is not the IP address of a host" },
	{ "eth0 --address 10.0.0.2, --nodes 10.0.0.3", "--address: \"\" is not the IP address of a host" },
	{ "eth0 --address 0.0.0.0 --nodes 10.0.0.3", "--address: \"0.0.0.0\" is not the IP address of a host" },
	{ "eth0 --address ff02::1 --nodes ::2", "--address: \"ff02::1\" is not the IP address of a host" },
	{ "eth0 --address fe80::1 --nodes ::2", "--address: \"fe80::1\" is not the IP address of a host" },
	{ "eth0 --address node.example --nodes ::2", "--address: \"node.example\" is not the IP address of a host" },
	{ "eth0 --attach driver", "--attach: \"driver\" is unknown; accepted: auto, native, generic" },
	{ "eth0 --from 10.0.0.1", "an option that is unknown, or lacks its value" },
	{ "eth0 --address", "an option that is unknown, or lacks its value" },
};

START_TEST(refused)
{
	ck_assert_int_eq(read_line(mistakes[_i].line), -EINVAL);
	ck_assert_str_eq(mistake, mistakes[_i].mistake);
}
END_TEST

START_TEST(as_many_as_fit)
{
	char line[2048] = "eth0 --nodes ::2 --address ";

	for (int i = 0; i < DECAP_ADDRESSES; i++)
		strcat(line, i == 0 ? "10.0.0.1" : ",10.0.0.1");
	ck_assert_int_eq(read_line(line), 0);
	ck_assert_uint_eq(options.own.count, DECAP_ADDRESSES);
	strcat(line, ",10.0.0.1");
	ck_assert_int_eq(read_line(line), -EINVAL);
	ck_assert_str_eq(mistake, "--address: more than 64 addresses");
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, values);
	tcase_add_loop_test(tests, refused, 0, sizeof mistakes / sizeof *mistakes);
	tcase_add_test(tests, as_many_as_fit);
}
