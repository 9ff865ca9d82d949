#include "ctl/configuration.h"

#include <stdio.h>

struct conf *configuration_load(const char *file)
{
	struct conf_report report;
	struct conf *conf = conf_load(file, &report);

	for (size_t i = 0; i < report.error_count; i++)
		fprintf(stderr, "%s\n", report.errors[i]);
	conf_report_free(&report);
	return conf;
}
