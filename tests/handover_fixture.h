/* A server whose sessions go into a file and out of it, in a folder of its own: for check_handover.c and
 * check_handover_refused.c. */
#ifndef CIDLB_TESTS_HANDOVER_FIXTURE_H
#define CIDLB_TESTS_HANDOVER_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "backend_fixture.h"
#include "handover.h"

static char folder[] = "/tmp/cidlb-handover-XXXXXX", file[64], refused[80], other[64];
static char *said; /* by the last call */
static mode_t umask_before;

static inline void set_up(void)
{
	strcpy(folder + sizeof folder - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/sessions", folder);
	snprintf(refused, sizeof refused, "%s.refused", file);
	snprintf(other, sizeof other, "%s/other", folder);
	umask_before = umask(0);
	server_start(CID_OCTETS);
}

static inline void tear_down(void)
{
	char command[96];

	server_stop();
	umask(umask_before);
	free(said);
	said = NULL;
	snprintf(command, sizeof command, "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static inline int call(int (*what)(struct server *, const struct server_options *, const char *, FILE *),
		       const char *name)
{
	size_t len;

	free(said);
	FILE *log = open_memstream(&said, &len);
	ck_assert_ptr_nonnull(log);
	int rc = what(server, &options_used, name, log);
	fclose(log);
	/* One line, whatever happened. */
	ck_assert_ptr_nonnull(strchr(said, '\n'));
	ck_assert_uint_eq((size_t)(strchr(said, '\n') - said), strlen(said) - 1);
	return rc;
}

static inline int save(void)
{
	return call(handover_save, file);
}

static inline int load(void)
{
	return call(handover_load, file);
}

/* Another server, at the same address. */
static inline void replace(void)
{
	server_free(server);
	ck_assert_int_eq(server_new(&server, base, &options_used), 0);
}

static inline int count_files(void)
{
	DIR *dir = opendir(folder);
	int files = -2; /* itself and its parent */

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		files++;
	closedir(dir);
	return files;
}

static inline void hand_over(void)
{
	ck_assert_int_eq(save(), 0);
	replace();
	ck_assert_int_eq(load(), 0);
	ck_assert_int_eq(count_files(), 0);
}

#endif
