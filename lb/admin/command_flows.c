#include "admin/command_priv.h"
#include "flows/flows_view.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	LIMIT_DEFAULT = 100,
	LIMIT_MAX = 1000,
	CLOCKS_APART_MS = 10000 /* a worker looked at its clock after this thread did */
};

/* What request.cid, .from and .limit ask for. */
struct query {
	struct flows_filter filter;
	uint8_t cid[LBCID_MAX_OCTETS];
	struct addr from;
	size_t limit;
};

bool command_read_cid(uint8_t cid[static LBCID_MAX_OCTETS], size_t *octets, const char *hex)
{
	size_t digits = 0;

	while (isxdigit((unsigned char)hex[digits]))
		digits++;
	if (hex[digits] || digits == 0 || digits % 2 || digits / 2 > LBCID_MAX_OCTETS)
		return false;
	for (size_t i = 0; i < digits / 2; i++)
		sscanf(hex + 2 * i, "%2hhx", &cid[i]);
	*octets = digits / 2;
	return true;
}

static bool read_from(struct query *query, const char *text)
{
	query->filter.from = &query->from;
	return addr_parse(&query->from, text) == 0 || addr_parse_ip(&query->from, text) == 0;
}

/* NULL, or what is wrong. */
static const char *query_read(struct query *query, const json_t *request)
{
	const json_t *cid = json_object_get(request, "cid"), *from = json_object_get(request, "from"),
		     *limit = json_object_get(request, "limit");
	const json_int_t most = json_integer_value(limit);

	*query = (struct query){ .limit = LIMIT_DEFAULT };
	if (cid &&
	    (!json_is_string(cid) || !command_read_cid(query->cid, &query->filter.cid_len, json_string_value(cid))))
		return "a CID is 1..20 octets in hex";
	query->filter.cid = cid ? query->cid : NULL;
	if (from && (!json_is_string(from) || !read_from(query, json_string_value(from))))
		return "an address is A.B.C.D, A.B.C.D:PORT, an IPv6 address or [IPV6]:PORT";
	if (limit && (!json_is_integer(limit) || most < 1 || most > LIMIT_MAX))
		return "a limit is a number of 1..1000";
	if (limit)
		query->limit = (size_t)most;
	return NULL;
}

json_t *command_address_json(const struct addr *addr)
{
	char text[ADDR_TEXT_OCTETS];

	return json_string(addr_format(addr, text));
}

static json_t *peer_json(bool present, const struct ownership_peer *peer)
{
	return present ? command_address_json(&peer->device) : json_null();
}

/* A flow may outlive its listener, pool or backend by a while. */
static json_t *listener_name(const struct control *control, uint16_t service)
{
	const uint16_t uid = service_addrs_get(control->service_addrs, service).listener;

	for (size_t i = 0; i < control->conf->listener_count; i++)
		if (control->listener_uids[i] == uid)
			return json_string(control->conf->listeners[i].name);
	return json_null();
}

static json_t *pool_name(const struct control *control, uint16_t uid)
{
	for (size_t i = 0; i < control->plan.pool_count; i++)
		if (control->plan.pools[i].uid == uid)
			return json_string(control->plan.pools[i].name);
	return json_null();
}

json_t *command_backend_name(const struct control *control, uint16_t uid)
{
	for (size_t at = 0; at < control->plan.backend_count; at++)
		if (control->plan.backends[at].uid == uid)
			return json_string(control->plan.backends[at].name);
	return json_null();
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
	char cid[2 * LBCID_MAX_OCTETS + 1] = "";

	for (size_t i = 0; i < flow->cid_len; i++)
		sprintf(cid + 2 * i, "%02x", flow->cid[i]);
	return json_pack(
		"{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:b, s:b, s:i, s:i, s:I, s:I, s:o}",
		"kind", kinds[flow->kind], "cid", flow->cid_len ? json_string(cid) : json_null(), "listener",
		listener_name(control, flow->owner.service), "pool", pool_name(control, flow->pool), "backend",
		command_backend_name(control, flow->backend), "backend_address",
		command_address_json(&flow->backend_addr), "endpoint", command_address_json(&flow->endpoint), "owner",
		command_address_json(&flow->owner.device), "owner_proven", (int)flow->owner_proven, "claimant",
		peer_json(flow->claimed, &flow->claimant), "replaced_proven",
		peer_json(flow->has_proven, &flow->proven), "replaced", peer_json(flow->has_former, &flow->former),
		"contest", (int)flow->contest, "trial", (int)flow->trial, "copies", (int)flow->copies, "contests",
		(int)flow->contests, "first_ms_ago", ms_ago(now_ms, flow->created_ms), "last_up_ms_ago",
		ms_ago(now_ms, flow->up_ms), "last_down_ms_ago",
		flow->replied ? json_integer(ms_ago(now_ms, flow->down_ms)) : json_null());
}

/* The names of those that have no flows, but perhaps of a time before a reload. */
static json_t *pools_stateless(const struct control *control)
{
	json_t *names = json_array();

	for (size_t i = 0; i < control->conf->pool_count; i++)
		if (stateless_listener(control->conf, i))
			json_array_append_new(names, json_string(control->conf->pools[i].name));
	return names;
}

json_t *command_flows(struct control *control, const json_t *request)
{
	const uint32_t now_ms = worker_clock_ms();
	struct flow_description *found;
	struct query query;
	const char *wrong = query_read(&query, request);
	size_t matched;
	json_t *rows;

	if (wrong)
		return command_refuse("%s", wrong);
	found = calloc(query.limit, sizeof *found);
	rows = found ? json_array() : NULL;
	if (!rows) {
		free(found);
		return NULL;
	}
	matched = flows_describe(control->flows, &query.filter, now_ms, found, query.limit);
	for (size_t i = 0; i < matched && i < query.limit; i++)
		json_array_append_new(rows, flow_json(control, &found[i], now_ms));
	free(found);
	return json_pack("{s:b, s:I, s:o, s:o}", "ok", 1, "matched", (json_int_t)matched, "flows", rows, "stateless",
			 pools_stateless(control));
}
