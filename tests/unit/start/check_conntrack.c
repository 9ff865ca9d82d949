/* The kernel's two numbers, read from files of the test. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "start/conntrack.h"
#include "tests/unit/suite.h"

static char directory[64];

static void file_write(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	fclose(file);
}

static void setup(void)
{
	snprintf(directory, sizeof directory, "/tmp/check-conntrack-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void teardown(void)
{
	static const char *const names[] = { "nf_conntrack_max", "nf_conntrack_count" };
	char path[128];

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, names[i]);
		unlink(path);
	}
	rmdir(directory);
}

START_TEST(test_read)
{
	struct conntrack now;

	ck_assert(!conntrack_read(&now, directory));
	file_write("nf_conntrack_max", "262144\n");
	ck_assert(!conntrack_read(&now, directory));
	file_write("nf_conntrack_count", "many\n");
	ck_assert(!conntrack_read(&now, directory));
	file_write("nf_conntrack_count", "17\n");
	ck_assert(conntrack_read(&now, directory));
	ck_assert_uint_eq(now.max, 262144);
	ck_assert_uint_eq(now.count, 17);
}
END_TEST

START_TEST(test_needed)
{
	struct conf_pool pools[3] = { { .nat.max_flows = 8 },
				      { .nat.max_flows = 50000000 },
				      { .nat.max_flows = 1000 } };
	struct conf conf = { .pools = pools, .pool_count = 2 };

	ck_assert_uint_eq(conntrack_needed(&conf), 100000016);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_read);
	tcase_add_test(tests, test_needed);
}
