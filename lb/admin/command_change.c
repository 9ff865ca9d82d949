/* The commands that change something. */
#include "admin/command_priv.h"
#include "control/ready.h"
#include "control/reload.h"
#include "control/wishes.h"

/* true, false, or null if there is no state_file. */
static void answer_kept(json_t *answer, const struct control *control)
{
	char why[VIEW_WHY_OCTETS];
	const enum view_kept kept = view_kept(control, why);

	json_object_set_new(answer, "kept", kept == VIEW_NO_STATE_FILE ? json_null() : json_boolean(kept == VIEW_KEPT));
	if (kept == VIEW_UNKEPT)
		json_object_set_new(answer, "unkept", json_string(why));
}

/* The answer to a change: the backend as it is now, and whether the change outlives a restart. err: the result of the
 * change. */
static json_t *backend_answer(struct request *request, int err)
{
	const size_t count = view_backend_count(request->control);
	const uint16_t uid = request->backend.uid;
	json_t *answer;

	if (err)
		return answer_refuse("out of memory");
	for (size_t at = 0; at < count; at++) {
		view_backend(request->control, at, &request->backend);
		if (request->backend.uid == uid)
			break;
	}
	answer = json_pack("{s:b, s:o}", "ok", 1, "backend", command_backend_json(&request->backend, NULL));
	if (answer)
		answer_kept(answer, request->control);
	return answer;
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

/* The answer to both: whether the node has left, whether that outlives a restart, and whether devices are led to it
 * now. */
static json_t *left_answer(const struct control *control)
{
	char why[READY_WHY_OCTETS];
	const bool ready = ready_is(control, why);
	json_t *answer = json_pack("{s:b, s:b, s:b, s:s}", "ok", 1, "left", (int)ready_has_left(control), "ready",
				   (int)ready, "unready", ready ? "" : why);

	if (answer)
		answer_kept(answer, control);
	return answer;
}

json_t *command_leave(struct request *request)
{
	ready_leave(request->control);
	return left_answer(request->control);
}

json_t *command_join(struct request *request)
{
	ready_join(request->control);
	return left_answer(request->control);
}

static json_t *lines_json(char *const *lines, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_string(lines[i]));
	return array;
}

/* The lines of mistakes stand apart from the sentence that says what became of them. */
static json_t *reload_error(const struct reload_report *report)
{
	if (report->of_file.error_count)
		return json_string("the file has mistakes; the running configuration stays as it was");
	return json_sprintf("%s; the running configuration stays as it was", report->refusal);
}

json_t *command_reload(struct request *request)
{
	struct reload_report report;
	int err = reload(request->control, &report);
	json_t *waits = json_array();
	json_t *answer = json_pack("{s:b, s:o, s:o, s:o, s:o}", "ok", err == 0, "errors",
				   lines_json(report.of_file.errors, report.of_file.error_count), "warnings",
				   lines_json(report.of_file.warnings, report.of_file.warning_count), "waits", waits,
				   "changes", lines_json(report.changes, err ? 0 : report.change_count));

	for (size_t i = 0; i < report.wait_count; i++)
		json_array_append_new(waits, json_string(report.waits[i]));
	if (answer && err)
		json_object_set_new(answer, "error", reload_error(&report));
	reload_report_free(&report);
	return answer;
}
