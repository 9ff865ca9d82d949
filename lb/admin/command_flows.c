#include <stdlib.h>

#include "admin/command_priv.h"
#include "flows/flows_view.h"
#include "path/worker.h"

enum { CLOCKS_APART_MS = 10000 /* a worker may have read its clock after this thread did */ };

static json_int_t ms_ago(uint32_t now_ms, uint32_t then_ms)
{
	const uint32_t ms = now_ms - then_ms;

	return ms > UINT32_MAX - CLOCKS_APART_MS ? 0 : ms;
}

/* The addresses that show the CID of a session and are not proven. */
static json_t *places_json(const struct flow_description *flow)
{
	json_t *places = json_array();

	for (unsigned i = 0; i < flow->place_count; i++) {
		const struct flow_place *place = &flow->places[i];

		json_array_append_new(places,
				      json_pack("{s:o, s:b, s:b, s:b}", "address", answer_address(&place->pair.device),
						"answered", (int)place->answered, "known", (int)place->known,
						"withheld", (int)place->withheld));
	}
	return places;
}

/* The service address that the device uses, as far as one is known. */
static json_t *service_json(const struct control *control, const struct flow_description *flow)
{
	if (flow->has_device)
		return answer_text(view_service_name(control, flow->device.service));
	return flow->place_count ? answer_text(view_service_name(control, flow->places[0].pair.service)) : json_null();
}

json_t *command_flow_json(const struct control *control, const struct flow_description *flow, uint32_t now_ms)
{
	static const char *const kinds[] = {
		[FLOW_ADDRESS] = "address", [FLOW_HELLO] = "hello", [FLOW_CID] = "cid", [FLOW_SOURCE] = "source"
	};

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:i, s:i, s:o, s:I, s:I, s:I, s:o}",
			 "kind", kinds[flow->kind], "class", flow_class_name(flow->class), "cid",
			 flow->cid_len ? answer_hex(flow->cid, flow->cid_len) : json_null(), "listener",
			 service_json(control, flow), "pool", answer_text(view_pool_name(control, flow->pool)),
			 "backend", answer_text(view_backend_name(control, flow->backend)), "backend_address",
			 answer_address(&flow->backend_addr), "endpoint", answer_address(&flow->endpoint), "device",
			 flow->has_device ? answer_address(&flow->device.device) : json_null(), "proven",
			 flow->kind == FLOW_CID && flow->has_device, "unproven", places_json(flow), "copies",
			 (int)flow->copies, "withheld", (int)flow->withheld, "moves",
			 flow->kind == FLOW_CID ? json_integer((json_int_t)flow->moves) : json_null(), "octets",
			 (json_int_t)flow->octets, "first_ms_ago", ms_ago(now_ms, flow->created_ms), "last_up_ms_ago",
			 ms_ago(now_ms, flow->up_ms), "last_down_ms_ago",
			 flow->replied ? json_integer(ms_ago(now_ms, flow->down_ms)) : json_null());
}

json_t *command_stateless_json(const struct view *view)
{
	json_t *names = json_array();

	for (size_t i = 0; i < view->pool_count; i++)
		if (view->pools[i].stateless)
			json_array_append_new(names, json_string(view->pools[i].name));
	return names;
}

static json_t *flows_answer(struct request *request, const struct view *view, struct flow_description *found)
{
	const uint32_t now_ms = worker_clock_ms();
	const struct flows_filter filter = {
		.cid = request->cid_text ? request->cid : NULL,
		.cid_len = request->cid_len,
		.from = request->from_text ? &request->from : NULL,
		.older_ms = request->older_s * UINT64_C(1000),
		.now_ms = now_ms,
		.order = request->order,
	};
	const size_t matched = flows_describe(control_flows(request->control), &filter, found, request->limit);
	json_t *rows = json_array();

	for (size_t i = 0; i < matched && i < request->limit; i++)
		json_array_append_new(rows, command_flow_json(request->control, &found[i], now_ms));
	return json_pack("{s:b, s:I, s:o, s:o}", "ok", 1, "matched", (json_int_t)matched, "flows", rows, "stateless",
			 command_stateless_json(view));
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
