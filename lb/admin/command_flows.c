#include <stdlib.h>

#include "admin/command_priv.h"
#include "flows/flows_view.h"
#include "path/worker.h"

enum { CLOCKS_APART_MS = 10000 /* a worker may have read its clock after this thread did */ };

/* `peer` may be NULL: there is none. */
static json_t *peer_json(const struct ownership_peer *peer)
{
	return peer ? answer_address(&peer->device) : json_null();
}

static json_int_t ms_ago(uint32_t now_ms, uint32_t then_ms)
{
	const uint32_t ms = now_ms - then_ms;

	return ms > UINT32_MAX - CLOCKS_APART_MS ? 0 : ms;
}

static json_t *flow_json(const struct control *control, const struct flow_description *flow, uint32_t now_ms)
{
	static const char *const kinds[] = {
		[FLOW_ADDRESS] = "address", [FLOW_HELLO] = "hello", [FLOW_CID] = "cid", [FLOW_SOURCE] = "source"
	};

	return json_pack(
		"{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:b, s:b, s:i, s:i, s:I, s:I, s:o}",
		"kind", kinds[flow->kind], "cid", flow->cid_len ? answer_hex(flow->cid, flow->cid_len) : json_null(),
		"listener", answer_text(view_service_name(control, flow->owner.service)), "pool",
		answer_text(view_pool_name(control, flow->pool)), "backend",
		answer_text(view_backend_name(control, flow->backend)), "backend_address",
		answer_address(&flow->backend_addr), "endpoint", answer_address(&flow->endpoint), "owner",
		answer_address(&flow->owner.device), "owner_proven", (int)flow->owner_proven, "claimant",
		peer_json(flow->claimed ? &flow->claimant : NULL), "replaced_proven",
		peer_json(flow->has_proven ? &flow->proven : NULL), "replaced",
		peer_json(flow->has_former ? &flow->former : NULL), "contest", (int)flow->contest, "trial",
		(int)flow->trial, "copies", (int)flow->copies, "contests", (int)flow->contests, "first_ms_ago",
		ms_ago(now_ms, flow->created_ms), "last_up_ms_ago", ms_ago(now_ms, flow->up_ms), "last_down_ms_ago",
		flow->replied ? json_integer(ms_ago(now_ms, flow->down_ms)) : json_null());
}

/* The names of pools without a table. They have no flows, except perhaps from before a reload. */
static json_t *pools_stateless(const struct view *view)
{
	json_t *names = json_array();

	for (size_t i = 0; i < view->pool_count; i++)
		if (view->pools[i].stateless)
			json_array_append_new(names, json_string(view->pools[i].name));
	return names;
}

static json_t *flows_answer(struct request *request, const struct view *view, struct flow_description *found)
{
	const struct flows_filter filter = {
		.cid = request->cid_text ? request->cid : NULL,
		.cid_len = request->cid_len,
		.from = request->has_from ? &request->from : NULL,
	};
	const uint32_t now_ms = worker_clock_ms();
	const size_t matched = flows_describe(control_flows(request->control), &filter, now_ms, found, request->limit);
	json_t *rows = json_array();

	for (size_t i = 0; i < matched && i < request->limit; i++)
		json_array_append_new(rows, flow_json(request->control, &found[i], now_ms));
	return json_pack("{s:b, s:I, s:o, s:o}", "ok", 1, "matched", (json_int_t)matched, "flows", rows, "stateless",
			 pools_stateless(view));
}

json_t *command_flows(struct request *request)
{
	struct flow_description *found = calloc(request->limit, sizeof *found);
	struct view *view = NULL;
	json_t *answer = NULL;

	if (found && view_new(&view, request->control) == 0)
		answer = flows_answer(request, view, found);
	view_free(view);
	free(found);
	return answer;
}
