#include "control/reload.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "common/plural.h"
#include "conf/difference.h"
#include "control/apply.h"
#include "control/fingerprint.h"
#include "control/state.h"
#include "control/stateless.h"

enum { CHANGES_OCTETS = 400 /* a log line has some hundred octets more */ };

void reload_log_stateless(const struct conf *conf)
{
	char text[STATELESS_TEXT_OCTETS];

	for (size_t i = 0; i < conf->pool_count; i++)
		if (stateless_listener(conf, i))
			log_event(LOG_LEVEL_INFO, "stateless", conf->pools[i].name, NULL, "%s",
				  stateless_explain(text, conf, i));
}

bool reload_rcvbuf_is_short(char text[static RELOAD_LINE_OCTETS], const struct control *control,
			    const struct conf *conf)
{
	enum slot_kind worst = SLOT_LISTENER;

	for (enum slot_kind kind = 0; kind <= SLOT_TUNNEL; kind++)
		if (sockets_rcvbuf(control->sockets, kind) < sockets_rcvbuf(control->sockets, worst))
			worst = kind;
	const uint32_t got = sockets_rcvbuf(control->sockets, worst);
	if (got >= conf->rcvbuf_octets)
		return false;
	snprintf(text, RELOAD_LINE_OCTETS,
		 "rcvbuf_octets: %u asked for, %u got (%s): restart as root, or with sysctl net.core.rmem_max at %u",
		 conf->rcvbuf_octets, got, slot_kind_name(worst), conf->rcvbuf_octets);
	return true;
}

static void report_log(const struct conf_report *report)
{
	for (size_t i = 0; i < report->error_count; i++)
		log_event(LOG_LEVEL_ERROR, "configuration", NULL, NULL, "%s", report->errors[i]);
	for (size_t i = 0; i < report->warning_count; i++)
		log_event(LOG_LEVEL_WARNING, "configuration", NULL, NULL, "%s", report->warnings[i]);
}

static __attribute__((format(printf, 2, 3))) void wait_add(struct reload_report *report, const char *format, ...)
{
	va_list args;

	if (report->wait_count == RELOAD_WAITS)
		return;
	va_start(args, format);
	vsnprintf(report->waits[report->wait_count++], RELOAD_LINE_OCTETS, format, args);
	va_end(args);
}

static bool text_differs(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") != 0;
}

/* What the next start will make of `conf`, and this reload will not. */
static void waits_find(struct reload_report *report, const struct control *control, const struct conf *conf)
{
	const struct control_began *began = &control->began;

	if (conf->workers != control->worker_count)
		wait_add(report, "workers: %u takes effect at the next start", conf->workers);
	if (text_differs(conf->user, began->user))
		wait_add(report, "user: \"%s\" takes effect at the next start", conf->user ? conf->user : "");
	if (conf->rcvbuf_octets < began->rcvbuf_octets)
		wait_add(report, "rcvbuf_octets: %u applies to new sockets now, and to all at the next start",
			 conf->rcvbuf_octets);
	if (conf->fast.interface_count > 0 && memcmp(&conf->fast, &began->fast, sizeof conf->fast) != 0)
		wait_add(report, "fast: takes effect at the next start");
	if (text_differs(conf->state_file, began->state_file))
		wait_add(report, "state_file: \"%s\" takes effect at the next start",
			 conf->state_file ? conf->state_file : "");
	if (text_differs(conf->socket, began->socket))
		wait_add(report, "admin.socket: \"%s\" takes effect at the next start",
			 conf->socket ? conf->socket : "");
}

static void on_change(void *ctx, const char *line)
{
	struct reload_report *report = ctx;
	char **longer = reallocarray(report->changes, report->change_count + 1, sizeof *longer);
	char *copy = longer ? strdup(line) : NULL;

	if (longer)
		report->changes = longer;
	if (copy)
		report->changes[report->change_count++] = copy;
}

/* As much of the changes as fits, between two lines of the log: "+p/c; -p/d; p/a: weight 100->90; 3 more". */
static const char *changes_join(char text[static CHANGES_OCTETS], const struct reload_report *report)
{
	size_t used = 0;

	for (size_t i = 0; i < report->change_count; i++) {
		const char *change = report->changes[i], *between = i > 0 ? "; " : "";

		if (used + strlen(change) + sizeof "; 1000000 more" + 2 > CHANGES_OCTETS) {
			snprintf(text + used, CHANGES_OCTETS - used, "%s%zu more", between, report->change_count - i);
			return text;
		}
		used += (size_t)snprintf(text + used, CHANGES_OCTETS - used, "%s%s", between, change);
	}
	if (used == 0)
		snprintf(text, CHANGES_OCTETS, "nothing changed");
	return text;
}

static void reloaded_log(const struct conf *conf, const struct reload_report *report)
{
	char fingerprint[FINGERPRINT_TEXT_OCTETS], changes[CHANGES_OCTETS];

	fingerprint_format(fingerprint, conf);
	changes_join(changes, report);
	log_fields(&(struct log_what){ LOG_LEVEL_INFO, "reloaded", NULL, NULL,
				       LOG_FIELDS(LOG_NUMBER("listeners", conf->listener_count),
						  LOG_NUMBER("pools", conf->pool_count),
						  LOG_TEXT("fingerprint", fingerprint),
						  LOG_NUMBER("change_count", report->change_count),
						  LOG_TEXT("changes", changes)) },
		   "%zu listener%s, %zu pool%s, fingerprint %s: %s", conf->listener_count, PLURAL(conf->listener_count),
		   conf->pool_count, PLURAL(conf->pool_count), fingerprint, changes);
}

static int read_and_apply(struct control *control, struct reload_report *report)
{
	struct conf *conf = conf_load(control->conf->file, &report->of_file);
	int err;

	report_log(&report->of_file);
	if (!conf && report->of_file.error_count > 0)
		return -EINVAL;
	if (!conf) {
		log_event(LOG_LEVEL_ERROR, "configuration", NULL, NULL, "out of memory");
		snprintf(report->refusal, sizeof report->refusal, "out of memory");
		return -ENOMEM;
	}
	waits_find(report, control, conf);
	/* The one before is gone once it is applied. */
	if (conf_difference(control->conf, conf, on_change, report))
		on_change(report, "out of memory: not all changes are told of");
	err = apply_conf(control, conf);
	if (err) {
		snprintf(report->refusal, sizeof report->refusal, "%s", apply_refusal(control));
		report->wait_count = 0;
		conf_free(conf);
		return err;
	}
	if (sockets_shared(control->sockets) > 0)
		wait_add(report,
			 "sockets that reloads opened (%zu) are read by one worker each, and by all from the next "
			 "start on",
			 sockets_shared(control->sockets));
	if (report->wait_count < RELOAD_WAITS &&
	    reload_rcvbuf_is_short(report->waits[report->wait_count], control, conf))
		report->wait_count++;
	for (size_t i = 0; i < report->wait_count; i++)
		log_event(LOG_LEVEL_WARNING, "reload", NULL, NULL, "%s", report->waits[i]);
	reloaded_log(conf, report);
	reload_log_stateless(conf);
	return 0;
}

int reload(struct control *control, struct reload_report *report)
{
	int err;

	*report = (struct reload_report){ 0 };
	err = read_and_apply(control, report);
	control->reload_refused = err != 0;
	if (!err)
		control->applied_at = time(NULL);
	if (err)
		snprintf(control->refusal, sizeof control->refusal, "%s",
			 report->of_file.error_count ? report->of_file.errors[0] : report->refusal);
	if (err)
		log_event(LOG_LEVEL_ERROR, "reload_refused", NULL, NULL, "the running configuration stays as it was");
	return err;
}

void reload_report_free(struct reload_report *report)
{
	conf_report_free(&report->of_file);
	for (size_t i = 0; i < report->change_count; i++)
		free(report->changes[i]);
	free(report->changes);
}
