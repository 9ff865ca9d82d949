#include "control/apply_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/apply_states.h"
#include "control/ids.h"
#include "control/names.h"
#include "control/reach.h"
#include "control/reclaim.h"
#include "control/state.h"
#include "control/stateless.h"
#include "control/table_build.h"

static int numbers_prepare(void *ctx, struct apply_step *step)
{
	struct control *control = ctx;
	int err = numbers_give(&control->numbers, step->conf, &step->spec, step->listener_uids);

	if (err) {
		reclaim_numbers(control);
		err = numbers_give(&control->numbers, step->conf, &step->spec, step->listener_uids);
	}
	return err ? apply_refuse(step, err,
				  "out of memory, or too many listeners, pools and backends, counting those that "
				  "still have sessions")
		   : 0;
}

static void numbers_abandon(void *ctx, struct apply_step *step)
{
	(void)ctx;
	table_spec_free(&step->spec);
}

enum { OPTION_OCTETS = 48 };

/* Names what the configuration asks for at this address. */
static const char *option_of(char out[static OPTION_OCTETS], const struct conf *conf, const struct addr *addr)
{
	for (size_t i = 0; i < conf->listener_count; i++)
		if (addr_equal(&conf->listeners[i].addr, addr)) {
			snprintf(out, OPTION_OCTETS, "listeners[%zu].address", i);
			return out;
		}
	for (size_t i = 0; i < conf->pool_count; i++) {
		const struct conf_pool *pool = &conf->pools[i];
		const bool tunnel = pool->forward == FORWARD_TUNNEL;

		if (tunnel ? !addr_equal(&pool->tunnel.local, addr)
			   : addr->port < pool->nat.port_first || addr->port > pool->nat.port_last)
			continue;
		snprintf(out, OPTION_OCTETS, "pools[%zu].%s", i, tunnel ? "tunnel.local" : "nat.ports");
		return out;
	}
	return "";
}

static int refuse_socket(struct apply_step *step, int err, const struct addr *addr)
{
	char text[ADDR_TEXT_OCTETS], name[OPTION_OCTETS];
	const char *option = option_of(name, step->conf, addr);

	if (err != -EADDRNOTAVAIL || strncmp(option, "listeners", strlen("listeners")) != 0)
		return apply_refuse_address(step, err, option, addr);
	return apply_refuse(
		step, err, "%s: this host does not have %s; if it comes later, as with keepalived, set freebind = true",
		option, addr_format(addr, text));
}

static int cannot_watch(struct apply_step *step, int err, const struct addr *addr)
{
	char text[ADDR_TEXT_OCTETS];

	return apply_refuse(step, err, "epoll cannot watch %s: %s%s", addr_format(addr, text), strerror(-err),
			    err == -ENOSPC ? " (fs.epoll.max_user_watches)" : "");
}

static int new_sockets_prepare(void *ctx, struct apply_step *step)
{
	struct control *control = ctx;
	const struct sockets_of wanted = { step->conf, &step->spec, step->listener_uids };
	struct sockets_failure failure = { 0 };
	int err = sockets_prepare(&step->sockets, control->sockets, &wanted, &failure);

	if (!err)
		return 0;
	return failure.unwatched ? cannot_watch(step, err, &failure.addr) : refuse_socket(step, err, &failure.addr);
}

static void new_sockets_commit(void *ctx, struct apply_step *step)
{
	struct control *control = ctx;

	sockets_add(control->sockets, step->sockets);
}

static void new_sockets_abandon(void *ctx, struct apply_step *step)
{
	struct control *control = ctx;

	sockets_abandon(control->sockets, step->sockets);
}

static void old_sockets_commit(void *ctx, struct apply_step *step)
{
	struct control *control = ctx;

	sockets_remove(control->sockets, step->sockets);
}

static int states_prepare(void *ctx, struct apply_step *step)
{
	struct control *control = ctx;
	int err = control->conf ? 0 : ids_recall(control, step->conf, &step->spec);

	names_recall(control, step->conf, &step->spec);
	if (!err)
		err = learned_tables_give(control, step->conf, &step->spec);
	if (!err)
		err = apply_states_make(control, step);
	if (!err)
		err = ids_to_spec(control, step->conf, &step->spec);
	if (!err)
		return 0;
	apply_states_free(step);
	return apply_refuse(step, err, "out of memory");
}

static int moved_sockets_prepare(void *ctx, struct apply_step *step)
{
	struct control *control = ctx;
	struct sockets_failure failure = { 0 };
	int err = sockets_prepare_moved(control->sockets, step->sockets, &failure);

	if (!err)
		return 0;
	return failure.unwatched ? cannot_watch(step, err, &failure.addr) : refuse_socket(step, err, &failure.addr);
}

static void states_commit(void *ctx, struct apply_step *step)
{
	apply_states_take(ctx, step);
	apply_states_free(step);
}

static void states_abandon(void *ctx, struct apply_step *step)
{
	(void)ctx;
	apply_states_free(step);
}

static int new_table_prepare(void *ctx, struct apply_step *step)
{
	struct control *control = ctx;

	reach_forget(control);
	(void)reach_find(control, step->conf, &step->spec);
	(void)dsr_find(control, step->conf, &step->spec);
	step->spec.host = control->host;
	step->table = table_build(step->conf, &step->spec, step->listener_uids, publisher_read(&control->publisher));
	return step->table ? 0 : apply_refuse(step, -ENOMEM, "out of memory");
}

static void new_table_commit(void *ctx, struct apply_step *step)
{
	settle_publish(ctx, step->table);
}

static void new_table_abandon(void *ctx, struct apply_step *step)
{
	(void)ctx;
	table_free(step->table);
}

/* A pool without a table gets limits as well. So flows from the time before end when they are idle, and not at once. */
static int limits_set(struct control *control, const struct conf *conf, const struct table_spec *spec)
{
	for (size_t i = 0; conf && i < conf->pool_count; i++) {
		const struct conf_nat *nat = &conf->pools[i].nat;
		const uint32_t max_flows = stateless_listener(conf, i) ? 1 : nat->max_flows;
		struct flows_limits limits = { max_flows, nat->idle_s * 1000, nat->cid_idle_s * 1000 };
		int err = flows_set_limits(control->flows, spec->pools[i].uid, &limits);

		if (err)
			return err;
	}
	return 0;
}

/* The flows of pools that are gone end at the next sweep. */
static void limits_drop(struct control *control, const struct table_spec *old, const struct table_spec *now)
{
	static const struct flows_limits none = { 0 };

	for (size_t i = 0; i < old->pool_count; i++) {
		bool kept = false;

		for (size_t j = 0; j < now->pool_count; j++)
			kept = kept || old->pools[i].uid == now->pools[j].uid;
		if (!kept)
			(void)flows_set_limits(control->flows, old->pools[i].uid, &none);
	}
}

static void limits_abandon(void *ctx, struct apply_step *step)
{
	struct control *control = ctx;

	(void)limits_set(control, control->conf, &control->spec);
	limits_drop(control, &step->spec, &control->spec);
}

static int limits_prepare(void *ctx, struct apply_step *step)
{
	int err = limits_set(ctx, step->conf, &step->spec);

	if (!err)
		return 0;
	limits_abandon(ctx, step);
	return apply_refuse(step, err, "out of memory: nat.max_flows is too high for this host");
}

static void limits_commit(void *ctx, struct apply_step *step)
{
	struct control *control = ctx;

	limits_drop(control, &control->spec, &step->spec);
}

/* New sockets are added before the table that uses them is published. Sockets that no table uses any more are closed
 * after that. */
const struct apply_part apply_parts[APPLY_PARTS] = {
	{ .name = "numbers", .prepare = numbers_prepare, .abandon = numbers_abandon },
	{ .name = "bare sockets", .prepare = dsr_prepare },
	{ "new sockets", new_sockets_prepare, new_sockets_commit, new_sockets_abandon, NULL },
	{ "states", states_prepare, states_commit, states_abandon, NULL },
	{ "table", new_table_prepare, new_table_commit, new_table_abandon, NULL },
	{ .name = "old sockets", .commit = old_sockets_commit },
	{ .name = "moved sockets", .prepare = moved_sockets_prepare },
	{ "limits", limits_prepare, limits_commit, limits_abandon, NULL },
};

void apply_take_over(struct control *control, struct apply_step *step)
{
	table_spec_free(&control->spec);
	conf_free(control->conf);
	control->conf = step->conf;
	control->spec = step->spec;
	memcpy(control->listener_uids, step->listener_uids, sizeof control->listener_uids);
	ids_drop(control, control->conf, &control->spec);
	saved_prune(control->saved, control->conf);
}
