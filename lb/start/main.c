/* cidlb: the daemon, in the foreground. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "control/fingerprint.h"
#include "control/stateless.h"
#include "start/daemon.h"

#define DEFAULT_FILE "/etc/cidlb/cidlb.conf"

enum { EXIT_OK = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };

static const char usage[] = "usage: cidlb [-c FILE] [-t] [-V] [--log-format text|json] [--no-sandbox]\n"
			    "  -c FILE       configuration (default " DEFAULT_FILE ")\n"
			    "  -t            checks the configuration and ends: 0 good, 1 refused\n"
			    "  -V            prints the version\n"
			    "  --log-format  of the lines on stderr (default text)\n"
			    "  --no-sandbox  keeps core dumps and all system calls, for debuggers\n";

static struct conf *load(const char *file)
{
	struct conf_report report = { 0 };
	struct conf *conf = conf_load(file, &report);

	for (size_t i = 0; i < report.error_count; i++)
		fprintf(stderr, "%s\n", report.errors[i]);
	for (size_t i = 0; i < report.warning_count; i++)
		fprintf(stderr, "warning: %s\n", report.warnings[i]);
	if (!conf && report.error_count == 0)
		fprintf(stderr, "%s:1: out of memory\n", file); /* not even for a report */
	conf_report_free(&report);
	return conf;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "log-format", required_argument, NULL, 'l' },
						 { "no-sandbox", no_argument, NULL, 's' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	const char *file = DEFAULT_FILE;
	enum daemon_sandbox sandbox = DAEMON_SANDBOXED;
	bool only_check = false;
	struct conf *conf;

	for (int option; (option = getopt_long(argc, argv, "c:tVh", options, NULL)) != -1;) {
		if (option == 'c') {
			file = optarg;
		} else if (option == 't') {
			only_check = true;
		} else if (option == 's') {
			sandbox = DAEMON_OPEN;
		} else if (option == 'V') {
			return puts("cidlb " CIDLB_VERSION) < 0 ? EXIT_REFUSED : EXIT_OK;
		} else if (option == 'h') {
			return fputs(usage, stdout) < 0 ? EXIT_REFUSED : EXIT_OK;
		} else if (option == 'l' && (strcmp(optarg, "text") == 0 || strcmp(optarg, "json") == 0)) {
			log_set_format(optarg[0] == 'j' ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
		} else {
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	conf = load(file);
	if (!conf)
		return EXIT_REFUSED;
	if (only_check) {
		char fingerprint[FINGERPRINT_TEXT_OCTETS], text[STATELESS_TEXT_OCTETS];

		for (size_t i = 0; i < conf->pool_count; i++)
			if (stateless_listener(conf, i))
				printf("pool %s %s\n", conf->pools[i].name, stateless_explain(text, conf, i));
		printf("%s: good, fingerprint %s\n", file, fingerprint_format(fingerprint, conf));
		conf_free(conf);
		return EXIT_OK;
	}
	return daemon_run(conf, sandbox) == 0 ? EXIT_OK : EXIT_REFUSED;
}
