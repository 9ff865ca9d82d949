#include "admin/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/command_priv.h"
#include "base/log.h"

json_t *command_refuse(const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	return json_pack("{s:b, s:s}", "ok", 0, "error", text);
}

static bool backend_is(const struct control_place *backend, const char *name)
{
	const char *slash = strchr(name, '/');
	const size_t pool = slash ? (size_t)(slash - name) : 0;

	if (!slash)
		return strcmp(backend->conf->name, name) == 0;
	return strlen(backend->pool->name) == pool && memcmp(backend->pool->name, name, pool) == 0 &&
	       strcmp(backend->conf->name, slash + 1) == 0;
}

/* The one backend that request.name means. NULL, or why not. */
static json_t *backend_find(struct control *control, const json_t *request, struct control_place *out)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	size_t found = 0;

	if (!name)
		return command_refuse("\"name\" is missing: a backend, or POOL/BACKEND");
	for (size_t at = 0; at < control->plan.backend_count; at++) {
		struct control_place one = control_place_at(control, at);

		if (!backend_is(&one, name))
			continue;
		if (found++ > 0)
			return command_refuse("%s is the name of several backends: say which, as in %s/%s", name,
					      out->pool->name, name);
		*out = one;
	}
	return found ? NULL : command_refuse("no backend is called %s; `cidlbctl backends` lists them", name);
}

static json_t *backend_answer(const struct control *control, const struct control_place *backend)
{
	return json_pack("{s:b, s:o}", "ok", 1, "backend", command_backend_json(control, backend, NULL));
}

/* Publishes a backend's wish and weight, and keeps them over restarts. */
static json_t *backend_set(struct control *control, const struct control_place *backend, enum backend_admin wish,
			   uint16_t weight)
{
	const uint16_t uid = backend->plan->uid;
	const enum backend_admin wish_before = control->states[uid].wish;
	const uint16_t weight_before = control->weights[uid];

	control->states[uid].wish = wish;
	control->weights[uid] = weight;
	if ((wish != wish_before || weight != weight_before) && control_publish(control)) {
		control->states[uid].wish = wish_before;
		control->weights[uid] = weight_before;
		return command_refuse("out of memory");
	}
	if (wish != wish_before)
		log_event(LOG_LEVEL_INFO, "backend_state", backend->pool->name, backend->conf->name, "%s, by command",
			  backend_admin_name(wish));
	if (weight != weight_before)
		log_event(LOG_LEVEL_INFO, "backend_weight", backend->pool->name, backend->conf->name, "%u, by command",
			  weight);
	(void)saved_set(control->saved, backend->pool->name, backend->conf, wish, weight);
	return backend_answer(control, backend);
}

static json_t *set_admin(struct control *control, const json_t *request, enum backend_admin admin)
{
	struct control_place backend;
	json_t *refusal = backend_find(control, request, &backend);

	return refusal ? refusal : backend_set(control, &backend, admin, control->weights[backend.plan->uid]);
}

static json_t *run_drain(struct control *control, const json_t *request)
{
	return set_admin(control, request, BACKEND_DRAIN);
}

static json_t *run_ready(struct control *control, const json_t *request)
{
	return set_admin(control, request, BACKEND_READY);
}

static json_t *run_maint(struct control *control, const json_t *request)
{
	return set_admin(control, request, BACKEND_MAINT);
}

static json_t *run_weight(struct control *control, const json_t *request)
{
	const json_t *wanted = json_object_get(request, "weight");
	const json_int_t weight = json_integer_value(wanted);
	struct control_place backend;
	json_t *refusal = backend_find(control, request, &backend);

	if (refusal)
		return refusal;
	if (!json_is_integer(wanted) || weight < 0 || weight > RENDEZVOUS_MAX_WEIGHT)
		return command_refuse("a weight is a number of 0..%d", RENDEZVOUS_MAX_WEIGHT);
	return backend_set(control, &backend, control->states[backend.plan->uid].wish, (uint16_t)weight);
}

static json_t *lines_json(char *const *lines, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_string(lines[i]));
	return array;
}

static json_t *run_reload(struct control *control, const json_t *request)
{
	struct conf_report report = { 0 };
	int err = control_reload(control, &report);
	json_t *answer =
		json_pack("{s:b, s:o, s:o}", "ok", err == 0, "errors", lines_json(report.errors, report.error_count),
			  "warnings", lines_json(report.warnings, report.warning_count));

	(void)request;
	if (answer && err)
		json_object_set_new(
			answer, "error",
			json_string(report.error_count
					    ? "the file has mistakes; the running configuration stays as it was"
					    : "not taken on, the log says why; the running configuration stays"));
	conf_report_free(&report);
	return answer;
}

static const struct {
	const char *name;
	json_t *(*run)(struct control *control, const json_t *request);
} commands[] = {
	{ "status", command_status }, { "backends", command_backends }, { "flows", command_flows },
	{ "drain", run_drain },       { "ready", run_ready },           { "maint", run_maint },
	{ "weight", run_weight },     { "reload", run_reload },
};

static json_t *run(struct control *control, struct admin_client *client, const char *line)
{
	json_error_t error;
	json_t *request = json_loads(line, JSON_REJECT_DUPLICATES, &error), *answer = NULL;
	const char *name = json_string_value(json_object_get(request, "command"));

	if (!request)
		return command_refuse("not JSON: %s", error.text);
	if (name && strcmp(name, "trace") == 0) {
		answer = command_trace(control, client, request);
		json_decref(request);
		return answer;
	}
	for (size_t i = 0; !answer && name && i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(name, commands[i].name) == 0) {
			answer = commands[i].run(control, request);
			json_decref(request);
			return answer;
		}
	}
	answer = name ? command_refuse("no such command: %s", name) : command_refuse("\"command\" is missing");
	json_decref(request);
	return answer;
}

char *command_answer(void *control, struct admin_client *client, const char *line)
{
	json_t *answer = run(control, client, line);
	char *text = answer ? json_dumps(answer, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

	json_decref(answer);
	return text;
}
