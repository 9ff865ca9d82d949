/* cidlb: the daemon, in the foreground. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sanitized.h"
#include "base/std_files.h"
#include "conf/conf.h"
#include "control/fingerprint.h"
#include "control/stateless.h"
#include "start/check.h"
#include "start/daemon.h"
#include "start/process.h"
#include "xdp/program.h"

#define DEFAULT_FILE "/etc/cidlb/cidlb.conf"

enum { EXIT_OK = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };

static const char usage[] =
	"usage: cidlb [-c FILE] [-t] [-V] [--log-format text|json] [--no-sandbox]\n"
	"\n"
	"A load balancer for DTLS that routes by Connection ID. It runs in the foreground, and logs to\n"
	"stderr. SIGHUP: reads the configuration again; SIGTERM: ends. cidlbctl asks and steers it.\n"
	"  -c FILE        configuration (default " DEFAULT_FILE ")\n"
	"  -t             checks the configuration and ends: 0 good, 1 refused\n"
	"  -V, --version  prints the version, and whether the fast path is built\n"
	"  -h, --help     prints this\n"
	"  --log-format text|json\n"
	"                 of the lines on stderr (default text)\n"
	"  --no-sandbox   keeps core dumps and all system calls, for debuggers\n";

/* `word`: the mistake; NULL: it was named before. */
static int refuse(const char *word, const char *why)
{
	if (word)
		fprintf(stderr, "cidlb: %s: %s\n", word, why);
	fputs(usage, stderr);
	return EXIT_USAGE;
}

/* Where machines read the log, warnings and mistakes are lines of it, as at a reload. */
static void say(enum log_level level, const char *line)
{
	if (log_get_format() == LOG_FORMAT_JSON)
		log_event(level, "configuration", NULL, NULL, "%s", line);
	else
		log_plain(level, level == LOG_LEVEL_WARNING ? "warning: " : "", line);
}

static struct conf *load(const char *file, bool only_check)
{
	struct conf_report report = { 0 };
	struct conf *conf = conf_load(file, &report);

	for (size_t i = 0; i < report.error_count; i++)
		say(LOG_LEVEL_ERROR, report.errors[i]);
	for (size_t i = 0; i < report.warning_count; i++)
		say(LOG_LEVEL_WARNING, report.warnings[i]);
	for (size_t i = 0; only_check && i < report.advice_count; i++)
		say(LOG_LEVEL_WARNING, report.advice[i]);
	if (!conf && report.error_count == 0)
		log_plain(LOG_LEVEL_ERROR, file, ":1: out of memory"); /* not even for a report */
	conf_report_free(&report);
	return conf;
}

static int version(void)
{
	return printf("cidlb " CIDLB_VERSION "\nfast path: %s\n", fast_program_is_built() ? "built" : "not built") < 0
		       ? EXIT_REFUSED
		       : EXIT_OK;
}

/* Takes ownership of `conf`. */
static int check(struct conf *conf)
{
	char fingerprint[FINGERPRINT_TEXT_OCTETS], text[STATELESS_TEXT_OCTETS];
	const bool good = check_start(conf) == 0;

	for (size_t i = 0; good && i < conf->pool_count; i++)
		if (stateless_listener(conf, i))
			printf("pool %s %s\n", conf->pools[i].name, stateless_explain(text, conf, i));
	if (good)
		printf("%s: good, fingerprint %s\n", conf->file, fingerprint_format(fingerprint, conf));
	conf_free(conf);
	return good ? EXIT_OK : EXIT_REFUSED;
}

/* At once, because liburcu would wait 10 ms for its thread, and the next cidlb for this one. */
static int leave(int status)
{
	if (!SANITIZED) {
		log_finish();
		_exit(status);
	}
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "log-format", required_argument, NULL, 'l' },
						 { "no-sandbox", no_argument, NULL, 's' },
						 { "version", no_argument, NULL, 'V' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	const char *file = DEFAULT_FILE;
	enum daemon_sandbox sandbox = DAEMON_SANDBOXED;
	bool only_check = false;
	struct conf *conf;

	std_files_open();
	log_find_journal();
	for (int option; (option = getopt_long(argc, argv, "c:tVh", options, NULL)) != -1;) {
		if (option == 'c') {
			file = optarg;
		} else if (option == 't') {
			only_check = true;
		} else if (option == 's') {
			sandbox = DAEMON_OPEN;
		} else if (option == 'V') {
			return version();
		} else if (option == 'h') {
			return fputs(usage, stdout) < 0 ? EXIT_REFUSED : EXIT_OK;
		} else if (option == 'l' && (strcmp(optarg, "text") == 0 || strcmp(optarg, "json") == 0)) {
			log_set_format(optarg[0] == 'j' ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
		} else {
			/* getopt_long() has said what. */
			return refuse(option == 'l' ? optarg : NULL, "no log format; accepted: text, json");
		}
	}
	if (optind < argc)
		return refuse(argv[optind], "not an option");
	if (!only_check)
		process_prepare();
	conf = load(file, only_check);
	if (!conf)
		return EXIT_REFUSED;
	if (only_check)
		return check(conf);
	return leave(daemon_run(conf, sandbox) == 0 ? EXIT_OK : EXIT_REFUSED);
}
