/* Lines are read back from a file that stands in for stderr. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/log_line.h"
#include "tests/unit/suite.h"

static char out[1 << 20];
static FILE *file;

static void capture(void)
{
	file = tmpfile();
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(dup2(fileno(file), STDERR_FILENO), 0);
}

static const char *captured(void)
{
	rewind(file);
	size_t len = fread(out, 1, sizeof out - 1, file);
	out[len] = '\0';
	return out;
}

/* "2026-11-22T13:20:01.123Z" */
static void assert_time(const char *text)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ";

	for (size_t i = 0; i < strlen(shape); i++) {
		if (shape[i] == 'd')
			ck_assert_msg(text[i] >= '0' && text[i] <= '9', "%s", text);
		else
			ck_assert_int_eq(text[i], shape[i]);
	}
}

START_TEST(test_text)
{
	capture();
	log_event(LOG_LEVEL_INFO, "backend_down", "lwm2m", "b", "no answer for %d ms", 1000);
	assert_time(captured());
	ck_assert_str_eq(out + 24, " info backend_down pool=lwm2m backend=b: no answer for 1000 ms\n");
}
END_TEST

START_TEST(test_text_without_names)
{
	capture();
	log_event(LOG_LEVEL_ERROR, "start", NULL, NULL, "x");
	ck_assert_str_eq(captured() + 24, " error start: x\n");
}
END_TEST

START_TEST(test_text_escapes)
{
	capture();
	log_event(LOG_LEVEL_WARNING, "e", "a b", "c\nd", "%s", "1\n2\t3\x1b[31m\x7f\xff \"q\" \\");
	ck_assert_str_eq(captured() + 24,
			 " warning e pool=a\\x20b backend=c\\x0ad: 1\\x0a2\\x093\\x1b[31m\\x7f\\xff \\\"q\\\" \\\\\n");
}
END_TEST

START_TEST(test_json)
{
	capture();
	log_set_format(LOG_FORMAT_JSON);
	log_event(LOG_LEVEL_INFO, "backend_down", "lwm2m", "b", "no answer for %d ms", 1000);
	ck_assert_int_eq(strncmp(captured(), "{\"time\":\"", 9), 0);
	assert_time(out + 9);
	ck_assert_str_eq(
		out + 33,
		"\",\"level\":\"info\",\"event\":\"backend_down\",\"pool\":\"lwm2m\",\"backend\":\"b\",\"reason\":\"no "
		"answer for 1000 ms\"}\n");
}
END_TEST

START_TEST(test_json_leaves_out_absent_names)
{
	capture();
	log_set_format(LOG_FORMAT_JSON);
	log_event(LOG_LEVEL_WARNING, "reload", NULL, NULL, "x");
	ck_assert_str_eq(captured() + 33, "\",\"level\":\"warning\",\"event\":\"reload\",\"reason\":\"x\"}\n");
}
END_TEST

static void log_weight(const char *by)
{
	log_fields(
		&(struct log_what){ LOG_LEVEL_INFO, "backend_weight", "lwm2m", "b",
				    LOG_FIELDS(LOG_NUMBER("weight", 90), LOG_NUMBER("was", -1), LOG_TEXT("by", by)) },
		"%d, by %s", 90, by);
}

START_TEST(test_fields)
{
	capture();
	log_weight("com\nmand");
	log_set_format(LOG_FORMAT_JSON);
	log_weight("com\nmand \"x\"");
	ck_assert_ptr_nonnull(strstr(captured(), "Z info backend_weight pool=lwm2m backend=b: 90, by com\\x0amand\n"));
	ck_assert_ptr_nonnull(
		strstr(out, "\",\"level\":\"info\",\"event\":\"backend_weight\",\"pool\":\"lwm2m\",\"backend\":\"b\","
			    "\"weight\":90,\"was\":-1,\"by\":\"com\\u000amand \\\"x\\\"\"}\n"));
	ck_assert_ptr_null(strstr(out, "reason"));
}
END_TEST

/* More fields than there may be, and more octets in them: the line is cut to what has room, and is JSON still. */
START_TEST(test_many_fields_are_cut)
{
	static char endless[5000];
	size_t len;

	memset(endless, '\x01', sizeof endless - 1);
	capture();
	log_set_format(LOG_FORMAT_JSON);
	log_fields(&(struct log_what){ LOG_LEVEL_WARNING, endless, endless, endless,
				       LOG_FIELDS(LOG_TEXT("a", "abc"), LOG_TEXT("b", endless), LOG_TEXT("c", "lost"),
						  LOG_NUMBER("d", INT64_MIN), LOG_NUMBER("e", INT64_MIN),
						  LOG_NUMBER("f", INT64_MIN), LOG_NUMBER("g", INT64_MIN),
						  LOG_NUMBER("h", INT64_MIN), LOG_NUMBER("i", 1)) },
		   "%s", endless);
	len = strlen(captured());
	ck_assert_uint_gt(len, 6 * (3 * 128 + 1021));
	ck_assert_uint_lt(len, sizeof((struct log_line *)NULL)->text);
	ck_assert_ptr_nonnull(strstr(out, "\\u0001\",\"c\":\"\",\"d\":-9223372036854775808,"));
	ck_assert_str_eq(strstr(out, ",\"h\""), ",\"h\":-9223372036854775808}\n");
}
END_TEST

static void journal_is(const char *format)
{
	char stream[64];
	struct stat of;

	ck_assert_int_eq(fstat(STDERR_FILENO, &of), 0);
	snprintf(stream, sizeof stream, format, (uintmax_t)of.st_dev, (uintmax_t)of.st_ino);
	ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
	log_find_journal();
}

static void log_levels(void)
{
	log_event(LOG_LEVEL_INFO, "e", NULL, NULL, "x");
	log_event(LOG_LEVEL_WARNING, "e", NULL, NULL, "x");
	log_event(LOG_LEVEL_ERROR, "e", NULL, NULL, "x");
	log_plain(LOG_LEVEL_WARNING, "warning: ", "y");
}

START_TEST(test_journal)
{
	capture();
	log_set_format(LOG_FORMAT_JSON);
	journal_is("%ju:%ju");
	log_levels();
	ck_assert_int_eq(strncmp(captured(), "<6>{\"time\"", 10), 0);
	ck_assert_ptr_nonnull(strstr(out, "\n<4>{\"time\""));
	ck_assert_ptr_nonnull(strstr(out, "\n<3>{\"time\""));
	ck_assert_ptr_nonnull(strstr(out, "\n<4>warning: y\n"));
}
END_TEST

/* stderr was led elsewhere since. */
START_TEST(test_journal_of_others)
{
	capture();
	journal_is("%ju:1%ju");
	log_levels();
	ck_assert_ptr_null(strchr(captured(), '<'));
}
END_TEST

/* Every octet there is: the line stays ASCII, and each one that JSON forbids in a string is escaped. */
START_TEST(test_json_of_any_octet)
{
	char all[256];

	for (int i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = '\0';
	capture();
	log_set_format(LOG_FORMAT_JSON);
	log_event(LOG_LEVEL_INFO, "e", NULL, NULL, "%s", all);
	size_t len = strlen(captured());
	ck_assert_int_eq(out[len - 1], '\n');
	for (size_t i = 0; i + 1 < len; i++)
		ck_assert_msg(out[i] >= ' ' && out[i] <= '~', "octet %d at %zu", out[i], i);
	ck_assert_ptr_nonnull(strstr(out, "\\u0001\\u0002"));
	ck_assert_ptr_nonnull(strstr(out, " !\\\"#"));
	ck_assert_ptr_nonnull(strstr(out, "[\\\\]"));
	ck_assert_ptr_nonnull(strstr(out, "~\\u007f\\u0080"));
	ck_assert_ptr_nonnull(strstr(out, "\\u00ff\"}\n"));
}
END_TEST

/* Names and a reason that are far too long, each octet with the longest escape. */
START_TEST(test_long_is_cut)
{
	static char endless[100000];

	memset(endless, '\x01', sizeof endless - 1);
	capture();
	log_set_format(LOG_FORMAT_JSON);
	log_event(LOG_LEVEL_WARNING, endless, endless, endless, "%s", endless);
	size_t len = strlen(captured());
	ck_assert_uint_gt(len, 6 * (3 * 128 + 511));
	ck_assert_uint_lt(len, 6 * (3 * 128 + 511) + 160);
	ck_assert_str_eq(out + len - 9, "\\u0001\"}\n");
}
END_TEST

static void *write_lines(void *arg)
{
	for (int i = 0; i < 200; i++)
		log_event(LOG_LEVEL_INFO, "e", NULL, NULL, "%s", (const char *)arg);
	return NULL;
}

START_TEST(test_lines_stay_whole)
{
	pthread_t threads[2];
	int a = 0, b = 0;

	int fds[2];
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_ge(dup2(fds[1], STDERR_FILENO), 0);
	close(fds[1]);
	file = fdopen(fds[0], "r");
	pthread_create(&threads[0], NULL, write_lines, "aaaaaaaaaaaaaaaaaaaa");
	pthread_create(&threads[1], NULL, write_lines, "bbbbbbbbbbbbbbbbbbbb");
	for (int i = 0; i < 400; i++) {
		char text[128];
		ck_assert_ptr_nonnull(fgets(text, sizeof text, file));
		a += strcmp(text + 24, " info e: aaaaaaaaaaaaaaaaaaaa\n") == 0;
		b += strcmp(text + 24, " info e: bbbbbbbbbbbbbbbbbbbb\n") == 0;
	}
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	ck_assert_int_eq(a, 200);
	ck_assert_int_eq(b, 200);
}
END_TEST

static void pause_ms(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static void wait_lost(uint64_t lost)
{
	while (log_lost() < lost)
		pause_ms();
	ck_assert_uint_eq(log_lost(), lost);
}

static const char *wait_captured(const char *text)
{
	while (!strstr(captured(), text))
		pause_ms();
	return out;
}

/* stderr is a pipe. Returns the end to read. */
static int pipe_capture(void)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_ge(dup2(fds[1], STDERR_FILENO), 0);
	close(fds[1]);
	return fds[0];
}

/* Nobody reads, until lines are lost. Then all others come in their order, with the number of these. */
START_TEST(test_nobody_reads)
{
	const int reads = pipe_capture();
	unsigned said = 0, seen = 0, lost = 0, told;
	char line[256];

	log_queue();
	ck_assert_int_eq(log_start(NULL), 0);
	while (log_lost() < 10)
		log_event(LOG_LEVEL_INFO, "e", NULL, NULL, "%u", said++);
	file = fdopen(reads, "r");
	while (seen + lost < said) {
		ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
		if (sscanf(line + 24, " warning log_lost: %u lines could not be written\n", &told) == 1) {
			lost += told;
		} else {
			ck_assert_int_eq(sscanf(line + 24, " info e: %u\n", &told), 1);
			ck_assert_uint_ge(told, seen);
			seen++;
		}
	}
	ck_assert_uint_ge(lost, 10);
	ck_assert_uint_eq(lost, log_lost());
}
END_TEST

/* A disk is full, and then it is not. */
START_TEST(test_full)
{
	int full = open("/dev/full", O_WRONLY);

	ck_assert_int_ge(dup2(full, STDERR_FILENO), 0);
	log_queue();
	ck_assert_int_eq(log_start(NULL), 0);
	log_event(LOG_LEVEL_INFO, "e", NULL, NULL, "1");
	log_event(LOG_LEVEL_INFO, "e", NULL, NULL, "2");
	wait_lost(2);
	capture();
	log_event(LOG_LEVEL_INFO, "e", NULL, NULL, "3");
	wait_captured("log_lost: 2 lines could not be written\n");
	ck_assert_ptr_nonnull(strstr(out, " e: 3\n"));
	log_event(LOG_LEVEL_INFO, "e", NULL, NULL, "4");
	ck_assert_ptr_nonnull(strstr(wait_captured(" e: 4\n"), " e: 4\n"));
	ck_assert_ptr_null(strstr(strstr(out, "log_lost") + 1, "log_lost"));
}
END_TEST

/* Room for a part of a line: the next one begins a line of its own. */
START_TEST(test_torn)
{
	struct rlimit limit, small;

	signal(SIGXFSZ, SIG_IGN);
	capture();
	getrlimit(RLIMIT_FSIZE, &limit);
	small = limit;
	small.rlim_cur = 30;
	setrlimit(RLIMIT_FSIZE, &small);
	log_queue();
	ck_assert_int_eq(log_start(NULL), 0);
	log_event(LOG_LEVEL_INFO, "e", NULL, NULL, "torn");
	wait_lost(1);
	setrlimit(RLIMIT_FSIZE, &limit);
	log_event(LOG_LEVEL_INFO, "e", NULL, NULL, "whole");
	wait_captured("log_lost: 1 lines");
	ck_assert_int_eq(strncmp(out + 24, " info \n", 7), 0);
	ck_assert_int_eq(strncmp(out + 31 + 24, " info e: whole\n", 15), 0);
}
END_TEST

/* Before there is a thread, lines wait; exit() sees to it that they are written. */
START_TEST(test_exit_writes)
{
	const bool with_thread = _i;
	int status;

	capture();
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		log_queue();
		if (with_thread && log_start(NULL) != 0)
			_exit(2);
		log_event(LOG_LEVEL_ERROR, "start_failed", NULL, NULL, "why");
		log_plain(LOG_LEVEL_INFO, "plain ", "line");
		exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_str_eq(captured() + 24, " error start_failed: why\nplain line\n");
}
END_TEST

/* A process ends, although nobody reads its last lines. */
START_TEST(test_exit_of_the_unread)
{
	const bool with_thread = _i;
	int status;

	(void)pipe_capture();
	pid_t child = fork();
	if (child == 0) {
		log_queue();
		if (with_thread && log_start(NULL) != 0)
			_exit(2);
		while (log_lost() == 0)
			log_event(LOG_LEVEL_INFO, "e", NULL, NULL, "x");
		exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

static atomic_int confined;

static int confine(void)
{
	return atomic_fetch_add(&confined, 1) + 1;
}

START_TEST(test_confined)
{
	capture();
	log_queue();
	ck_assert_int_eq(log_start(confine), 0);
	log_event(LOG_LEVEL_INFO, "e", NULL, NULL, "x");
	wait_captured(" e: x\n");
	ck_assert_int_eq(atomic_load(&confined), 1);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, test_text);
	tcase_add_test(tests, test_text_without_names);
	tcase_add_test(tests, test_text_escapes);
	tcase_add_test(tests, test_json);
	tcase_add_test(tests, test_json_leaves_out_absent_names);
	tcase_add_test(tests, test_fields);
	tcase_add_test(tests, test_many_fields_are_cut);
	tcase_add_test(tests, test_journal);
	tcase_add_test(tests, test_journal_of_others);
	tcase_add_test(tests, test_json_of_any_octet);
	tcase_add_test(tests, test_long_is_cut);
	tcase_add_test(tests, test_lines_stay_whole);
	tcase_add_test(tests, test_nobody_reads);
	tcase_add_test(tests, test_full);
	tcase_add_test(tests, test_torn);
	tcase_add_loop_test(tests, test_exit_writes, 0, 2);
	tcase_add_loop_test(tests, test_exit_of_the_unread, 0, 2);
	tcase_add_test(tests, test_confined);
}
