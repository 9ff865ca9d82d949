#include "ctl/configuration.h"

#include <stdio.h>

#include "conf/machine.h"

static bool is_elsewhere(const struct addr *first, uint8_t bits)
{
	(void)first;
	(void)bits;
	return true;
}

/* Commands only look into it, perhaps on another host than that of its sources. */
struct conf *configuration_load(const char *file)
{
	struct conf_machine machine = conf_machine_here();
	struct conf_report report;
	struct conf *conf;

	machine.has_prefix = is_elsewhere;
	conf = conf_load_on(&machine, file, &report);

	for (size_t i = 0; i < report.error_count; i++)
		fprintf(stderr, "%s\n", report.errors[i]);
	conf_report_free(&report);
	return conf;
}
