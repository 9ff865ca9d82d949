#include "control/carry.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <urcu-qsbr.h>

#include "control/carry_priv.h"
#include "control/state.h"
#include "flows/flows_restore.h"

/* What is in the table, and then where the next of it goes. */
struct save {
	struct control *control;
	uint64_t flows, many;
	bool services[CARRY_SERVICES];
	struct flow *flow;
	struct ownership_place *places;
};

static struct ownership_place *many_of(const struct flow *flow)
{
	return flow->kind == FLOW_CID && flow->session.has_many ? flow->session.many : NULL;
}

static void note_service(void *ctx, struct ownership_pair *pair)
{
	struct save *save = ctx;

	if (pair->service < CARRY_SERVICES)
		save->services[pair->service] = true;
}

static void count(void *ctx, const struct flow *flow)
{
	struct save *save = ctx;
	struct flow copy;

	memcpy(&copy, flow, sizeof copy);
	save->flows++;
	save->many += many_of(flow) != NULL;
	flows_visit_pairs(&copy, many_of(flow), note_service, save);
}

static void put(void *ctx, const struct flow *flow)
{
	struct save *save = ctx;
	const struct ownership_place *many = many_of(flow);

	memcpy(save->flow, flow, sizeof *flow);
	if (many) {
		save->flow->session.many = NULL;
		memcpy(save->places, many, OWNERSHIP_PLACES_HOME * sizeof *many);
		save->places += OWNERSHIP_PLACES_HOME;
	}
	save->flow++;
}

static bool listener_addr(const struct control *control, uint16_t uid, struct addr *out)
{
	for (size_t i = 0; i < control->conf->listener_count; i++) {
		if (control->listener_uids[i] != uid)
			continue;
		*out = control->conf->listeners[i].addr;
		return true;
	}
	return false;
}

/* Those of listeners that are gone are left out, and so are the flows that need them. Returns how many there are;
 * `out` may be NULL. */
static uint32_t put_services(const struct save *save, struct carry_service *out)
{
	uint32_t services = 0;

	for (uint16_t number = 0; number < CARRY_SERVICES; number++) {
		struct service_addr service;
		struct carry_service carried = { .number = number };

		if (!save->services[number])
			continue;
		service = service_addrs_get(save->control->service_addrs, number);
		if (!listener_addr(save->control, service.listener, &carried.listener))
			continue;
		carried.has_local = service.local != NULL;
		if (service.local)
			memcpy(carried.local, service.local, sizeof carried.local);
		if (out)
			out[services] = carried;
		services++;
	}
	return services;
}

/* Returns the octet behind them. */
static uint8_t *put_names(const struct control *control, uint8_t *to)
{
	struct carry_pool *pool = (struct carry_pool *)to;
	struct carry_backend *backend = (struct carry_backend *)(pool + control->spec.pool_count);

	for (size_t i = 0; i < control->spec.pool_count; i++) {
		const struct snapshot_pool_spec *spec = &control->spec.pools[i];

		*pool++ = (struct carry_pool){ carry_name(spec->name, NULL), spec->uid };
		for (size_t j = 0; j < spec->backend_count; j++, backend++)
			*backend = (struct carry_backend){ .name = carry_name(spec->name, spec->backends[j].name),
							   .addr = spec->backends[j].addr,
							   .uid = spec->backends[j].uid };
	}
	return (uint8_t *)backend;
}

static void fill(struct save *save, struct carry_head *head, const struct carry_head *counts)
{
	struct carry_service *services =
		(struct carry_service *)put_names(save->control, (uint8_t *)head + sizeof *head);

	(void)put_services(save, services);
	save->flow = (struct flow *)(services + counts->services);
	save->places = (struct ownership_place *)(save->flow + counts->flows);
	flows_visit(save->control->flows, put, save);
	*head = *counts;
	head->sum = carry_sum(head + 1, head->octets - sizeof *head);
}

static struct carry_head counts_of(const struct save *save)
{
	const struct table_spec *spec = &save->control->spec;
	struct carry_head head = { .magic = CARRY_MAGIC,
				   .version = CARRY_VERSION,
				   .layout = flows_layout(),
				   .flows = save->flows,
				   .many = save->many,
				   .pools = (uint32_t)spec->pool_count,
				   .backends = (uint32_t)spec->backend_count,
				   .services = put_services(save, NULL) };

	head.octets = carry_octets(&head);
	return head;
}

int carry_save(struct control *control, int fd)
{
	struct save *save = calloc(1, sizeof *save);
	struct carry_head counts;
	void *file;
	int err = 0;

	if (!save)
		return -ENOMEM;
	save->control = control;
	rcu_thread_online();
	flows_visit(control->flows, count, save);
	counts = counts_of(save);
	if (ftruncate(fd, (off_t)counts.octets) < 0)
		err = -errno;
	file = err ? MAP_FAILED : mmap(NULL, counts.octets, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (file != MAP_FAILED) {
		fill(save, file, &counts);
		munmap(file, counts.octets);
	} else if (!err) {
		err = -errno;
	}
	rcu_thread_offline();
	free(save);
	return err;
}
