/* The source of a configuration, before libconfig sees it. */
#include "tests/fixtures/conf_texts.h"
#include "tests/unit/suite.h"

/* The source, what libconfig gets, and the texts in quotes, each with a '|' behind it. */
static const struct {
	const char *in, *out, *strings;
} rewritten[] = {
	{ "", "", "" },
	{ "a = 1;\n", "a =  1L ;\n", "" },
	{ "a=+1;b=-1;\n", "a= 1L ;b= -1L ;\n", "" },
	{ "a = 010;\n", "a =  10L ;\n", "" },
	{ "a = ++1; b = -+2; c+3 = +4;\n", "a = + 1L ; b = - 2L ; x 3L  =  4L ;\n", "" },
	{ "a = 12ab; b = 12e; c = ++.5;\n", "a =  0L x; b =  0L x; c = + 0.5 ;\n", "" },
	{ "a = 0x10; b = 0XfFL; c = 0x; d = -0x12;\n", "a =  16L ; b =  255L ; c =  0L x; d =  0L x;\n", "" },
	{ "a = 2147483648;\n", "a =  2147483648L ;\n", "" },
	{ "a = 1L; b = 1LL;\n", "a =  1L ; b =  1L ;\n", "" },
	{ "a = 9223372036854775807;\n", "a =  9223372036854775807L ;\n", "" },
	{ "a = 9223372036854775808;\n", "a =  9223372036854775807L ;\n", "" },
	{ "a = -9223372036854775809;\n", "a =  -9223372036854775808L ;\n", "" },
	{ "a = 0xffffffffffffffffL;\n", "a =  9223372036854775807L ;\n", "" },
	{ "a = 1.5; b = .5; c = 5.; d = 1e5; e = -1.5e-3;\n",
	  "a =  0.5 ; b =  0.5 ; c =  0.5 ; d =  0.5 ; e =  0.5 ;\n", "" },
	{ "a = true; b : FALSE; c /* = */\n= trues; d e\n", "a = true; b : FALSE; c  \n= x; x x\n", "" },
	{ "a1 = \"12\"; b-2 = \"\\\"3\" ; *4 = \"\\\\\" 5\n", "a1 = \"0\"; b-2 = \"3\" ; *4 = \"6\"  5L \n",
	  "12|\"3|\\|" },
	{ "a = \"1\" \"2\"\t/* 3 */ \"4\" # 5\n\"6\"; b = \"7\"\n", "a = \"0\" \t    \n; b = \"5\"\n", "1246|7|" },
	{ "a = [\"1\", \"2\"];\n", "a = [\"0\", \"2\"];\n", "1|2|" },
	{ "a = \"\"; b = \"1\n2\" \"\n\"; c = \"\"\n", "a = \"0\"; b = \"1\n\" \n; c = \"6\"\n", "|1\n2\n||" },
	{ "a = \"\\n\\r\\t\\f\\x41\\X4a\\xg\\q\\\n\"\n", "a = \"0\n\"\n", "\n\r\t\fAJ\\xg\\q\\\n|" },
	{ "a = \"1\\x002\" \"3\"\n", "a = \"0\" \n", "123|" },
	{ "a = \"\\x4\"\n", "a = \"0\"\n", "\\x4|" },
	{ "# 1\n// 2\n/* 3\n4 */ 5\n", " \n \n \n  5L \n", "" },
	{ "a = 5 / 6\n", "a =  5L  /  6L \n", "" },
	{ "a = \"1", "a = \"", "" },
	{ "a = \"1\\\"", "a = \"", "" },
	{ "a = \"1\" \"2", "a = \"0\" \"", "1|" },
	{ "/* 1\n", " \n", "" },
	{ "a = \"1\\", "a = \"", "" },
	{ "# 1", " ", "" },
	{ "\xef\xbb\xbf", "", "" },
	{ "\xef\xbb\xbf# 1\na = 1;\n", " \na =  1L ;\n", "" },
};

START_TEST(rewrite)
{
	int include_line;
	struct conf_strings strings;
	char *out = conf_text_rewrite(rewritten[_i].in, &strings, &include_line);

	ck_assert_str_eq(out, rewritten[_i].out);
	ck_assert_uint_lt(strings.len, strings.room + !strings.len);
	for (size_t i = 0; i < strings.len; i++)
		strings.octets[i] = strings.octets[i] ? strings.octets[i] : '|';
	ck_assert_uint_eq(strings.len, strlen(rewritten[_i].strings));
	ck_assert_mem_eq(strings.octets, rewritten[_i].strings, strings.len);
	ck_assert_int_eq(include_line, 0);
	conf_strings_free(&strings);
	free(out);
}
END_TEST

/* One long text, so that what follows begins at numbers as long as there can be; then what grows most by them. Few of
 * it, since a sanitizer that checks strings strictly reads on to their ends at each token. */
START_TEST(rewrite_has_room)
{
	enum { LONG = 4 << 20, TOKENS = 2000, WIDEST = 7 /* digits */ };
	char *text = malloc(LONG + 3 * TOKENS + 1), *out;
	struct conf_strings strings;
	int include_line;
	size_t octets;

	memset(text, 'x', LONG);
	text[0] = text[LONG - 1] = '"';
	for (size_t i = 0; i < 3 * TOKENS; i++)
		text[LONG + i] = ",\"\""[i % 3];
	text[LONG + 3 * TOKENS] = '\0';
	out = conf_text_rewrite(text, &strings, &include_line);
	octets = strlen(out) - strlen("\"0\"");
	ck_assert_uint_eq(octets, TOKENS * (strlen(",\"\"") + WIDEST));
	ck_assert_uint_lt(octets, 5 * strlen(text + LONG));
	ck_assert_uint_eq(strings.len, LONG - 1 + TOKENS);
	conf_strings_free(&strings);
	free(out);
	free(text);
}
END_TEST

START_TEST(rewrite_finds_include)
{
	int include_line;
	struct conf_strings strings;

	free(conf_text_rewrite("# @include \"a\"\na = \"@include\";\n\n  @include \"b\"\n@include \"c\"\n", &strings,
			       &include_line));
	conf_strings_free(&strings);
	ck_assert_int_eq(include_line, 4);
}
END_TEST

START_TEST(unreadable)
{
	static const struct {
		const char *file, *error;
	} cases[] = {
		{ "absent.conf", "absent.conf:1: No such file or directory" },
		{ ".", ".:1: Is a directory" },
		{ "/dev/zero", "/dev/zero:1: File too large" },
	};
	struct conf_report report;

	for (int i = 0; i < COUNT_OF(cases); i++) {
		ck_assert_ptr_null(conf_load(cases[i].file, &report));
		ck_assert_str_eq(join_lines(report.errors, report.error_count), cases[i].error);
		conf_report_free(&report);
	}
}
END_TEST

START_TEST(nul_in_file)
{
	struct conf_report report;

	write_file(FILE_NAME, 0600, LISTENERS POOLS);
	ck_assert_int_eq(truncate(FILE_NAME, 4096), 0);
	ck_assert_ptr_null(conf_load(FILE_NAME, &report));
	ck_assert_str_eq(join_lines(report.errors, report.error_count),
			 "t.conf:1: not a text file; accepted: UTF-8, as editors save it by default");
	conf_report_free(&report);
}
END_TEST

/* As editors on Windows save it: with a byte order mark it is accepted, and UTF-16 is told what is. */
START_TEST(byte_order_marks)
{
	static const char good[] = "\xef\xbb\xbfuser = \"nobody\"; hash_key = \"@k.key\";\r\n" LISTENERS POOLS;
	static const uint8_t utf16[] = { 0xff, 0xfe, 'a', 0, '=', 0 };
	struct conf_report report;

	write_file("k.key", 0600, "\xef\xbb\xbf" KEY "\r\n");
	conf_free(load_good(good));
	expect_errors("\xef\xbb\xbf\n\nworker = 1; user = \"nobody\"; hash_key = \"@k.key\";" LISTENERS POOLS,
		      "t.conf:3: worker: unknown; did you mean \"workers\"?");
	write_file(FILE_NAME, 0600, "");
	int fd = open(FILE_NAME, O_WRONLY);
	ck_assert_int_eq(write(fd, utf16, sizeof utf16), sizeof utf16);
	close(fd);
	ck_assert_ptr_null(conf_load(FILE_NAME, &report));
	ck_assert_str_eq(join_lines(report.errors, report.error_count),
			 "t.conf:1: not a text file; accepted: UTF-8, as editors save it by default");
	conf_report_free(&report);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_loop_test(tests, rewrite, 0, COUNT_OF(rewritten));
	tcase_add_test(tests, rewrite_has_room);
	tcase_add_test(tests, rewrite_finds_include);
	tcase_add_test(tests, unreadable);
	tcase_add_test(tests, nul_in_file);
	tcase_add_test(tests, byte_order_marks);
}
