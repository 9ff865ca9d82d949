/* Which words and options are a command. No cidlb answers here, and there is no configuration: what is one is refused.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/commands.h"
#include "ctl/help.h"
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
	{ { "backends", "a" }, { .down = true, .sort = "flows" }, CTL_REFUSED },
	{ { "backends", "a", "b" }, { 0 }, CTL_USAGE },
	{ { "backends" }, { .sort = "size" }, CTL_USAGE },
	{ { "status" }, { .down = true }, CTL_USAGE },
	{ { "device" }, { 0 }, CTL_USAGE },
	{ { "device", "10.0.0.1" }, { 0 }, CTL_REFUSED },
	{ { "device", "00" }, { .cid = "00" }, CTL_USAGE },
	{ { "events" }, { .follow = true }, CTL_REFUSED },
	{ { "events", "a" }, { 0 }, CTL_USAGE },
	{ { "help" }, { 0 }, CTL_OK },
	{ { "help", "drain" }, { 0 }, CTL_OK },
	{ { "help", "cid" }, { 0 }, CTL_OK },
	{ { "help", "cid", "mint" }, { 0 }, CTL_OK },
	{ { "help", "stauts" }, { 0 }, CTL_USAGE },
	{ { "help", "cid", "mint", "p" }, { 0 }, CTL_USAGE },
	{ { "reload" }, { 0 }, CTL_REFUSED },
	{ { "reload", "a" }, { 0 }, CTL_USAGE },
	{ { "drain" }, { 0 }, CTL_USAGE },
	{ { "drain", "a" }, { 0 }, CTL_REFUSED },
	{ { "drain", "a" }, { .wait = true }, CTL_REFUSED },
	{ { "drain", "a" }, { .wait = true, .timeout = "26h" }, CTL_REFUSED },
	{ { "drain", "a" }, { .wait = true, .timeout = "26d" }, CTL_USAGE },
	{ { "drain", "a" }, { .wait = true, .timeout = "" }, CTL_USAGE },
	{ { "drain", "a" }, { .wait = true, .timeout = "-1" }, CTL_USAGE },
	{ { "drain", "a" }, { .wait = true, .timeout = "9999999999999" }, CTL_USAGE },
	{ { "drain", "a" }, { .timeout = "1s" }, CTL_USAGE },
	{ { "ready", "a" }, { .wait = true }, CTL_USAGE },
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
	{ { "flows" }, { .sort = "moves", .older = "24h" }, CTL_REFUSED },
	{ { "flows" }, { .sort = "name" }, CTL_USAGE },
	{ { "flows" }, { .older = "0" }, CTL_USAGE },
	{ { "flows" }, { .duration = "1s" }, CTL_USAGE },
	{ { "flows" }, { .pool = "p" }, CTL_USAGE },
	{ { "trace" }, { 0 }, CTL_USAGE },
	{ { "trace" }, { .cid = "00" }, CTL_REFUSED },
	{ { "trace" }, { .cid = "00", .duration = "1s" }, CTL_REFUSED },
	{ { "trace" }, { .cid = "00", .pcap = NOTHING }, CTL_REFUSED },
	{ { "trace" }, { .duration = "1s" }, CTL_USAGE },
	{ { "trace" }, { .from = "10.0.0.1" }, CTL_REFUSED },
	{ { "trace" }, { .cid = "00", .from = "10.0.0.1" }, CTL_USAGE },
	{ { "trace" }, { .cid = "00", .limit = "1" }, CTL_USAGE },
	{ { "status" }, { .cid = "00" }, CTL_USAGE },
	{ { "status" }, { .limit = "1" }, CTL_USAGE },
	{ { "status" }, { .from = "10.0.0.1" }, CTL_USAGE },
	{ { "drain", "a" }, { .listener = "l" }, CTL_USAGE },
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

/* What is said of a mistake: which one it is, and what may have been meant. */
static const struct {
	const char *words[WORDS_MAX];
	struct ctl_options options;
	const char *said;
} mistakes[] = {
	{ { "stauts" }, { 0 }, "cidlbctl: no command 'stauts'; did you mean status?\n" },
	{ { "stat" }, { 0 }, "cidlbctl: no command 'stat'; did you mean status?\n" },
	{ { "reloda" }, { 0 }, "cidlbctl: no command 'reloda'; did you mean reload?\n" },
	{ { "drian", "a" }, { 0 }, "cidlbctl: no command 'drian'; did you mean drain?\n" },
	{ { "cid", "mnt", "p" }, { 0 }, "cidlbctl: no command 'cid mnt'; did you mean cid mint?\n" },
	{ { "mint", "p", "a" }, { 0 }, "cidlbctl: no command 'mint'; did you mean cid mint?\n" },
	{ { "xyzzy" }, { 0 }, "cidlbctl: no command 'xyzzy'\n" },
	{ { "" }, { 0 }, "cidlbctl: no command ''\n" },
	{ { "a-word-that-is-longer-than-any-command-has" }, { 0 }, "-has'\n" },
	{ { "drain" }, { 0 }, "cidlbctl: drain takes 1 argument, not 0\nusage: cidlbctl drain NAME " },
	{ { "weight", "a" }, { 0 }, "cidlbctl: weight takes 2 arguments, not 1\nusage: cidlbctl weight NAME N " },
	{ { "status", "a" }, { 0 }, "cidlbctl: status takes no argument\nusage: cidlbctl status  " },
	{ { "status" }, { .pool = "p" }, "cidlbctl: status takes no --pool\n" },
	{ { "flows" }, { .cid = "0", .from = "::1" }, "cidlbctl: flows takes either --cid or --from, not both\n" },
	{ { "trace" }, { 0 }, "cidlbctl: trace needs --cid or --from\n" },
};

START_TEST(named_mistakes)
{
	struct ctl_options options = mistakes[_i].options;
	char *words[WORDS_MAX] = { 0 }, said[1024] = "";
	int count = 0, fds[2], before = dup(STDERR_FILENO);
	ssize_t len;

	for (; mistakes[_i].words[count]; count++)
		words[count] = (char *)(uintptr_t)mistakes[_i].words[count];
	options.file = options.socket = NOTHING;
	ck_assert_int_eq(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	const enum ctl_exit status = commands_run(count, words, &options);
	dup2(before, STDERR_FILENO);
	close(fds[1]);
	close(before);
	len = read(fds[0], said, sizeof said - 1);
	close(fds[0]);
	ck_assert_int_eq(status, CTL_USAGE);
	ck_assert_int_gt(len, 0);
	ck_assert_msg(strstr(said, mistakes[_i].said) != NULL, "%s", said);
}
END_TEST

/* Commands that take the same stand on one line of the synopsis, and each has its own below. */
START_TEST(usage)
{
	static const char *const parts[] = {
		"usage: cidlbctl status | reload | leave | join     [--socket PATH] [--json]\n",
		"\n       cidlbctl backends [NAME] [--down] [--sort KEY] [--socket PATH] [--json]\n",
		"\n       cidlbctl flows [--cid HEX | --from IP[:PORT]] [--older TIME] [--sort KEY] [--limit N] "
		"[--socket PATH] [--json]\n",
		"\n       cidlbctl drain NAME [--wait [--timeout TIME]] [--socket PATH] [--json]\n",
		"\n       cidlbctl ready | maint NAME                 [--socket PATH] [--json]\n",
		" gets no new ones, until\n          `ready` or `maint`. With --wait it returns once the server may be "
		"stopped: when no flow leads\n          there any more, and no CID has led there for cid_idle_s of its "
		"pool",
		"          drain, ready, maint and weight outlive reloads, and restarts where there is a state_file, "
		"else\n"
		"          they last until cidlb ends. A change of the server's entry in the configuration ends "
		"them.\n",
		"Exit status: 0 done, ",
		"\n       cidlbctl weight NAME N                      [--socket PATH] [--json]\n",
		"\n       cidlbctl cid open HEX [--pool POOL] [-c FILE] [--json]\n",
		"\n       cidlbctl -V | --help\n\nstatus    ",
		"\nready     it gets new sessions again\nmaint     it gets nothing\nweight    ",
		"\ncid open  whose CID that is",
		"\n  -h, --help             print this, or what there is to say of one command\n",
	};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	help_print_usage(out);
	ck_assert_int_eq(fclose(out), 0);
	for (int i = 0; i < COUNT_OF(parts); i++)
		ck_assert_msg(strstr(text, parts[i]) != NULL, "not in it: %s", parts[i]);
	free(text);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_loop_test(tests, is_command, 0, COUNT_OF(lines));
	tcase_add_loop_test(tests, named_mistakes, 0, COUNT_OF(mistakes));
	tcase_add_test(tests, usage);
}
