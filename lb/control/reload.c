#include "control/reload.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "control/apply.h"
#include "control/fingerprint.h"
#include "control/state.h"
#include "control/stateless.h"

void reload_log_stateless(const struct conf *conf)
{
	char text[STATELESS_TEXT_OCTETS];

	for (size_t i = 0; i < conf->pool_count; i++)
		if (stateless_listener(conf, i))
			log_event(LOG_LEVEL_INFO, "stateless", conf->pools[i].name, NULL, "%s",
				  stateless_explain(text, conf, i));
}

static void report_log(const struct conf_report *report)
{
	for (size_t i = 0; i < report->error_count; i++)
		log_event(LOG_LEVEL_ERROR, "configuration", NULL, NULL, "%s", report->errors[i]);
	for (size_t i = 0; i < report->warning_count; i++)
		log_event(LOG_LEVEL_WARNING, "configuration", NULL, NULL, "%s", report->warnings[i]);
}

static void only_at_start(const struct control *control, const struct conf *conf)
{
	if (conf->workers != control->worker_count)
		log_event(LOG_LEVEL_WARNING, "reload", NULL, NULL, "workers: %u takes effect at the next start",
			  conf->workers);
	if (!!conf->user != !!control->conf->user || (conf->user && strcmp(conf->user, control->conf->user) != 0))
		log_event(LOG_LEVEL_WARNING, "reload", NULL, NULL, "user takes effect at the next start");
	if (conf->rcvbuf_octets != control->conf->rcvbuf_octets)
		log_event(LOG_LEVEL_WARNING, "reload", NULL, NULL,
			  "rcvbuf_octets: %u applies to new sockets now, and to all at the next start",
			  conf->rcvbuf_octets);
	if (strcmp(conf->state_file ? conf->state_file : "",
		   control->conf->state_file ? control->conf->state_file : "") != 0)
		log_event(LOG_LEVEL_WARNING, "reload", NULL, NULL, "state_file: \"%s\" takes effect at the next start",
			  conf->state_file ? conf->state_file : "");
	if (strcmp(conf->socket ? conf->socket : "", control->conf->socket ? control->conf->socket : "") != 0)
		log_event(LOG_LEVEL_WARNING, "reload", NULL, NULL,
			  "admin.socket: \"%s\" takes effect at the next start", conf->socket ? conf->socket : "");
}

static int read_and_apply(struct control *control, struct conf_report *report)
{
	struct conf *conf = conf_load(control->conf->file, report);
	char fingerprint[FINGERPRINT_TEXT_OCTETS];
	int err;

	report_log(report);
	if (!conf && report->error_count > 0)
		return -EINVAL;
	if (!conf) {
		log_event(LOG_LEVEL_ERROR, "configuration", NULL, NULL, "out of memory");
		return -ENOMEM;
	}
	only_at_start(control, conf);
	err = apply_conf(control, conf);
	if (err) {
		conf_free(conf);
		return err;
	}
	log_event(LOG_LEVEL_INFO, "reloaded", NULL, NULL, "%zu listeners, %zu pools, fingerprint %s",
		  conf->listener_count, conf->pool_count, fingerprint_format(fingerprint, conf));
	reload_log_stateless(conf);
	return 0;
}

int reload(struct control *control, struct reload_report *report)
{
	int err;

	*report = (struct reload_report){ 0 };
	err = read_and_apply(control, &report->of_file);
	if (err)
		log_event(LOG_LEVEL_ERROR, "reload_refused", NULL, NULL, "the running configuration stays as it was");
	return err;
}

void reload_report_free(struct reload_report *report)
{
	conf_report_free(&report->of_file);
}
