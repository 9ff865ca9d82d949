/* What makes the filter of an interface strict. That it is said is in tests/e2e/interfaces.py. */
#include <stddef.h>

#include "start/rp_filter.h"
#include "tests/unit/suite.h"

START_TEST(mends)
{
	static const struct {
		const char *iface;
		uint32_t all, own;
		const char *mend; /* NULL: nothing is wrong */
	} cases[] = {
		{ "eth0", 0, 0, "net.ipv4.conf.eth0.rp_filter=1" },
		{ "eth0", 0, 1, NULL },
		{ "eth0", 1, 0, NULL },
		{ "eth0", 1, 1, NULL },
		{ "eth0", 0, 2, "net.ipv4.conf.eth0.rp_filter=1" },
		{ "eth0", 1, 2, "net.ipv4.conf.eth0.rp_filter=1" },
		{ "eth0", 2, 0, "net.ipv4.conf.all.rp_filter=1" },
		{ "eth0", 2, 1, "net.ipv4.conf.all.rp_filter=1" },
		{ "eth0", 2, 2, "net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.eth0.rp_filter=1" },
		{ "bond0.100", 0, 0, "net.ipv4.conf.bond0/100.rp_filter=1" },
		{ "long-interface1", 2, 2, "net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.long-interface1.rp_filter=1" },
	};
	char mend[RP_FILTER_TEXT_OCTETS];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const bool wrong = rp_filter_mend(mend, cases[i].iface, cases[i].all, cases[i].own);

		ck_assert_msg(wrong == (cases[i].mend != NULL), "case %zu", i);
		if (wrong)
			ck_assert_str_eq(mend, cases[i].mend);
	}
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, mends);
}
