/* The beginning and the end: while cidlb is root. */
#include "xdp/fast.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/host_addrs.h"
#include "base/log.h"
#include "base/priv.h"
#include "xdp/fast_priv.h"

const char *fast_mode_name(enum fast_mode mode)
{
	static const char *const names[] = {
		[FAST_NONE] = "none", [FAST_NATIVE] = "native", [FAST_GENERIC] = "generic"
	};

	return names[mode];
}

static void refuse_all(struct fast *fast, const char *reason)
{
	for (size_t i = 0; i < fast->place_count; i++)
		fast_refuse(&fast->places[i], "%s", reason);
}

static const char *load_error(char out[static FAST_REASON_OCTETS], int err, const char *why)
{
	if (err == -EPERM || err == -EACCES)
		snprintf(out, FAST_REASON_OCTETS,
			 "no right to load it: it takes root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON");
	else if (err == -ENOSYS)
		snprintf(out, FAST_REASON_OCTETS, "this kernel has no bpf()");
	else
		snprintf(out, FAST_REASON_OCTETS, "the kernel does not load it: %s%s%.80s", strerror(-err),
			 why[0] ? ": " : "", why);
	return out;
}

/* Two numbers that nobody can foretell, and a grace period, without which no table could be written twice. */
static int program_prepare(struct fast *fast, char why[static EBPF_WHY_OCTETS])
{
	uint8_t secret[16];
	int err = fast_program_load(&fast->program, why);

	if (err)
		return err;
	if (getrandom(&fast->key, sizeof fast->key, 0) != sizeof fast->key ||
	    getrandom(secret, sizeof secret, 0) != sizeof secret)
		return -EIO;
	fast->homes_key = siphash_key_load(secret);
	fast_live_on(fast);
	err = fast_program_publish(fast->program);
	if (err)
		snprintf(why, EBPF_WHY_OCTETS, "membarrier()");
	return err;
}

struct ethernets {
	const uint32_t *ifindexes;
	bool found[CONF_MAX_INTERFACES];
	size_t count;
};

static void ethernet_note(void *ctx, const struct netlink_link *link)
{
	struct ethernets *ethernets = ctx;

	for (size_t i = 0; i < ethernets->count; i++)
		ethernets->found[i] |= link->is_ethernet && link->iface == ethernets->ifindexes[i];
}

/* Frames may leave through the interfaces that have the program. 0 or -errno. */
static int devices_add(struct fast *fast, const uint32_t *ifindexes)
{
	uint32_t attached[CONF_MAX_INTERFACES];
	size_t count = 0;
	int err = 0;

	for (size_t i = 0; !err && i < fast->place_count; i++) {
		if (fast->places[i].mode == FAST_NONE)
			continue;
		attached[count] = ifindexes[i];
		err = fast_program_add_device(fast->program, (uint8_t)count++, ifindexes[i]);
	}
	if (err)
		return err;
	fast->around = fast_around_new(attached, count);
	return fast->around ? 0 : -ENOMEM;
}

/* Gives up what is not to be had. */
static void give_up(struct fast *fast)
{
	fast_program_free(fast->program);
	fast->program = NULL;
}

/* The interface of another cidlb is left alone. */
static void pin_open(struct fast *fast, size_t i, uint32_t *ifindex)
{
	int err = 0;

	if (fast->linger_s > 0 && *ifindex)
		err = fast_pin_open(&fast->pins[i], *ifindex, fast->uid, fast->gid);
	if (err == -EBUSY)
		fast->taken[i] = true;
}

static void begin(struct fast *fast, const struct conf *conf)
{
	uint32_t ifindexes[CONF_MAX_INTERFACES];
	struct ethernets ethernets = { .ifindexes = ifindexes, .count = fast->place_count };
	char why[EBPF_WHY_OCTETS], reason[FAST_REASON_OCTETS];
	size_t attached = 0;
	int err = program_prepare(fast, why);

	if (err) {
		refuse_all(fast, load_error(reason, err, why));
		give_up(fast);
		return;
	}
	for (size_t i = 0; i < fast->place_count; i++)
		ifindexes[i] = host_iface(fast->places[i].name);
	err = netlink_open_all(&fast->netlink);
	if (!err)
		err = netlink_links(fast->netlink, ethernet_note, &ethernets);
	for (size_t i = 0; !err && i < fast->place_count; i++)
		pin_open(fast, i, &ifindexes[i]);
	if (!err) {
		fast_attach(fast, conf->fast.attach, ifindexes, ethernets.found);
		err = devices_add(fast, ifindexes);
	}
	if (err) {
		snprintf(reason, sizeof reason, "the network is not known: %s", strerror(-err));
		refuse_all(fast, reason);
	}
	for (size_t i = 0; i < fast->place_count; i++)
		attached += fast->places[i].mode != FAST_NONE;
	if (attached > 0) {
		fast_cache_open(fast);
		return;
	}
	for (size_t i = 0; i < fast->place_count; i++)
		fast_pin_close(&fast->pins[i]);
	give_up(fast);
}

static void tell_refused(const struct fast_place *place)
{
	log_fields(&(struct log_what){ LOG_LEVEL_ERROR, "fast_path", NULL, NULL,
				       LOG_FIELDS(LOG_TEXT("interface", place->name), LOG_TEXT("mode", "none"),
						  LOG_TEXT("reason", place->reason)) },
		   "not on %s: %s. The sockets do it all there", place->name, place->reason);
}

static void tell_attached(const struct fast_place *place, bool only_generic)
{
	log_fields(&(struct log_what){ only_generic ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "fast_path", NULL, NULL,
				       LOG_FIELDS(LOG_TEXT("interface", place->name),
						  LOG_TEXT("mode", fast_mode_name(place->mode))) },
		   "on %s: %s%s", place->name, fast_mode_name(place->mode),
		   only_generic ? ", because not every driver has native XDP; that costs more" : "");
}

/* Where all have the same reason it is one line. */
static void tell(const struct fast *fast, enum conf_attach how)
{
	if (!fast->program) {
		bool same = true;

		for (size_t i = 1; i < fast->place_count; i++)
			same &= strcmp(fast->places[i].reason, fast->places[0].reason) == 0;
		if (same) {
			log_fields(&(struct log_what){ LOG_LEVEL_ERROR, "fast_path", NULL, NULL,
						       LOG_FIELDS(LOG_TEXT("mode", "none"),
								  LOG_TEXT("reason", fast->places[0].reason)) },
				   "there is none: %s. The sockets do it all", fast->places[0].reason);
			return;
		}
	}
	for (size_t i = 0; i < fast->place_count; i++) {
		const struct fast_place *place = &fast->places[i];

		if (place->mode == FAST_NONE)
			tell_refused(place);
		else
			tell_attached(place, place->mode == FAST_GENERIC && how == ATTACH_AUTO);
	}
}

int fast_new(struct fast **out, const struct conf *conf, struct worker *const *workers, unsigned worker_count,
	     struct fast_links *left)
{
	struct fast *fast = calloc(1, sizeof *fast);

	if (!fast)
		return -ENOMEM;
	fast->uid = geteuid();
	fast->gid = getegid();
	(void)priv_owner(conf->user, &fast->uid, &fast->gid);
	fast->linger_s = conf->fast.linger_s;
	fast->workers = workers;
	fast->worker_count = worker_count;
	fast->asker[IO_V4] = fast->asker[IO_V6] = -1;
	fast->place_count = conf->fast.interface_count;
	for (size_t i = 0; i < fast->place_count; i++)
		memcpy(fast->places[i].name, conf->fast.interfaces[i], sizeof fast->places[i].name);
	for (size_t i = 0; i < CONF_MAX_INTERFACES; i++)
		fast->pins[i] = FAST_NO_PIN;
	fast->left = left;
	begin(fast, conf);
	fast->left = NULL;
	tell(fast, conf->fast.attach);
	*out = fast;
	return 0;
}

void fast_free(struct fast *fast)
{
	if (!fast)
		return;
	for (unsigned i = 0; i < fast->worker_count; i++)
		worker_lend_cid_cache(fast->workers[i], NULL);
	for (size_t i = 0; i < fast->place_count; i++)
		fast_pin_close(&fast->pins[i]);
	fast_program_free(fast->program);
	fast_net_close(fast);
	free(fast);
}

const struct fast_place *fast_places(const struct fast *fast, size_t *count)
{
	*count = fast->place_count;
	return fast->places;
}
