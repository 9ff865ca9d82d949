#include "control/dsr.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sockaddr.h"
#include "common/udp_packet.h"
#include "control/state.h"
#include "io/answers.h"

enum {
	EVERY = 4,   /* ticks between two looks, as long as every next hop is known */
	LOOKS = 4,   /* that find a next hop missing before the log is told */
	DISCARD = 9, /* RFC 863 */
};

void dsr_open(struct dsr *dsr)
{
	for (size_t i = 0; i < BARES; i++)
		dsr->bare[i] = -1;
	for (size_t i = 0; i < IO_FAMILIES; i++)
		dsr->asker[i] = -1;
	dsr->answers = -1;
}

void dsr_close(struct dsr *dsr)
{
	for (size_t i = 0; i < BARES; i++)
		if (dsr->bare[i] >= 0)
			close(dsr->bare[i]);
	for (size_t i = 0; i < IO_FAMILIES; i++)
		if (dsr->asker[i] >= 0)
			close(dsr->asker[i]);
	if (dsr->answers >= 0)
		close(dsr->answers);
}

static enum bare bare_of(const struct conf_pool *pool)
{
	if (pool->dsr.encap == ENCAP_L2)
		return BARE_LINK;
	return pool->dsr.v6 ? BARE_IPIP_V6 : BARE_IPIP_V4;
}

/* Tried once: later there are no rights to open it. */
static void answers_lend(struct control *control)
{
	int fd, err;

	if (control->dsr.answers_tried)
		return;
	control->dsr.answers_tried = true;
	fd = answers_open();
	err = fd < 0 ? fd : health_lend_answers(control->health, fd);
	if (!err) {
		control->dsr.answers = fd;
		return;
	}
	if (fd >= 0)
		close(fd);
	log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "health", NULL, NULL,
				       LOG_FIELDS(LOG_TEXT("error", strerror(-err))) },
		   "no packet socket, so mode dsr probes servers at their own addresses only: %s", strerror(-err));
}

/* Later it cannot be had any more, so it is opened for what a reload may ask for, too. */
static void open_all(struct control *control)
{
	for (enum bare i = 0; i < BARES; i++) {
		if (control->dsr.bare[i] < 0)
			control->dsr.bare[i] = bare_open(i);
		for (unsigned w = 0; control->dsr.bare[i] >= 0 && w < control->worker_count; w++)
			worker_lend_bare(control->workers[w], i, control->dsr.bare[i]);
	}
	answers_lend(control);
}

int dsr_prepare(void *ctx, struct apply_step *step)
{
	struct control *control = ctx;

	for (size_t i = 0; i < step->conf->pool_count; i++) {
		const struct conf_pool *pool = &step->conf->pools[i];

		if (pool->forward != FORWARD_DSR)
			continue;
		open_all(control);
		const int err = control->dsr.bare[bare_of(pool)];
		if (err < 0 && control->conf)
			return apply_refuse(
				step, err,
				"pools[%zu].forward: dsr needs a socket that takes root to open, which cidlb "
				"has only while it starts: restart it",
				i);
		if (err < 0)
			return apply_refuse(step, err,
					    "pools[%zu].forward: dsr needs a socket that takes root to open: %s; start "
					    "cidlb as root, or with CAP_NET_RAW",
					    i, strerror(-err));
	}
	return 0;
}

/* Nothing is expected to come back, and what fails is tried again. */
static void ask_for_neighbour(struct control *control, const struct addr *backend)
{
	int *asker = &control->dsr.asker[addr_is_v4(backend) ? IO_V4 : IO_V6];
	struct sockaddr_storage name;
	struct addr to = *backend;
	socklen_t len;

	to.port = DISCARD;
	len = sockaddr_write(&name, &to);
	if (*asker < 0)
		*asker = socket(name.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*asker >= 0)
		(void)sendto(*asker, "", 0, MSG_DONTWAIT, (struct sockaddr *)&name, len);
}

/* NULL: it is known. Else why it is not. */
static const char *look(struct control *control, const struct conf_pool *pool, const struct addr *backend,
			struct table_hop *out, struct dsr_way *way)
{
	struct netlink_hop hop;

	*out = (struct table_hop){ .mtu = 0 };
	*way = (struct dsr_way){ .iface = 0 };
	if (addr_is_wildcard(backend))
		return "its name has no address yet";
	if (!control->reach.netlink)
		return "the kernel does not tell its routes";
	hop = netlink_hop(control->reach.netlink, backend->ip);
	if (hop.iface == 0)
		return "this host has no route to it";
	if (hop.mtu < (addr_is_v4(backend) ? UDP_PACKET_V4_MTU : UDP_PACKET_V6_MTU))
		return "the MTU of the link to it is less than IP needs (68, in IPv6 1280)";
	if (pool->dsr.encap == ENCAP_IPIP) {
		memcpy(out->from, hop.from, sizeof out->from);
		memcpy(way->from, hop.from, sizeof way->from);
		way->iface = hop.iface;
		out->mtu = hop.mtu;
		return NULL;
	}
	if (hop.behind_gateway)
		return "it is behind a router, where encap = \"l2\" does not reach; \"ipip\" does";
	if (!hop.is_sure)
		ask_for_neighbour(control, backend);
	if (!hop.has_mac)
		return "no neighbour has its address";
	out->link.iface = hop.iface;
	memcpy(out->link.mac, hop.mac, sizeof out->link.mac);
	out->mtu = hop.mtu;
	way->link = out->link;
	way->iface = hop.iface;
	memcpy(way->from, hop.from, sizeof way->from);
	return NULL;
}

/* Tells the log what stands in the way, once it has for a while: a neighbour answers only when it has been asked. */
static void tell(struct control *control, const struct conf_pool *pool, size_t at, uint16_t uid, const char *why)
{
	struct control_backend *backend = &control->backends[uid];
	struct control_pool *known = &control->pools[uids_scope(control->numbers.backends, uid)];
	const char *name = pool->backends[at].name;

	const bool told = backend->no_hop_looks >= LOOKS;

	backend->no_hop_looks = !why ? 0 : why != backend->no_hop ? 1 : backend->no_hop_looks + 1;
	backend->no_hop = why;
	if ((why ? backend->no_hop_looks != LOOKS : !told) || !log_quota_take(&known->hop_lines, clock_s()))
		return;
	if (why)
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "next_hop", pool->name, name,
					       LOG_FIELDS(LOG_TEXT("phase", "begins"), LOG_TEXT("reason", why)) },
			   "nothing can be sent to it: %s", why);
	else
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "next_hop", pool->name, name,
					       LOG_FIELDS(LOG_TEXT("phase", "over")) },
			   "the next hop to it is known");
}

static bool same_way(const struct dsr_way *a, const struct dsr_way *b)
{
	return a->iface == b->iface && memcmp(a->from, b->from, sizeof a->from) == 0 &&
	       a->link.iface == b->link.iface && memcmp(a->link.mac, b->link.mac, sizeof a->link.mac) == 0;
}

static bool same_hop(const struct table_hop *a, const struct table_hop *b)
{
	return a->mtu == b->mtu && a->link.iface == b->link.iface &&
	       memcmp(a->link.mac, b->link.mac, sizeof a->link.mac) == 0 &&
	       memcmp(a->from, b->from, sizeof a->from) == 0;
}

bool dsr_find(struct control *control, const struct conf *conf, struct table_spec *spec)
{
	size_t at = 0;
	bool news = false;

	control->dsr.missing = false;
	for (size_t i = 0; i < spec->pool_count; i++) {
		for (size_t j = 0; j < spec->pools[i].backend_count; j++, at++) {
			struct control_backend *backend = &control->backends[spec->backends[at].uid];
			struct table_hop hop;
			struct dsr_way way;

			if (conf->pools[i].forward != FORWARD_DSR) {
				backend->no_hop = NULL;
				continue;
			}
			const char *why = look(control, &conf->pools[i], &spec->backends[at].addr, &hop, &way);
			tell(control, &conf->pools[i], j, spec->backends[at].uid, why);
			news |= !same_hop(&hop, &spec->hops[at]);
			control->dsr.missing |= why != NULL;
			spec->hops[at] = hop;
			if (!same_way(&way, &backend->way))
				settle_mark(control, SETTLE_TARGETS);
			backend->way = way;
		}
	}
	return news;
}

/* The service has the backend's port. Of several such listeners it is the first: the servers have the addresses of all.
 */
static struct addr service_of(const struct conf *conf, const struct conf_pool *pool, uint16_t port)
{
	for (size_t i = 0; i < conf->listener_count; i++)
		if (&conf->pools[conf->listeners[i].pool] == pool && conf->listeners[i].addr.port == port)
			return conf->listeners[i].addr;
	return (struct addr){ .port = 0 };
}

struct health_encap dsr_encap(const struct control *control, const struct conf_pool *pool,
			      const struct snapshot_backend *backend)
{
	const struct dsr_way *way = &control->backends[backend->uid].way;
	struct health_encap encap = { .service = { .port = 0 } };

	if (pool->forward != FORWARD_DSR)
		return encap;
	encap = (struct health_encap){ .service = service_of(control->conf, pool, backend->addr.port),
				       .bare = control->dsr.bare[bare_of(pool)],
				       .link = way->link,
				       .iface = way->iface };
	memcpy(encap.from, way->from, sizeof encap.from);
	return encap;
}

void dsr_tick(struct control *control)
{
	if (!control->conf || (!control->dsr.missing && ++control->dsr.ticks % EVERY != 0))
		return;
	if (dsr_find(control, control->conf, &control->spec))
		settle_mark(control, SETTLE_TABLE);
}
