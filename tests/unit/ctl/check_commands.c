/* Which words and options are a command. No cidlb answers here, and there is no configuration: what is one is refused.
 */
#include <stdlib.h>
#include <string.h>

#include "ctl/commands.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

#define NOTHING "/nonexistent/cidlb"

enum { WORDS_MAX = 6 };

static const struct {
	const char *words[WORDS_MAX];
	struct ctl_options options;
	enum ctl_exit status;
} lines[] = {
	{ { NULL }, { 0 }, CTL_USAGE },
	{ { "" }, { 0 }, CTL_USAGE },
	{ { "stat" }, { 0 }, CTL_USAGE },
	{ { "statuses" }, { 0 }, CTL_USAGE },
	/* as many words as it takes */
	{ { "status" }, { 0 }, CTL_REFUSED },
	{ { "status", "a" }, { 0 }, CTL_USAGE },
	{ { "backends" }, { 0 }, CTL_REFUSED },
	{ { "reload" }, { 0 }, CTL_REFUSED },
	{ { "reload", "a" }, { 0 }, CTL_USAGE },
	{ { "drain" }, { 0 }, CTL_USAGE },
	{ { "drain", "a" }, { 0 }, CTL_REFUSED },
	{ { "ready", "a" }, { 0 }, CTL_REFUSED },
	{ { "maint", "a" }, { 0 }, CTL_REFUSED },
	{ { "maint", "a", "b" }, { 0 }, CTL_USAGE },
	{ { "weight", "a" }, { 0 }, CTL_USAGE },
	{ { "weight", "a", "1" }, { 0 }, CTL_REFUSED },
	{ { "weight", "a", "1", "2" }, { 0 }, CTL_USAGE },
	{ { "route" }, { 0 }, CTL_USAGE },
	{ { "route", "16fefd" }, { 0 }, CTL_REFUSED },
	{ { "cid" }, { 0 }, CTL_USAGE },
	{ { "cid", "mint", "p" }, { 0 }, CTL_USAGE },
	{ { "cid", "mint", "p", "a" }, { 0 }, CTL_REFUSED },
	{ { "cid", "mint", "p", "a", "b" }, { 0 }, CTL_USAGE },
	{ { "cid", "open" }, { 0 }, CTL_USAGE },
	{ { "cid", "open", "00" }, { 0 }, CTL_REFUSED },
	{ { "cid", "close", "00" }, { 0 }, CTL_USAGE },
	{ { "mint", "p", "a" }, { 0 }, CTL_USAGE },
	/* options that it takes */
	{ { "flows" }, { 0 }, CTL_REFUSED },
	{ { "flows" }, { .cid = "00", .limit = "1" }, CTL_REFUSED },
	{ { "flows" }, { .from = "10.0.0.1", .limit = "1" }, CTL_REFUSED },
	{ { "flows" }, { .cid = "00", .from = "10.0.0.1" }, CTL_USAGE },
	{ { "flows" }, { .duration = "1s" }, CTL_USAGE },
	{ { "flows" }, { .pool = "p" }, CTL_USAGE },
	{ { "trace" }, { 0 }, CTL_USAGE },
	{ { "trace" }, { .cid = "00" }, CTL_REFUSED },
	{ { "trace" }, { .cid = "00", .duration = "1s" }, CTL_REFUSED },
	{ { "trace" }, { .cid = "00", .pcap = NOTHING }, CTL_REFUSED },
	{ { "trace" }, { .duration = "1s" }, CTL_USAGE },
	{ { "trace" }, { .cid = "00", .from = "10.0.0.1" }, CTL_USAGE },
	{ { "trace" }, { .cid = "00", .limit = "1" }, CTL_USAGE },
	{ { "status" }, { .cid = "00" }, CTL_USAGE },
	{ { "status" }, { .limit = "1" }, CTL_USAGE },
	{ { "status" }, { .pcap = NOTHING }, CTL_USAGE },
	{ { "drain", "a" }, { .count = "1" }, CTL_USAGE },
	{ { "route", "16fefd" }, { .from = "10.0.0.1:1", .listener = "l" }, CTL_REFUSED },
	{ { "route", "16fefd" }, { .rotation = "0" }, CTL_USAGE },
	{ { "route", "16fefd" }, { .cid = "00" }, CTL_USAGE },
	{ { "cid", "mint", "p", "a" }, { .rotation = "0", .count = "1" }, CTL_REFUSED },
	{ { "cid", "mint", "p", "a" }, { .pool = "p" }, CTL_USAGE },
	{ { "cid", "mint", "p", "a" }, { .from = "10.0.0.1:1" }, CTL_USAGE },
	{ { "cid", "open", "00" }, { .pool = "p" }, CTL_REFUSED },
	{ { "cid", "open", "00" }, { .count = "1" }, CTL_USAGE },
	{ { "cid", "open", "00" }, { .listener = "l" }, CTL_USAGE },
};

START_TEST(is_command)
{
	struct ctl_options options = lines[_i].options;
	char *words[WORDS_MAX] = { 0 };
	int count = 0;

	for (; lines[_i].words[count]; count++)
		words[count] = (char *)(uintptr_t)lines[_i].words[count];
	options.file = options.socket = NOTHING;
	ck_assert_int_eq(commands_run(count, words, &options), lines[_i].status);
}
END_TEST

/* Commands that take the same stand on one line of the synopsis, and each has its own below. */
START_TEST(usage)
{
	static const char *const parts[] = {
		"usage: cidlbctl status | backends | reload         [--socket PATH] [--json]\n",
		"\n       cidlbctl flows [--cid HEX | --from IP[:PORT]] [--limit N] [--socket PATH] [--json]\n",
		"\n       cidlbctl drain | ready | maint NAME         [--socket PATH] [--json]\n",
		"\n       cidlbctl weight NAME N                      [--socket PATH] [--json]\n",
		"\n       cidlbctl cid open HEX [--pool POOL] [-c FILE] [--json]\n",
		"\n       cidlbctl -V | --help\n\nstatus    ",
		"\nready     it gets new sessions again\nmaint     it gets nothing\nweight    ",
		"\ncid open  whose CID that is",
		"\n  -h, --help             print this\n",
	};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	commands_print_usage(out);
	ck_assert_int_eq(fclose(out), 0);
	for (int i = 0; i < COUNT_OF(parts); i++)
		ck_assert_msg(strstr(text, parts[i]) != NULL, "not in it: %s", parts[i]);
	free(text);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, is_command, 0, COUNT_OF(lines));
	tcase_add_test(tests, usage);
}
