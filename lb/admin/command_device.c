/* What is known of one device: its flows, handshakes under way, its servers, and what of it was dropped. */
#include <stdlib.h>
#include <string.h>

#include "admin/command_priv.h"
#include "flows/flows_view.h"
#include "path/worker.h"

enum { FLOWS_SHOWN = 50, ADDRESSES = 64 };

struct device {
	struct request *request;
	const struct view *view;
	struct flow_description flows[FLOWS_SHOWN];
	size_t matched, count;
	struct addr addresses[ADDRESSES]; /* by which it is known; ports 0 */
	size_t address_count;
};

static void address_add(struct device *device, const struct addr *addr)
{
	for (size_t i = 0; i < device->address_count; i++)
		if (memcmp(device->addresses[i].ip, addr->ip, sizeof addr->ip) == 0)
			return;
	if (device->address_count < ADDRESSES)
		device->addresses[device->address_count++] = *addr;
}

static void addresses_find(struct device *device)
{
	if (device->request->from_text)
		address_add(device, &device->request->from);
	for (size_t i = 0; i < device->count; i++) {
		const struct flow_description *flow = &device->flows[i];

		if (flow->has_device)
			address_add(device, &flow->device.device);
		for (unsigned j = 0; j < flow->place_count; j++)
			address_add(device, &flow->places[j].pair.device);
	}
}

static json_t *drop_json(const struct control *control, const struct view_drop *drop)
{
	return json_pack("{s:o, s:o, s:s, s:b, s:I, s:I}", "from", answer_address(&drop->from), "listener",
			 answer_text(view_service_name(control, drop->service)), "why", drop->why, "refused",
			 (int)drop->refused, "times", (json_int_t)drop->times, "ago_s", (json_int_t)drop->ago_s);
}

static json_t *drops_json(const struct device *device)
{
	const struct control *control = device->request->control;
	struct view_drop drops[VIEW_DROPS];
	json_t *rows = json_array();

	for (size_t i = 0; i < device->address_count; i++) {
		const size_t count = view_drops(control, device->addresses[i].ip, drops);

		for (size_t j = 0; j < count; j++)
			json_array_append_new(rows, drop_json(control, &drops[j]));
	}
	return rows;
}

static bool keeps_flows(const struct view_pool *pool)
{
	return !pool->tunnel && !pool->dsr && !pool->stateless;
}

/* In the modes without flows, where the address and port are known. */
static json_t *handshakes_json(const struct device *device)
{
	const struct request *request = device->request;
	json_t *handshakes = json_array();

	for (size_t i = 0; request->from_text && request->from.port && i < device->view->pool_count; i++) {
		const struct view_pool *pool = &device->view->pools[i];
		const char *backend =
			keeps_flows(pool) ? NULL : view_handshake(request->control, pool->uid, &request->from);

		if (backend)
			json_array_append_new(handshakes,
					      json_pack("{s:s, s:s}", "pool", pool->name, "backend", backend));
	}
	return handshakes;
}

/* Where its CID leads in a pool without flows, by the pool's index. */
static enum view_cid cid_leads(const struct device *device, size_t pool, uint16_t *backend)
{
	return view_cid(device->request->control, pool, device->request->cid, device->request->cid_len, backend);
}

static bool serves(const struct device *device, uint16_t backend)
{
	uint16_t led_to;

	for (size_t i = 0; device->request->cid_text && i < device->view->pool_count; i++)
		if (!keeps_flows(&device->view->pools[i]) && cid_leads(device, i, &led_to) == VIEW_CID_LEADS &&
		    led_to == backend)
			return true;
	for (size_t i = 0; i < device->count; i++)
		if (device->flows[i].backend == backend)
			return true;
	return false;
}

static json_t *backends_json(const struct device *device)
{
	json_t *backends = json_array();

	for (size_t i = 0; i < device->view->backend_count; i++)
		if (serves(device, device->view->backends[i].uid))
			json_array_append_new(backends, command_backend_json(&device->view->backends[i], NULL));
	return backends;
}

/* What can be said all the same: where its CID leads. */
static json_t *pool_without_flows(const struct device *device, size_t at)
{
	static const char *const names[] = { [VIEW_CID_LEADS] = "leads",
					     [VIEW_CID_UNREAD] = "unread",
					     [VIEW_CID_MISFIT] = "misfit",
					     [VIEW_CID_UNKNOWN] = "unknown",
					     [VIEW_CID_NO_SERVER] = "no_server" };
	const struct view_pool *pool = &device->view->pools[at];
	json_t *row = json_pack("{s:s, s:s}", "pool", pool->name, "forward", pool->forward);
	enum view_cid said;
	uint16_t backend;

	if (!device->request->cid_text)
		return row;
	said = cid_leads(device, at, &backend);
	json_object_set_new(row, "cid", json_string(names[said]));
	if (said == VIEW_CID_LEADS)
		json_object_set_new(row, "backend", answer_text(view_backend_name(device->request->control, backend)));
	return row;
}

static json_t *pools_without_flows(const struct device *device)
{
	json_t *pools = json_array();

	for (size_t i = 0; i < device->view->pool_count; i++)
		if (!keeps_flows(&device->view->pools[i]))
			json_array_append_new(pools, pool_without_flows(device, i));
	return pools;
}

static json_t *device_answer(struct device *device)
{
	const struct request *request = device->request;
	const uint32_t now_ms = worker_clock_ms();
	const struct flows_filter filter = {
		.cid = request->cid_text ? request->cid : NULL,
		.cid_len = request->cid_len,
		.from = request->from_text ? &request->from : NULL,
		.now_ms = now_ms,
	};
	json_t *flows = json_array();

	device->matched = flows_describe(control_flows(request->control), &filter, device->flows, FLOWS_SHOWN);
	device->count = device->matched < FLOWS_SHOWN ? device->matched : FLOWS_SHOWN;
	for (size_t i = 0; i < device->count; i++)
		json_array_append_new(flows, command_flow_json(request->control, &device->flows[i], now_ms));
	addresses_find(device);
	return json_pack("{s:b, s:I, s:o, s:o, s:o, s:o, s:o, s:I}", "ok", 1, "matched", (json_int_t)device->matched,
			 "flows", flows, "handshakes", handshakes_json(device), "backends", backends_json(device),
			 "dropped", drops_json(device), "without_flows", pools_without_flows(device), "uptime_s",
			 (json_int_t)device->view->uptime_s);
}

json_t *command_device(struct request *request)
{
	struct device *device;
	struct view *view;
	json_t *answer = NULL;

	if (!request->cid_text == !request->from_text)
		return answer_refuse("a device is known by a CID or by an address");
	if (view_new(&view, request->control))
		return NULL;
	device = calloc(1, sizeof *device);
	if (device) {
		device->request = request;
		device->view = view;
		answer = device_answer(device);
	}
	free(device);
	view_free(view);
	return answer;
}
