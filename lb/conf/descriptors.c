#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conf/machine.h"
#include "conf/read.h"

enum part { PART_ADDRESS_PORTS, PART_PREFIX_PORTS, PART_LISTENERS, PART_TUNNELS, PART_PROBES, PART_OTHERS, PARTS };

static const char *const part_names[PARTS] = {
	[PART_ADDRESS_PORTS] = "nat.ports of addresses",
	[PART_PREFIX_PORTS] = "nat.ports of prefixes, each for each worker",
	[PART_LISTENERS] = "listeners, each for each worker",
	[PART_TUNNELS] = "tunnels, each for each worker",
	[PART_PROBES] = "probes",
	[PART_OTHERS] = "cidlb itself",
};

enum {
	NAMED_PARTS = 3, /* in the message, the largest first */
	STANDARD = 3,    /* standard input, output and error */
	LOOP = 3,        /* libevent's epoll, and the pair of sockets for signals */
	ALARM = 1,       /* icmp.h */
	ROUTES = 2,      /* netlink.h */
	HOST = 1,        /* host_addrs.h */
	OF_DSR = 6,      /* of mode dsr: dsr.h */
	OF_FAST = 12,    /* of the fast path: programs and maps */
	OF_FAST_AT = 3,  /* of each interface of it */
	OF_WORKER = 2,   /* epoll, and what wakes it */
	MOMENTARY = 8,   /* files that are read and written, and what libraries open */
	OF_DOOR = 2,     /* what listens, and one in reserve */
	NAMES = 64,      /* asked for at once: health/resolve.h */
	NAMESERVERS = 2, /* asked for each: health/nameservers.h */
};

/* The sockets of control/dsr.h. */
static uint64_t count_dsr(const struct conf *conf)
{
	for (size_t i = 0; i < conf->pool_count; i++)
		if (conf->pools[i].forward == FORWARD_DSR)
			return OF_DSR;
	return 0;
}

static uint64_t count_fast(const struct conf *conf)
{
	const uint64_t interfaces = conf->fast.interface_count;

	return interfaces > 0 ? OF_FAST + OF_FAST_AT * interfaces : 0;
}

/* Descriptors that are there in any case. The rest of the file may not be read yet. */
static uint64_t count_others(const struct conf *conf)
{
	uint64_t count = count_dsr(conf) + count_fast(conf) + STANDARD + LOOP + ALARM + ROUTES + HOST + MOMENTARY;

	count += conf->socket ? OF_DOOR + CONF_SOCKET_CLIENTS : 0;
	count += conf->has_http ? OF_DOOR + CONF_HTTP_CLIENTS : 0;
	return count + (uint64_t)OF_WORKER * conf->workers;
}

/* Pools that have a port of the wildcard address in common share its sockets: control/sockets.c. */
static uint64_t count_prefix_ports(const struct conf *conf)
{
	uint8_t families[1 << 16] = { 0 }; /* of each port: a bit for each */
	uint64_t count = 0;

	for (size_t i = 0; i < conf->pool_count; i++) {
		const struct conf_nat *nat = &conf->pools[i].nat;

		for (size_t j = 0; !nat->single && j < nat->source_count; j++)
			for (unsigned port = nat->port_first; port <= nat->port_last; port++)
				families[port] |= addr_is_v4(&nat->sources[j].addr) ? 1 : 2;
	}
	for (size_t port = 0; port < sizeof families; port++)
		count += (families[port] & 1) + (families[port] >> 1);
	return count * conf->workers;
}

/* Whether one of the pools from `first` on, before this one, has the ports of source `at`. They share the sockets then.
 */
static bool is_shared(const struct conf *conf, size_t first, size_t pool, size_t at)
{
	const struct conf_nat *nat = &conf->pools[pool].nat;

	for (size_t i = first; i < pool; i++) {
		const struct conf_nat *other = &conf->pools[i].nat;

		for (size_t j = 0; other->single && j < other->source_count; j++)
			if (addr_equal(&other->sources[j].addr, &nat->sources[at].addr) &&
			    other->port_first == nat->port_first && other->port_last == nat->port_last &&
			    conf_pool_uses(&conf->pools[i], addr_is_v4(&nat->sources[at].addr)))
				return true;
	}
	return false;
}

uint64_t conf_address_ports(const struct conf *conf, size_t first, size_t count)
{
	uint64_t ports = 0;

	for (size_t i = first; i < first + count; i++) {
		const struct conf_nat *nat = &conf->pools[i].nat;

		for (size_t j = 0; nat->single && j < nat->source_count; j++)
			if (conf_pool_uses(&conf->pools[i], addr_is_v4(&nat->sources[j].addr)) &&
			    !is_shared(conf, first, i, j))
				ports += conf_nat_ports(nat);
	}
	return ports;
}

/* A session of `coaps` is asked from two ports. Ports inside a tunnel share one descriptor. */
static uint64_t count_probes(const struct conf_pool *pool)
{
	const bool tunnelled = pool->forward == FORWARD_TUNNEL && pool->health.port == 0;

	if (pool->health.probe == PROBE_NONE)
		return 0;
	return pool->backend_count * (pool->health.probe == PROBE_COAPS && !tunnelled ? 2 : 1);
}

static uint64_t count_names(const struct conf_pool *pool)
{
	uint64_t count = 0;

	for (size_t i = 0; i < pool->backend_count; i++)
		count += pool->backends[i].host != NULL;
	return count;
}

/* Returns the sum. */
static uint64_t count_all(const struct conf *conf, uint64_t parts[static PARTS])
{
	uint64_t sum = 0, names = 0;

	parts[PART_ADDRESS_PORTS] = conf_address_ports(conf, 0, conf->pool_count);
	parts[PART_PREFIX_PORTS] = count_prefix_ports(conf);
	parts[PART_LISTENERS] = (uint64_t)conf->listener_count * conf->workers;
	parts[PART_TUNNELS] = parts[PART_PROBES] = 0;
	for (size_t i = 0; i < conf->pool_count; i++) {
		parts[PART_TUNNELS] += conf->pools[i].forward == FORWARD_TUNNEL ? conf->workers : 0;
		parts[PART_PROBES] += count_probes(&conf->pools[i]);
		names += count_names(&conf->pools[i]);
	}
	parts[PART_OTHERS] = count_others(conf) + NAMESERVERS * (names < NAMES ? names : NAMES);
	for (size_t i = 0; i < PARTS; i++)
		sum += parts[i];
	return sum;
}

uint64_t conf_descriptors_left(const struct conf *conf, const struct conf_machine *machine)
{
	const uint64_t limit = machine->descriptors, others = count_others(conf);

	if (limit == UINT64_MAX)
		return limit;
	return limit > others ? limit - others : 0;
}

void conf_descriptors_check(struct conf_reader *reader, const struct conf_machine *machine)
{
	uint64_t parts[PARTS];
	const uint64_t limit = machine->descriptors, sum = count_all(reader->conf, parts);
	char largest[256] = "";

	if (sum <= limit)
		return;
	for (int n = 0; n < NAMED_PARTS; n++) {
		size_t most = 0;

		for (size_t i = 1; i < PARTS; i++)
			most = parts[i] > parts[most] ? i : most;
		if (parts[most] > 0)
			snprintf(largest + strlen(largest), sizeof largest - strlen(largest), "%s%" PRIu64 " for %s",
				 n ? ", " : "", parts[most], part_names[most]);
		parts[most] = 0;
	}
	conf_error_line(reader, 1,
			"may need %" PRIu64 " descriptors (%s); the limit (ulimit -Hn) is %" PRIu64
			": fewer nat.ports, workers or backends, or LimitNOFILE=%" PRIu64,
			sum, largest, limit, sum);
}
