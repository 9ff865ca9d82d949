#include "common/allowance.h"
#include "conf/prefix.h"
#include "conf/read.h"

enum {
	NAT_REBIND,
	NAT_SOURCES,
	NAT_PORTS,
	NAT_IDLE,
	NAT_CID_IDLE,
	NAT_MAX_FLOWS,
	NAT_CONTEST,
	NAT_UNPROVEN_RATE,
	NAT_ENDPOINT,
	NAT_SETTLE,
	NAT_CONTEST_S,
	NAT_OPTIONS
};

static const struct conf_option nat_options[NAT_OPTIONS] = {
	[NAT_REBIND] = { "rebind", .type = CONF_WORD,
			 .words = { [REBIND_FOLLOW] = "follow", [REBIND_BACKEND] = "backend" } },
	[NAT_SOURCES] = { "sources", .type = CONF_LIST },
	[NAT_PORTS] = { "ports", .type = CONF_TEXT },
	[NAT_IDLE] = { "idle_s", .type = CONF_NUMBER, .min = 1, .max = 86400, .fallback = 300, .unit = "s" },
	[NAT_CID_IDLE] = { "cid_idle_s", .type = CONF_NUMBER, .min = 1, .max = 2000000, .fallback = 86400,
			   .unit = "s" },
	[NAT_MAX_FLOWS] = { "max_flows", .type = CONF_NUMBER, .min = 8, .max = 50000000, .fallback = 100000 },
	[NAT_CONTEST] = { "contest", .type = CONF_WORD, .words = { [CONTEST_OWN] = "own", [CONTEST_HOME] = "home" } },
	[NAT_UNPROVEN_RATE] = { "unproven_rate", .type = CONF_NUMBER, .min = 0, .max = ALLOWANCE_RATE_MAX,
				.fallback = 1250000, .unit = "octets a second" },
	[NAT_ENDPOINT] = { "endpoint", .type = CONF_WORD,
			   .words = { [ENDPOINT_CID] = "cid", [ENDPOINT_HANDSHAKE] = "handshake" } },
	[NAT_SETTLE] = { "settle_ms", .gone = "contest = \"own\" | \"home\" says who is heard while several "
					      "addresses show one CID" },
	[NAT_CONTEST_S] = { "contest_s", .gone = "contest = \"own\" | \"home\" says who is heard while several "
						 "addresses show one CID" },
};

const struct conf_section conf_section_nat = { "pools.nat", nat_options, NAT_OPTIONS };

enum {
	MAX_PORTS = 64,     /* of prefixes */
	PORT_FIRST = 40684, /* the default range of prefixes */
	PORT_LAST = 40691,
	PORTS_BITS = 22,           /* of a host's part: so many addresses need no more than the first of them */
	SINGLE_PORT_FIRST = 20000, /* and of single addresses */
	SINGLE_PORT_LAST = 28191,
};

bool conf_backend_has_address(const struct conf_backend *backend)
{
	return backend->addr.port && !backend->host;
}

/* The first backend with an address that is not on loopback, or NULL. */
static const struct conf_backend *first_remote(const struct conf_pool *pool)
{
	for (size_t i = 0; i < pool->backend_count; i++)
		if (conf_backend_has_address(&pool->backends[i]) && !addr_is_loopback(&pool->backends[i].addr))
			return &pool->backends[i];
	return NULL;
}

/* Without sources in the file: if all backends are on loopback, a prefix of loopback. Else an address of each family,
 * which only this host can tell. False: neither is possible (reported). */
static bool default_sources(struct conf_reader *reader, struct conf_place place, struct conf_pool *pool)
{
	static const struct conf_prefix loopback = { .addr.ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [13] = 64 },
						     .bits = 10 };

	for (size_t i = 0; i < pool->backend_count; i++)
		if (pool->backends[i].host) {
			conf_error(reader, place,
				   "no sources, and the name of backends[%zu] does not tell them; give an address of "
				   "this host or a prefix",
				   pool->backends[i].entry);
			return false;
		}
	pool->nat.single = first_remote(pool) != NULL;
	if (pool->nat.single)
		return true;
	pool->nat.sources[0] = loopback;
	pool->nat.source_count = 1;
	return true;
}

/* Several ports of prefixes multiply the endpoints, which makes collisions rare. But each is a socket, and splits the
 * batches of system calls. */
static unsigned default_last_port(const struct conf_nat *nat)
{
	if (nat->single)
		return SINGLE_PORT_LAST;
	for (size_t i = 0; i < nat->source_count; i++)
		if (prefix_family_bits(&nat->sources[i].addr) - nat->sources[i].bits < PORTS_BITS)
			return PORT_LAST;
	return PORT_FIRST;
}

static bool read_ports(struct conf_reader *reader, const struct conf_value *ports, struct conf_nat *nat)
{
	const char *at = ports->text;
	char quoted[CONF_QUOTE_OCTETS];
	unsigned first = nat->single ? SINGLE_PORT_FIRST : PORT_FIRST, last = default_last_port(nat);
	const unsigned most = nat->single ? UINT16_MAX : MAX_PORTS;

	if (ports->found == CONF_WRONG)
		return false;
	if (at) {
		bool good = prefix_parse_number(&at, UINT16_MAX, &first) == 0;
		last = first;
		if (good && *at == '-') {
			at++;
			good = prefix_parse_number(&at, UINT16_MAX, &last) == 0;
		}
		if (!good || *at || first > last || last - first >= most) {
			conf_error(reader, ports->place,
				   "%s is no port range; accepted: PORT, or LOW-HIGH of at most %u ports",
				   conf_quote(quoted, ports->text), most);
			return false;
		}
	}
	nat->port_first = (uint16_t)first;
	nat->port_last = (uint16_t)last;
	return true;
}

/* A server that takes no other address than its handshake's cannot move to an own endpoint. */
static void check_endpoint(struct conf_reader *reader, const struct conf_value *values, struct conf_nat *nat)
{
	if (nat->endpoint != ENDPOINT_HANDSHAKE)
		return;
	if (nat->rebind != REBIND_FOLLOW)
		conf_error(reader, values[NAT_REBIND].place,
			   "\"backend\" shows each address, and endpoint = \"handshake\" none; accepted: follow");
	if (values[NAT_CONTEST].found == CONF_GOOD && nat->contest != CONTEST_HOME)
		conf_error(
			reader, values[NAT_CONTEST].place,
			"\"own\" shows other endpoints than that of the handshake, and endpoint = \"handshake\" none; "
			"accepted: home");
	nat->contest = CONTEST_HOME;
}

void conf_nat_read(struct conf_reader *reader, struct conf_place group, struct conf_pool *pool)
{
	struct conf_nat_said *said = &reader->nat_said[pool - reader->conf->pools];
	struct conf_value values[NAT_OPTIONS];
	const struct conf_value *sources = &values[NAT_SOURCES];
	struct conf_nat *nat = &pool->nat;

	conf_read_section(reader, group, &conf_section_nat, values);
	*nat = (struct conf_nat){
		.rebind = (enum conf_rebind)values[NAT_REBIND].number,
		.idle_s = (uint32_t)values[NAT_IDLE].number,
		.cid_idle_s = (uint32_t)values[NAT_CID_IDLE].number,
		.max_flows = (uint32_t)values[NAT_MAX_FLOWS].number,
		.contest = (enum conf_contest)values[NAT_CONTEST].number,
		.endpoint = (enum conf_endpoint)values[NAT_ENDPOINT].number,
		.unproven_rate = (uint32_t)values[NAT_UNPROVEN_RATE].number,
	};
	check_endpoint(reader, values, nat);
	*said = (struct conf_nat_said){
		.sources = sources->place,
		.ports = values[NAT_PORTS].place,
		.max_flows = values[NAT_MAX_FLOWS].place,
		.max_flows_found = values[NAT_MAX_FLOWS].found,
	};
	if (sources->found == CONF_ABSENT)
		said->sources_known = default_sources(reader, sources->place, pool);
	else
		said->sources_known = conf_nat_sources_read(reader, sources, nat);
	said->ports_known = read_ports(reader, &values[NAT_PORTS], nat);
}
