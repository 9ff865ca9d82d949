/* Lines are read back from a file that stands in for stderr. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
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

void suite(TCase *tests)
{
	tcase_add_test(tests, test_text);
	tcase_add_test(tests, test_text_without_names);
	tcase_add_test(tests, test_text_escapes);
	tcase_add_test(tests, test_json);
	tcase_add_test(tests, test_json_leaves_out_absent_names);
	tcase_add_test(tests, test_json_of_any_octet);
	tcase_add_test(tests, test_long_is_cut);
	tcase_add_test(tests, test_lines_stay_whole);
}
