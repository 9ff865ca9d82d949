/* The program on its interfaces, and what keeps it there for the next cidlb. While cidlb is root. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "xdp/fast_priv.h"

void fast_refuse(struct fast_place *place, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(place->reason, sizeof place->reason, format, args);
	va_end(args);
	place->mode = FAST_NONE;
}

static void attach_error(struct fast_place *place, int err)
{
	if (err == -EBUSY || err == -EEXIST)
		fast_refuse(place, "another XDP program is on it (`ip link` shows it)");
	else if (err == -EOPNOTSUPP || err == -EINVAL)
		fast_refuse(place,
			    "its driver does not take it: %s; attach = \"generic\" works everywhere, and costs more",
			    strerror(-err));
	else
		fast_refuse(place, "%s", strerror(-err));
}

static const char *pin_name(enum ebpf_attach how)
{
	return how == EBPF_GENERIC ? "generic" : "native";
}

/* The link in the bpf file system, or -errno. */
static int pinned(const struct fast_pin *pin, const char *mode)
{
	char path[FAST_PIN_PATH_OCTETS];

	return fast_pin_has(pin, mode) ? fast_link_open(fast_pin_path(path, pin, mode)) : -ENOENT;
}

/* Takes away what is kept there. Without the file alone it would be gone only after a while. */
static void pinned_end(const struct fast_pin *pin, const char *mode)
{
	const int link = pinned(pin, mode);

	if (link >= 0)
		fast_link_end(link);
	fast_pin_remove(pin, mode);
}

/* True: the link in the bpf file system is taken over. */
static bool adopt_pinned(struct fast *fast, const struct fast_pin *pin, enum ebpf_attach how)
{
	const int link = pinned(pin, pin_name(how));

	if (link < 0)
		return false;
	if (fast_program_adopt(fast->program, link) == 0)
		return true;
	close(link);
	return false;
}

/* What was left with systemd of this interface is the link that has been taken over: cidlb was killed before it had
 * told systemd so. To end it would take the program away. */
static void left_close(struct fast *fast, uint32_t ifindex)
{
	for (size_t i = 0; i < fast->left->count; i++) {
		struct fast_link *link = &fast->left->at[i];

		if (link->fd < 0 || fast_link_ifindex(link->fd) != ifindex)
			continue;
		close(link->fd);
		link->fd = -1;
	}
}

/* True: the link that was left with systemd is. One of another kind is ended. Which interface it is of is for the
 * kernel to say: since then it may have another name, and another one its name. */
static bool adopt_left(struct fast *fast, uint32_t ifindex, enum ebpf_attach how)
{
	for (size_t i = 0; i < fast->left->count; i++) {
		struct fast_link *link = &fast->left->at[i];
		bool adopted;

		if (link->fd < 0 || fast_link_ifindex(link->fd) != ifindex)
			continue;
		adopted = strcmp(fast_mode_name(link->mode), pin_name(how)) == 0 &&
			  fast_program_adopt(fast->program, link->fd) == 0;
		if (!adopted)
			fast_link_end(link->fd);
		link->fd = -1;
		if (adopted)
			return true;
	}
	return false;
}

/* Takes over the link that a cidlb before this one has left, or makes one, and keeps it if that is to be had. Returns
 * the mode or -errno. */
static int attach_one(struct fast *fast, size_t i, uint32_t ifindex, enum ebpf_attach how)
{
	const struct fast_pin *pin = &fast->pins[i];
	char path[FAST_PIN_PATH_OCTETS];
	int mode = (int)how;

	if (adopt_pinned(fast, pin, how)) {
		left_close(fast, ifindex);
		return mode;
	}
	/* What is there is of another kind, or of an interface that is gone. */
	pinned_end(pin, "native");
	pinned_end(pin, "generic");
	if (!adopt_left(fast, ifindex, how))
		mode = fast_program_attach(fast->program, ifindex, how);
	if (mode >= 0 && pin->directory >= 0)
		(void)fast_program_pin(fast->program, fast_pin_path(path, pin, pin_name(how)));
	return mode;
}

/* Attaches it to those interfaces that are an Ethernet. True: it could not be natively on one of them. */
static bool attach_all(struct fast *fast, const uint32_t *ifindexes, const bool *usable, enum ebpf_attach how)
{
	bool refused = false;

	for (size_t i = 0; i < fast->place_count; i++) {
		struct fast_place *place = &fast->places[i];
		int mode;

		if (fast->taken[i]) {
			attach_error(place, -EBUSY);
			continue;
		}
		if (!usable[i]) {
			fast_refuse(place, ifindexes[i] ? "it is no Ethernet" : "there is no such interface");
			continue;
		}
		mode = attach_one(fast, i, ifindexes[i], how);
		if (mode >= 0)
			place->mode = mode == EBPF_NATIVE ? FAST_NATIVE : FAST_GENERIC;
		else
			attach_error(place, mode);
		refused |= mode < 0 && mode != -EBUSY && mode != -EEXIST;
	}
	return refused;
}

void fast_attach(struct fast *fast, enum conf_attach how, const uint32_t *ifindexes, const bool *usable)
{
	if (how == ATTACH_GENERIC) {
		(void)attach_all(fast, ifindexes, usable, EBPF_GENERIC);
		return;
	}
	if (!attach_all(fast, ifindexes, usable, EBPF_NATIVE) || how == ATTACH_NATIVE)
		return;
	fast_program_detach(fast->program);
	for (size_t i = 0; i < fast->place_count; i++)
		fast_pin_remove(&fast->pins[i], "native");
	(void)attach_all(fast, ifindexes, usable, EBPF_GENERIC);
}

void fast_links_end(struct fast_links *left)
{
	for (size_t i = 0; i < left->count; i++)
		if (left->at[i].fd >= 0)
			fast_link_end(left->at[i].fd);
	left->count = 0;
}

void fast_links_get(const struct fast *fast, struct fast_links *out)
{
	out->count = 0;
	for (size_t i = 0; i < fast->place_count; i++) {
		const struct fast_place *place = &fast->places[i];
		struct fast_link *link = &out->at[out->count];

		if (place->mode == FAST_NONE || fast->linger_s == 0)
			continue;
		link->mode = place->mode;
		memcpy(link->name, place->name, sizeof link->name);
		link->fd = fast_program_link(fast->program, out->count++);
	}
}
