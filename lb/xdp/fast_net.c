/* Changes of the network, and the neighbours that the kernel would forget because it sends them nothing. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sockaddr.h"
#include "xdp/fast_priv.h"

enum {
	APART_MS = 1000, /* between two tables for changes of the network */
	LOOK_MS = 10000, /* between two looks while some neighbour was not seen lately */
	ASK_MS = 5000,   /* between two questions for such */
	DISCARD = 9,     /* RFC 863 */
};

bool fast_net_look(struct fast *fast)
{
	const int err = fast_around_read(fast->around, fast->netlink, fast->wanted, fast->in_use_count);

	if (err && !fast->net_failed)
		log_fields(&(struct log_what){ LOG_LEVEL_ERROR, "fast_path", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("error", strerror(-err))) },
			   "the kernel does not tell its routes: %s; the sockets do it all until it does",
			   strerror(-err));
	fast->net_failed = err;
	fast->net_changed = err;
	if (err)
		fast_rest(fast, FAST_REST_NETWORK);
	return !err;
}

/* Nothing is expected to come back, and what fails is tried again. */
static void ask_after(struct fast *fast, const struct addr *neighbour)
{
	int *asker = &fast->asker[addr_is_v4(neighbour) ? IO_V4 : IO_V6];
	struct sockaddr_storage name;
	struct addr to = *neighbour;
	socklen_t len;

	to.port = DISCARD;
	len = sockaddr_write(&name, &to);
	if (*asker < 0)
		*asker = socket(name.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*asker >= 0)
		(void)sendto(*asker, "", 0, MSG_DONTWAIT, (struct sockaddr *)&name, len);
}

bool fast_net_tick(struct fast *fast, uint64_t now_ms)
{
	const struct addr *stale;
	size_t count;

	if (netlink_read_changes(fast->netlink))
		fast->net_changed = true;
	stale = fast_around_stale(fast->around, &count);
	if (count > 0 && now_ms - fast->asked_ms >= ASK_MS) {
		fast->asked_ms = now_ms;
		for (size_t i = 0; i < count; i++)
			ask_after(fast, &stale[i]);
	}
	return now_ms - fast->filled_ms >= APART_MS &&
	       (fast->net_changed || (count > 0 && now_ms - fast->filled_ms >= LOOK_MS));
}

void fast_net_close(struct fast *fast)
{
	for (size_t family = 0; family < IO_FAMILIES; family++)
		if (fast->asker[family] >= 0)
			close(fast->asker[family]);
	fast_around_free(fast->around);
	netlink_close(fast->netlink);
}
