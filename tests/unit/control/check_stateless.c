#include "control/stateless.h"
#include "tests/fixtures/shipped_conf.h"
#include "tests/unit/suite.h"

/* Of the shipped files only stateless.conf runs without a table. */
START_TEST(stateless_runs_without_a_table)
{
	static const char *const names[] = { "lwm2m.conf", "nat.conf", "nat-backend.conf", "stateless.conf" };

	write_file("k.key", 0600, KEY);
	for (int i = 0; i < COUNT_OF(names); i++) {
		char *text = replaced(shipped(names[i], "@/etc/cidlb/hash.key", "@k.key"),
				      "hash_key =", "user = \"nobody\"; hash_key =");
		struct conf *conf = load_good(text);

		for (size_t pool = 0; pool < conf->pool_count; pool++)
			ck_assert_int_eq(stateless_listener(conf, pool) != NULL,
					 strcmp(names[i], "stateless.conf") == 0);
		conf_free(conf);
		free(text);
	}
	unlink("k.key");
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_add_test(tests, stateless_runs_without_a_table);
}
