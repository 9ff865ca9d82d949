#include "admin/command_priv.h"
#include "admin/fast_json.h"
#include "path/resumed.h"

static json_t *verdicts_json(const uint64_t *counts)
{
	json_t *verdicts = json_object();

	for (enum verdict verdict = 0; verdict < VERDICTS; verdict++)
		json_object_set_new(verdicts, verdict_name(verdict), json_integer((json_int_t)counts[verdict]));
	return verdicts;
}

/* Adds its verdicts to `total`. */
static json_t *listener_json(const struct view_listener *listener, const struct stats *sum, uint64_t *total)
{
	uint64_t counts[VERDICTS];

	for (enum verdict verdict = 0; verdict < VERDICTS; verdict++) {
		counts[verdict] = stats_read(&sum->verdicts[listener->uid][verdict]);
		total[verdict] += counts[verdict];
	}
	return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o}", "name", listener->name, "address",
			 answer_address(&listener->addr), "pool", listener->pool_name, "received",
			 answer_counter(&sum->received[listener->uid]), "kernel_drops",
			 answer_counter(&sum->kernel_drops[listener->uid]), "verdicts", verdicts_json(counts));
}

static json_t *refused_json(const stats_counter *counts)
{
	json_t *refused = json_object();

	for (enum refused reason = 0; reason < REFUSED_REASONS; reason++)
		json_object_set_new(refused, refused_name(reason), answer_counter(&counts[reason]));
	return refused;
}

/* How the pool does without a table, and what it dropped. null: it does not. */
static json_t *stateless_json(const struct view_pool *pool, const struct stats *sum)
{
	json_t *stateless;

	if (!pool->stateless)
		return json_null();
	stateless = json_pack("{s:s}", "how", pool->how);
	for (enum stateless_drop reason = 0; reason < STATELESS_DROPS; reason++)
		json_object_set_new(stateless, stateless_drop_name(reason),
				    answer_counter(&sum->stateless_dropped[pool->uid][reason]));
	return stateless;
}

/* null: the pool does not learn CIDs. */
static json_t *learned_json(const struct view_pool *pool)
{
	const struct learned *learned = pool->learned[LEARNED_CIDS];
	json_t *lengths = json_array();

	if (!learned) {
		json_decref(lengths);
		return json_null();
	}
	for (int len = 1; len <= LEARNED_CID_MAX; len++)
		if (learned_lengths(learned) >> len & 1)
			json_array_append_new(lengths, json_integer(len));
	return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "cids", (json_int_t)learned_count(learned), "max_cids",
			 (json_int_t)pool->learned_room[LEARNED_CIDS], "lengths", lengths, "added",
			 answer_counter(&learned->counts.added), "evicted", answer_counter(&learned->counts.evicted),
			 "shared", answer_counter(&learned->counts.shared), "refused",
			 answer_counter(&learned->counts.refused));
}

/* null: the pool does not learn what devices resume. */
static json_t *resumable_json(const struct view_pool *pool, const struct stats *sum)
{
	const struct learned *learned = pool->learned[LEARNED_SESSIONS];

	if (!learned)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o}", "sessions",
			 (json_int_t)learned_count_of(learned, RESUMED_SESSION_OCTETS), "addresses",
			 (json_int_t)learned_count_of(learned, RESUMED_ADDRESS_OCTETS), "max_resumable",
			 (json_int_t)pool->learned_room[LEARNED_SESSIONS], "added",
			 answer_counter(&learned->counts.added), "evicted", answer_counter(&learned->counts.evicted),
			 "led", answer_counter(&sum->handshakes_led[pool->uid]));
}

static json_t *flows_json(const struct flows_count *count)
{
	json_t *flows = json_object();

	for (enum flow_class class = 0; class < FLOW_CLASSES; class ++)
		json_object_set_new(flows, flow_class_name(class), json_integer((json_int_t)count->flows[class]));
	return flows;
}

static json_t *pool_json(const struct view_pool *pool, const struct stats *sum)
{
	const uint16_t uid = pool->uid;

	return json_pack("{s:s, s:s, s:i, s:i, s:I, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
			 pool->name, "forward", pool->forward, "backends", (int)pool->backend_count, "accepting",
			 (int)pool->accepting, "id_moves", (json_int_t)pool->id_moves, "ids_contested",
			 (int)pool->ids_contested, "flows", flows_json(&pool->flows), "stateless",
			 stateless_json(pool, sum), "learned", learned_json(pool), "resumable",
			 resumable_json(pool, sum), "replies", answer_counter(&sum->replies[uid]), "copies",
			 answer_counter(&sum->copies[uid]), "withheld", answer_counter(&sum->withheld[uid]),
			 "own_endpoint", answer_counter(&sum->own_endpoint[uid]), "refused_up",
			 refused_json(sum->refused_up[uid]), "refused_down", refused_json(sum->refused_down[uid]));
}

static json_t *buffers_json(const struct view *view)
{
	json_t *buffers = json_pack("{s:I}", "asked", (json_int_t)view->rcvbuf_asked);

	for (enum slot_kind kind = 0; kind <= SLOT_TUNNEL; kind++)
		if (view->rcvbuf[kind] != UINT32_MAX)
			json_object_set_new(buffers, slot_kind_name(kind),
					    json_integer((json_int_t)view->rcvbuf[kind]));
	return buffers;
}

/* null: nothing is shared. */
static json_t *redis_json(const struct view_redis *redis)
{
	if (!redis->configured)
		return json_null();
	return json_pack("{s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "address", redis->address, "connected",
			 (int)redis->connected, "reason", redis->reason, "waiting", (json_int_t)redis->waiting,
			 "pushed", (json_int_t)redis->pushed, "dropped", (json_int_t)redis->dropped, "taken",
			 (json_int_t)redis->taken, "foreign", (json_int_t)redis->foreign, "malformed",
			 (json_int_t)redis->malformed, "behind_s", (json_int_t)redis->behind_s);
}

json_t *command_status(struct request *request)
{
	uint64_t total[VERDICTS] = { 0 };
	json_t *listeners, *pools, *status;
	struct view *view;

	if (view_new(&view, request->control))
		return NULL;
	listeners = json_array();
	pools = json_array();
	for (size_t i = 0; i < view->listener_count; i++)
		json_array_append_new(listeners, listener_json(&view->listeners[i], view->sum, total));
	for (size_t i = 0; i < view->pool_count; i++)
		json_array_append_new(pools, pool_json(&view->pools[i], view->sum));
	status = json_pack("{s:b, s:s, s:I, s:i, s:s, s:s, s:I, s:b, s:o, s:o, s:o, s:o}", "ok", 1, "version",
			   CIDLB_VERSION, "uptime_s", (json_int_t)view->uptime_s, "workers", (int)view->workers, "file",
			   view->file, "fingerprint", view->fingerprint, "generation", (json_int_t)view->generation,
			   "ready", (int)view->ready, "listeners", listeners, "pools", pools, "verdicts",
			   verdicts_json(total), "strays", answer_counter(&view->sum->strays));
	if (status) {
		json_object_set_new(status, "left", json_boolean(view->left));
		json_object_set_new(status, "unready", json_string(view->ready ? "" : view->unready));
		json_object_set_new(status, "receive_buffers", buffers_json(view));
		json_object_set_new(status, "redis", redis_json(&view->redis));
		json_object_set_new(status, "fast", fast_json(view));
	}
	view_free(view);
	return status;
}
