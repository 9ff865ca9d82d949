#include "plan.h"

#include <errno.h>
#include <stdlib.h>

static int plan_backend(struct snapshot_backend *out, const struct conf_backend *conf, uint16_t pool, struct registry *registry)
{
	*out = (struct snapshot_backend){
		.name = conf->name,
		.uid = registry_uid(registry, pool, conf->name),
		.weight = conf->weight,
		.has_id = conf->has_id,
		.id = conf->id,
		.addr = conf->addr,
		.health = BACKEND_UP,
		.admin = conf->admin,
	};
	return out->uid == REGISTRY_FULL ? -ENOSPC : 0;
}

static int plan_pool(struct plan *plan, const struct conf_pool *conf, struct registry *pools, struct registry *backends)
{
	struct snapshot_backend *first = plan->backends + plan->backend_count;
	struct snapshot_pool_spec spec = {
		.name = conf->name,
		.uid = registry_uid(pools, 0, conf->name),
		.protocol = conf->protocol,
		.affinity = conf->affinity,
		.unknown_cid = conf->unknown_cid,
		.all_down = conf->all_down,
		.layout = conf->layout,
		.backends = first,
		.backend_count = conf->backend_count,
	};

	if (spec.uid == REGISTRY_FULL)
		return -ENOSPC;
	for (size_t i = 0; i < conf->backend_count; i++) {
		int rc = plan_backend(&first[i], &conf->backends[i], spec.uid, backends);
		if (rc != 0)
			return rc;
	}
	plan->backend_count += conf->backend_count;
	plan->pools[plan->pool_count++] = spec;
	return 0;
}

int plan_make(struct plan *out, const struct conf *conf, struct registry *pools, struct registry *backends)
{
	size_t backend_count = 0;
	int rc = 0;

	for (size_t i = 0; i < conf->pool_count; i++)
		backend_count += conf->pools[i].backend_count;
	*out = (struct plan){
		.pools = calloc(conf->pool_count + 1, sizeof *out->pools),
		.backends = calloc(backend_count + 1, sizeof *out->backends),
	};
	if (out->pools == NULL || out->backends == NULL)
		rc = -ENOMEM;
	for (size_t i = 0; rc == 0 && i < conf->pool_count; i++)
		rc = plan_pool(out, &conf->pools[i], pools, backends);
	if (rc != 0)
		plan_free(out);
	return rc;
}

void plan_free(struct plan *plan)
{
	free(plan->pools);
	free(plan->backends);
	*plan = (struct plan){ 0 };
}
