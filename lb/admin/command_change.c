/* The commands that change something. */
#include "admin/command_priv.h"
#include "control/reload.h"
#include "control/wishes.h"

/* The answer to a change: the backend as it is now. err: the result of the change. */
static json_t *backend_answer(struct request *request, int err)
{
	const size_t count = view_backend_count(request->control);
	const uint16_t uid = request->backend.uid;

	if (err)
		return answer_refuse("out of memory");
	for (size_t at = 0; at < count; at++) {
		view_backend(request->control, at, &request->backend);
		if (request->backend.uid == uid)
			break;
	}
	return json_pack("{s:b, s:o}", "ok", 1, "backend", command_backend_json(&request->backend, NULL));
}

static json_t *set_admin(struct request *request, enum backend_admin admin)
{
	return backend_answer(request, wishes_set_admin(request->control, request->backend.uid, admin));
}

json_t *command_drain(struct request *request)
{
	return set_admin(request, BACKEND_DRAIN);
}

json_t *command_ready(struct request *request)
{
	return set_admin(request, BACKEND_READY);
}

json_t *command_maint(struct request *request)
{
	return set_admin(request, BACKEND_MAINT);
}

json_t *command_weight(struct request *request)
{
	return backend_answer(request, wishes_set_weight(request->control, request->backend.uid, request->weight));
}

static json_t *lines_json(char *const *lines, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_string(lines[i]));
	return array;
}

json_t *command_reload(struct request *request)
{
	struct reload_report report;
	int err = reload(request->control, &report);
	json_t *answer = json_pack("{s:b, s:o, s:o}", "ok", err == 0, "errors",
				   lines_json(report.of_file.errors, report.of_file.error_count), "warnings",
				   lines_json(report.of_file.warnings, report.of_file.warning_count));

	if (answer && err)
		json_object_set_new(
			answer, "error",
			json_string(
				report.of_file.error_count
					? "the file has mistakes; the running configuration stays as it was"
					: "refused, and the log says why; the running configuration stays as it was"));
	reload_report_free(&report);
	return answer;
}
