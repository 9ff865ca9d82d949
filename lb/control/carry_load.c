#include "control/carry.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <urcu-qsbr.h>

#include "control/carry_priv.h"
#include "control/state.h"
#include "flows/flows_restore.h"
#include "io/port_sockets.h"

#define NONE UINT16_MAX

/* Numbers of the cidlb before, and what they are now. NONE: nothing. */
struct load {
	struct control *control;
	const struct carry_head *head;
	uint16_t pools[STATS_POOLS], backends[STATS_BACKENDS], services[CARRY_SERVICES];
	struct addr addrs[STATS_BACKENDS]; /* of backends, by their numbers before */
	bool fits;                         /* the flow that is looked at */
	uint64_t restored;
};

static void map_pool(struct load *load, const struct carry_pool *carried, const struct snapshot_pool_spec *pool)
{
	const uint64_t name = carry_name(pool->name, NULL);

	for (uint32_t i = 0; i < load->head->pools; i++)
		if (carried[i].uid < STATS_POOLS && carried[i].name == name)
			load->pools[carried[i].uid] = pool->uid;
}

static void map_backends(struct load *load, const struct carry_backend *carried, const struct snapshot_pool_spec *pool)
{
	for (size_t at = 0; at < pool->backend_count; at++) {
		const struct snapshot_backend *backend = &pool->backends[at];
		const uint64_t name = carry_name(pool->name, backend->name);

		for (uint32_t i = 0; i < load->head->backends; i++) {
			if (carried[i].name != name || carried[i].uid >= STATS_BACKENDS ||
			    !addr_equal(&carried[i].addr, &backend->addr))
				continue;
			load->backends[carried[i].uid] = backend->uid;
			load->addrs[carried[i].uid] = backend->addr;
		}
	}
}

static void map_services(struct load *load, const struct carry_service *carried)
{
	struct control *control = load->control;

	for (uint32_t i = 0; i < load->head->services; i++)
		for (size_t j = 0; j < control->conf->listener_count; j++) {
			const uint16_t uid = control->listener_uids[j];

			if (carried[i].number >= CARRY_SERVICES ||
			    !addr_equal(&control->conf->listeners[j].addr, &carried[i].listener))
				continue;
			load->services[carried[i].number] =
				carried[i].has_local
					? service_addrs_number(control->service_addrs, uid, carried[i].local)
					: uid;
		}
}

static void map_pair(void *ctx, struct ownership_pair *pair)
{
	struct load *load = ctx;

	if (pair->service >= CARRY_SERVICES || load->services[pair->service] == NONE)
		load->fits = false;
	else
		pair->service = load->services[pair->service];
}

/* Without its port a flow would lead nowhere. */
static bool has_port(const struct load *load, const struct flow *image)
{
	const struct table *table = publisher_read(&load->control->publisher);
	const uint16_t pool = table->pool_of_uid[load->pools[image->pool]];
	const enum io_family family = addr_is_v4(&image->endpoint) ? IO_V4 : IO_V6;

	if (pool == TABLE_NONE || !table->pools[pool].single)
		return pool != TABLE_NONE;
	return table->pools[pool].ports[family] &&
	       port_sockets_have(table->pools[pool].ports[family], &image->endpoint) &&
	       port_sockets_get(table->pools[pool].ports[family], image->endpoint.port) >= 0;
}

/* `image` and `many` are copies. */
static bool map_flow(struct load *load, struct flow *image, struct ownership_place *many)
{
	if (image->pool >= STATS_POOLS || load->pools[image->pool] == NONE || image->backend >= STATS_BACKENDS ||
	    load->backends[image->backend] == NONE || !addr_equal(&image->backend_addr, &load->addrs[image->backend]))
		return false;
	load->fits = has_port(load, image);
	flows_visit_pairs(image, many, map_pair, load);
	image->pool = (uint8_t)load->pools[image->pool];
	image->backend = load->backends[image->backend];
	return load->fits;
}

static void restore(struct load *load, const struct flow *from, const struct ownership_place *places)
{
	struct ownership_place many[OWNERSHIP_PLACES_HOME];
	struct flow image;

	memcpy(&image, from, sizeof image);
	if (places)
		memcpy(many, places, sizeof many);
	if (map_flow(load, &image, places ? many : NULL) &&
	    flows_restore(load->control->flows, &image, places ? many : NULL, worker_clock_ms()))
		load->restored++;
}

static bool has_many(const struct flow *flow)
{
	return flow->kind == FLOW_CID && flow->session.has_many;
}

static void restore_all(struct load *load, const struct flow *flows, bool handshakes)
{
	const struct ownership_place *places = (const struct ownership_place *)(flows + load->head->flows);

	for (uint64_t i = 0; i < load->head->flows; i++) {
		const struct flow *flow = &flows[i];

		if ((flow->class == FLOW_CLASS_HANDSHAKE) == handshakes)
			restore(load, flow, has_many(flow) ? places : NULL);
		places += has_many(flow) ? OWNERSHIP_PLACES_HOME : 0;
	}
}

static const struct flow *maps_make(struct load *load)
{
	const struct table_spec *spec = &load->control->spec;
	const struct carry_pool *pools = (const struct carry_pool *)(load->head + 1);
	const struct carry_backend *backends = (const struct carry_backend *)(pools + load->head->pools);
	const struct carry_service *services = (const struct carry_service *)(backends + load->head->backends);

	memset(load->pools, 0xff, sizeof load->pools);
	memset(load->backends, 0xff, sizeof load->backends);
	memset(load->services, 0xff, sizeof load->services);
	for (size_t i = 0; i < spec->pool_count; i++) {
		map_pool(load, pools, &spec->pools[i]);
		map_backends(load, backends, &spec->pools[i]);
	}
	map_services(load, services);
	return (const struct flow *)(services + load->head->services);
}

/* NULL: the file is good. Else what is wrong with it. */
static const char *fault_of(const struct carry_head *head, uint64_t octets)
{
	const struct flow *flows;
	uint64_t many = 0;

	if (octets < sizeof *head || head->magic != CARRY_MAGIC)
		return "it is none";
	if (head->version != CARRY_VERSION || head->layout != flows_layout())
		return "it is another version's";
	if (head->octets != octets || head->flows > octets || head->many > head->flows || carry_octets(head) != octets)
		return "its size is wrong";
	if (carry_sum(head + 1, octets - sizeof *head) != head->sum)
		return "it is damaged";
	flows = (const struct flow *)((const uint8_t *)(head + 1) + carry_names_octets(head));
	for (uint64_t i = 0; i < head->flows; i++) {
		if (!flows_is_sound(&flows[i]))
			return "it has values that no flow has";
		many += has_many(&flows[i]);
	}
	return many == head->many ? NULL : "its size is wrong";
}

static int load_from(struct control *control, const struct carry_head *head, uint64_t octets, struct carry_outcome *out)
{
	struct load *load;
	const struct flow *flows;

	out->fault = fault_of(head, octets);
	if (out->fault)
		return -EINVAL;
	load = calloc(1, sizeof *load);
	if (!load) {
		out->fault = "out of memory";
		return -ENOMEM;
	}
	load->control = control;
	load->head = head;
	flows = maps_make(load);
	rcu_thread_online();
	restore_all(load, flows, false);
	restore_all(load, flows, true);
	rcu_thread_offline();
	out->flows = head->flows;
	out->restored = load->restored;
	free(load);
	return 0;
}

int carry_load(struct control *control, int fd, struct carry_outcome *out)
{
	struct stat file;
	void *head;
	int err;

	*out = (struct carry_outcome){ .fault = "it is none" };
	if (fstat(fd, &file) < 0 || file.st_size < (off_t)sizeof(struct carry_head))
		return -EINVAL;
	head = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (head == MAP_FAILED) {
		err = -errno;
		out->fault = strerror(-err);
		return err;
	}
	err = load_from(control, head, (uint64_t)file.st_size, out);
	munmap(head, (size_t)file.st_size);
	return err;
}
