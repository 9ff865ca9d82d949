#include "start/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "common/plural.h"
#include "control/carry.h"
#include "control/control.h"
#include "control/sockets.h"
#include "start/notify.h"
#include "xdp/fast.h"

enum { FIRST_FD = 3, NAME_OCTETS = 96 };

static const char FLOWS[] = "flows", PORTS[] = "p" /* of which there may be many */, LINK[] = "xdp";

/* What systemd has. */
struct kept {
	char name[NAME_OCTETS];
	dev_t dev;
	ino_t ino;
	int fd;      /* -1: it is somebody else's here */
	bool wanted; /* by the sync that is under way */
};

struct store {
	struct notify *notify;
	struct kept *kept;
	size_t count;
	/* Files of flows. -1: none. The new one is made before system calls are taken away. */
	int left_flows, new_flows;
};

/* NULL: out of memory. */
static struct kept *add(struct store *store, const char *name, const struct stat *file)
{
	struct kept *more = realloc(store->kept, (store->count + 1) * sizeof *more);

	if (!more)
		return NULL;
	store->kept = more;
	more[store->count] = (struct kept){ .dev = file->st_dev, .ino = file->st_ino, .fd = -1 };
	snprintf(more[store->count].name, sizeof more->name, "%s", name);
	return &more[store->count++];
}

/* The next of the names that are separated by colons; NULL: there are no more. */
static const char *next_name(char **names)
{
	return *names ? strsep(names, ":") : NULL;
}

static int take_over(struct store *store)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
	const int count = pid && fds && strtol(pid, NULL, 10) == (long)getpid() ? (int)strtol(fds, NULL, 10) : 0;
	char *all = strdup(names ? names : ""), *rest = all;
	int err = all ? 0 : -ENOMEM;

	for (int fd = FIRST_FD; !err && fd < FIRST_FD + count; fd++) {
		const char *name = next_name(&rest);
		struct stat file;
		struct kept *kept;

		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fstat(fd, &file) < 0)
			continue;
		kept = add(store, name ? name : "", &file);
		if (kept)
			kept->fd = fd;
		else
			err = -ENOMEM;
	}
	free(all);
	return err;
}

static void file_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int store_new(struct store **out, struct notify *notify)
{
	struct store *store = calloc(1, sizeof *store);
	int err;

	if (!store)
		return -ENOMEM;
	store->notify = notify;
	store->left_flows = -1;
	store->new_flows = notify ? memfd_create("cidlb flows", MFD_CLOEXEC) : -1;
	err = take_over(store);
	if (err)
		store_free(store);
	else
		*out = store;
	return err;
}

void store_free(struct store *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < store->count; i++)
		file_close(&store->kept[i].fd);
	file_close(&store->left_flows);
	file_close(&store->new_flows);
	free(store->kept);
	free(store);
}

/* False: it is none of ours. */
static bool kind_of(const char *name, enum slot_kind *kind)
{
	for (*kind = 0; *kind <= SLOT_TUNNEL; (*kind)++) {
		const size_t len = strlen(slot_kind_name(*kind));

		if (strncmp(name, slot_kind_name(*kind), len) == 0 && name[len] == ' ')
			return true;
	}
	return false;
}

/* As "xdp native ens3". */
static bool is_link(const char *name)
{
	return strncmp(name, LINK, sizeof LINK - 1) == 0 && name[sizeof LINK - 1] == ' ';
}

void store_hand_over(struct store *store, struct control *control)
{
	size_t sockets = 0;

	for (size_t i = 0; i < store->count; i++) {
		struct kept *kept = &store->kept[i];
		enum slot_kind kind;

		if (kind_of(kept->name, &kind)) {
			sockets_inherit(control_sockets(control), kind, kept->fd);
			sockets++;
		} else if (strcmp(kept->name, PORTS) == 0 || is_link(kept->name)) {
			continue;
		} else if (strcmp(kept->name, FLOWS) == 0 && store->left_flows < 0) {
			store->left_flows = kept->fd;
		} else {
			log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "inherited", NULL, NULL,
						       LOG_FIELDS(LOG_TEXT("what", kept->name)) },
				   "descriptor \"%s\" is of no use here", kept->name);
			close(kept->fd);
		}
		kept->fd = -1;
	}
	if (sockets > 0)
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "inherited", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("what", "sockets"), LOG_NUMBER("count", sockets)) },
			   "%zu socket%s of the cidlb before, with what waits there", sockets, PLURAL(sockets));
}

static struct kept *find_file(const struct store *store, const struct stat *file)
{
	for (size_t i = 0; i < store->count; i++)
		if (store->kept[i].dev == file->st_dev && store->kept[i].ino == file->st_ino)
			return &store->kept[i];
	return NULL;
}

static bool has_name(const struct store *store, const char *name)
{
	for (size_t i = 0; i < store->count; i++)
		if (strcmp(store->kept[i].name, name) == 0)
			return true;
	return false;
}

/* As "listener 192.0.2.1-5684 0": systemd takes no colons. Sockets of a group have the same address and another
 * number. */
static void name_make(char out[static NAME_OCTETS], const struct store *store, enum slot_kind kind,
		      const struct addr *addr)
{
	char text[ADDR_TEXT_OCTETS];
	unsigned number = 0;

	addr_format(addr, text);
	for (char *at = text; *at; at++)
		if (*at == ':')
			*at = '-';
	do
		snprintf(out, NAME_OCTETS, "%s %s %u", slot_kind_name(kind), text, number++);
	while (has_name(store, out));
}

static void keep(void *ctx, enum slot_kind kind, const struct addr *addr, int fd)
{
	struct store *store = ctx;
	char name[NAME_OCTETS], state[NAME_OCTETS + 64];
	struct stat file;
	struct kept *kept;

	if (fstat(fd, &file) < 0)
		return;
	kept = find_file(store, &file);
	if (!kept) {
		name_make(name, store, kind, addr);
		/* An ICMP error at a socket is no reason to give it up. */
		snprintf(state, sizeof state, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
		kept = notify_send_fds(store->notify, state, &fd, 1) == 0 ? add(store, name, &file) : NULL;
	}
	if (kept)
		kept->wanted = true;
}

/* All that have the name of this one. */
static void let_go(struct store *store, const struct kept *kept)
{
	char name[NAME_OCTETS], state[NAME_OCTETS + 64];

	memcpy(name, kept->name, sizeof name);
	snprintf(state, sizeof state, "FDSTOREREMOVE=1\nFDNAME=%s", name);
	(void)notify_send(store->notify, state, NOTIFY_WAIT);
	for (size_t i = store->count; i-- > 0;)
		if (strcmp(store->kept[i].name, name) == 0)
			store->kept[i] = store->kept[--store->count];
}

static struct kept *find_unwanted(const struct store *store)
{
	for (size_t i = 0; i < store->count; i++)
		if (!store->kept[i].wanted)
			return &store->kept[i];
	return NULL;
}

void store_sync(struct store *store, const struct control *control)
{
	const struct kept *unwanted;

	if (!store->notify)
		return;
	for (size_t i = 0; i < store->count; i++)
		store->kept[i].wanted = false;
	sockets_visit(control_sockets(control), keep, store);
	while ((unwanted = find_unwanted(store)))
		let_go(store, unwanted);
}

static void load_ports(struct store *store, struct control *control)
{
	size_t taken = 0;

	for (size_t i = 0; i < store->count; i++) {
		if (store->kept[i].fd < 0 || is_link(store->kept[i].name))
			continue;
		taken += carry_port_take(control, store->kept[i].fd);
		store->kept[i].fd = -1;
	}
	if (taken > 0)
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "inherited", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("what", "ports"), LOG_NUMBER("count", taken)) },
			   "%zu port%s of sessions of the cidlb before", taken, PLURAL(taken));
}

void store_load_flows(struct store *store, struct control *control)
{
	struct carry_outcome came;

	load_ports(store, control);
	if (store->left_flows < 0)
		return;
	if (carry_load(control, store->left_flows, &came))
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "inherited", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("what", FLOWS), LOG_TEXT("error", came.fault)) },
			   "the flow table of the cidlb before is of no use: %s; sessions go on by their CIDs",
			   came.fault);
	else
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "inherited", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("what", FLOWS), LOG_NUMBER("of", came.flows),
							  LOG_NUMBER("count", came.restored)) },
			   "the flow table of the cidlb before: %" PRIu64 " of its %" PRIu64 " flow%s", came.restored,
			   came.flows, PLURAL(came.flows));
	file_close(&store->left_flows);
}

/* What goes to systemd in one message. */
struct parcel {
	struct store *store;
	int fds[NOTIFY_FDS];
	size_t count;
};

static void parcel_send(struct parcel *parcel)
{
	char state[64];

	snprintf(state, sizeof state, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", PORTS);
	if (parcel->count > 0)
		(void)notify_send_fds(parcel->store->notify, state, parcel->fds, parcel->count);
	parcel->count = 0;
}

static void parcel_add(void *ctx, int fd)
{
	struct parcel *parcel = ctx;

	if (parcel->count == NOTIFY_FDS)
		parcel_send(parcel);
	parcel->fds[parcel->count++] = fd;
}

void store_save_flows(struct store *store, struct control *control)
{
	char state[64];
	int err;

	if (store->new_flows < 0)
		return;
	err = carry_save(control, store->new_flows);
	snprintf(state, sizeof state, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", FLOWS);
	if (!err)
		err = notify_send_fds(store->notify, state, &store->new_flows, 1);
	if (err)
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "systemd", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("what", FLOWS), LOG_TEXT("error", strerror(-err))) },
			   "the flow table cannot be kept: %s", strerror(-err));
}

void store_save_ports(struct store *store, struct control *control)
{
	struct parcel parcel = { .store = store };

	if (store->new_flows < 0)
		return;
	carry_ports_visit(control, parcel_add, &parcel);
	parcel_send(&parcel);
}

static bool link_read(struct fast_link *out, const char *name)
{
	char mode[NAME_OCTETS], interface[NAME_OCTETS];

	if (sscanf(name + sizeof LINK, "%s %s", mode, interface) != 2 || strlen(interface) >= sizeof out->name)
		return false;
	snprintf(out->name, sizeof out->name, "%s", interface);
	out->mode = strcmp(mode, fast_mode_name(FAST_GENERIC)) == 0 ? FAST_GENERIC : FAST_NATIVE;
	return true;
}

void store_load_links(struct store *store, struct fast_links *out)
{
	out->count = 0;
	for (size_t i = 0; i < store->count && out->count < CONF_MAX_INTERFACES; i++) {
		struct kept *kept = &store->kept[i];

		if (kept->fd < 0 || !is_link(kept->name) || !link_read(&out->at[out->count], kept->name))
			continue;
		out->at[out->count++].fd = kept->fd;
		kept->fd = -1;
	}
}

void store_save_links(struct store *store, const struct fast_links *links)
{
	char state[NAME_OCTETS];

	for (size_t i = 0; store->notify && i < links->count; i++) {
		const struct fast_link *link = &links->at[i];

		snprintf(state, sizeof state, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s %s %s", LINK, fast_mode_name(link->mode),
			 link->name);
		(void)notify_send_fds(store->notify, state, &link->fd, 1);
	}
}
