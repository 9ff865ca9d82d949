/* A directory of its own for files that a suite of the configuration writes, and loads by relative names. */
#ifndef CIDLB_TESTS_CONF_FIXTURE_H
#define CIDLB_TESTS_CONF_FIXTURE_H

#include <check.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf_priv.h"

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))
#define FILE_NAME       "t.conf"

/* libconfig 1.5 loses the text it has read when a syntax error follows. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig\n";
}

static char conf_dir[] = "/tmp/check_conf.XXXXXX";

static inline void conf_dir_enter(void)
{
	ck_assert_ptr_nonnull(mkdtemp(conf_dir));
	ck_assert_int_eq(chmod(conf_dir, 0711), 0);
	ck_assert_int_eq(chdir(conf_dir), 0);
}

static inline void conf_dir_leave(void)
{
	static const char *const names[] = { FILE_NAME, "k.key" };

	for (int i = 0; i < COUNT_OF(names); i++)
		unlink(names[i]);
	ck_assert_int_eq(rmdir(conf_dir), 0);
}

static inline void write_file(const char *name, mode_t mode, const char *text)
{
	int fd;

	unlink(name); /* whatever its owner and mode */
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(close(fd), 0);
}

static inline struct conf *load_text(struct conf_report *report, const char *text)
{
	write_file(FILE_NAME, 0600, text);
	return conf_load(FILE_NAME, report);
}

/* All lines joined by newlines, so that one assertion compares them literally. */
static inline const char *join_lines(char **lines, size_t count)
{
	static char joined[1 << 16];

	joined[0] = '\0';
	for (size_t i = 0; i < count; i++)
		snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s%s", i ? "\n" : "", lines[i]);
	return joined;
}

/* `text` has exactly these errors, one a line; "": none, and a configuration. */
static inline void expect_errors(const char *text, const char *errors)
{
	struct conf_report report;
	struct conf *conf = load_text(&report, text);

	ck_assert_str_eq(join_lines(report.errors, report.error_count), errors);
	ck_assert_int_eq(conf != NULL, !*errors);
	conf_free(conf);
	conf_report_free(&report);
}

/* `text` is accepted with exactly these warnings. */
static inline void expect_warnings(const char *text, const char *warnings)
{
	struct conf_report report;
	struct conf *conf = load_text(&report, text);

	ck_assert_str_eq(join_lines(report.errors, report.error_count), "");
	ck_assert_str_eq(join_lines(report.warnings, report.warning_count), warnings);
	ck_assert_ptr_nonnull(conf);
	conf_free(conf);
	conf_report_free(&report);
}

static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
