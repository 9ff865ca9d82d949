#include "health/nameservers.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <event2/dns.h>

#include "base/log.h"

/* By itself evdns asks three times for 5 s, which is too slow. It probes a nameserver that it takes for dead with a
 * question about google.com: not within the life of a question. */
_Static_assert(NAMESERVERS_TIMEOUT_MS == 1000, "as \"timeout:\" says");
_Static_assert(NAMESERVERS_ASKED == 2, "as \"attempts:\" says");
static const char *const dns_options[][2] = {
	{ "timeout:", "1" },
	{ "attempts:", "2" },
	{ "initial-probe-timeout:", "3600" },
	{ "randomize-case:", "1" },
};

/* What tells a file from another in its place. */
struct edition {
	dev_t device;
	ino_t inode;
	off_t octets;
	struct timespec modified;
};

struct nameservers {
	struct event_base *base;
	struct edition edition; /* of `file` */
	struct sockaddr_storage servers[NAMESERVERS_MAX];
	socklen_t lens[NAMESERVERS_MAX];
	unsigned count, first;   /* `first` is asked first */
	event_callback_fn reads; /* what evdns calls when a nameserver's socket is readable */
	char *file;
};

static void log_warning(int is_warning, const char *message)
{
	if (is_warning)
		log_event(LOG_LEVEL_WARNING, "dns", NULL, NULL, "%s", message);
}

/* Datagrams of strangers would be logged, too. */
static void log_nothing(int is_warning, const char *message)
{
	(void)is_warning;
	(void)message;
}

static struct edition edition_of(const char *file)
{
	struct stat is;

	if (stat(file, &is) < 0)
		return (struct edition){ 0 };
	return (struct edition){
		.device = is.st_dev, .inode = is.st_ino, .octets = is.st_size, .modified = is.st_mtim
	};
}

static bool edition_is(const struct edition *a, const struct edition *b)
{
	return a->device == b->device && a->inode == b->inode && a->octets == b->octets &&
	       a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec;
}

/* evdns reads the file, and gives 127.0.0.1 if it is not there or names nobody. */
static int servers_read(struct nameservers *nameservers)
{
	struct evdns_base *dns = evdns_base_new(nameservers->base, 0);
	unsigned count = 0;

	if (!dns)
		return -ENOMEM;
	evdns_set_log_fn(log_warning);
	(void)evdns_base_resolv_conf_parse(dns, DNS_OPTION_NAMESERVERS, nameservers->file);
	evdns_set_log_fn(log_nothing);
	while (count < NAMESERVERS_MAX) {
		struct sockaddr_storage *server = &nameservers->servers[count];
		const int len =
			evdns_base_get_nameserver_addr(dns, (int)count, (struct sockaddr *)server, sizeof *server);

		if (len <= 0)
			break;
		nameservers->lens[count++] = (socklen_t)len;
	}
	evdns_base_free(dns, 0);
	if (count == 0)
		return -EADDRNOTAVAIL;
	nameservers->count = count;
	nameservers->first = 0;
	return 0;
}

static int callback_take(const struct event_base *base, const struct event *event, void *ctx)
{
	event_callback_fn *out = ctx;

	(void)base;
	if (event_get_fd(event) >= 0)
		*out = event_get_callback(event);
	return 0;
}

/* evdns does not show its sockets. It is known by what it calls for them: on a loop of its own it has one event with a
 * descriptor. */
static int callback_learn(struct nameservers *nameservers)
{
	struct event_base *base = event_base_new();
	struct evdns_base *dns = base ? evdns_base_new(base, 0) : NULL;
	int err = -EADDRNOTAVAIL;

	if (!dns) {
		err = -ENOMEM;
	} else if (evdns_base_nameserver_sockaddr_add(dns, (const struct sockaddr *)&nameservers->servers[0],
						      nameservers->lens[0], 0) == 0) {
		(void)event_base_foreach_event(base, callback_take, &nameservers->reads);
		err = nameservers->reads ? 0 : -EADDRNOTAVAIL;
	}
	if (dns)
		evdns_base_free(dns, 0);
	if (base)
		event_base_free(base);
	return err;
}

struct server {
	const struct sockaddr *addr;
	socklen_t len;
	event_callback_fn reads;
	bool connected;
};

/* The sockets of all other questions are connected. */
static int socket_connect(const struct event_base *base, const struct event *event, void *ctx)
{
	struct server *server = ctx;
	struct sockaddr_storage peer;
	socklen_t len = sizeof peer;
	const int fd = event_get_fd(event);

	(void)base;
	if (fd < 0 || event_get_callback(event) != server->reads ||
	    getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
		return 0;
	server->connected = connect(fd, server->addr, server->len) == 0;
	return 1;
}

/* evdns looks at the address of who answers, and not at the port. Anybody on the nameserver's host may send from
 * another port. A connected socket gets nothing of that. */
static bool server_add(const struct nameservers *nameservers, struct evdns_base *dns, unsigned at)
{
	struct server server = { .addr = (const struct sockaddr *)&nameservers->servers[at],
				 .len = nameservers->lens[at],
				 .reads = nameservers->reads };

	if (evdns_base_nameserver_sockaddr_add(dns, server.addr, server.len, 0) != 0)
		return false;
	(void)event_base_foreach_event(nameservers->base, socket_connect, &server);
	return server.connected;
}

int nameservers_open(struct nameservers **out, struct event_base *base, const char *file)
{
	struct nameservers *nameservers = calloc(1, sizeof *nameservers);
	int err = -ENOMEM;

	if (!nameservers)
		return err;
	*nameservers = (struct nameservers){ .base = base, .edition = edition_of(file), .file = strdup(file) };
	if (nameservers->file)
		err = servers_read(nameservers);
	if (!err)
		err = callback_learn(nameservers);
	if (err)
		nameservers_free(nameservers);
	else
		*out = nameservers;
	return err;
}

/* Asks `count` nameservers, those from `first` on. NULL also if one of them cannot be asked. */
static struct evdns_base *dns_new(const struct nameservers *nameservers, unsigned first, unsigned count)
{
	struct evdns_base *dns = evdns_base_new(nameservers->base, 0);

	if (!dns)
		return NULL;
	/* The search list, which evdns can only read by itself. */
	(void)evdns_base_resolv_conf_parse(dns, DNS_OPTION_SEARCH, nameservers->file);
	for (size_t i = 0; i < sizeof dns_options / sizeof *dns_options; i++)
		(void)evdns_base_set_option(dns, dns_options[i][0], dns_options[i][1]);
	for (unsigned i = 0; i < count; i++) {
		if (server_add(nameservers, dns, (first + i) % nameservers->count))
			continue;
		evdns_base_free(dns, 0);
		return NULL;
	}
	return dns;
}

struct evdns_base *nameservers_ask(const struct nameservers *nameservers)
{
	const unsigned count = nameservers->count < NAMESERVERS_ASKED ? nameservers->count : NAMESERVERS_ASKED;
	struct evdns_base *dns = dns_new(nameservers, nameservers->first, count);

	/* There may be no route to one of them. */
	for (unsigned i = 0; !dns && i < nameservers->count; i++)
		dns = dns_new(nameservers, nameservers->first + i, 1);
	return dns;
}

void nameservers_turn(struct nameservers *nameservers)
{
	nameservers->first = (nameservers->first + 1) % nameservers->count;
}

bool nameservers_renew(struct nameservers *nameservers)
{
	const struct edition edition = edition_of(nameservers->file);

	if (edition_is(&edition, &nameservers->edition) || servers_read(nameservers) < 0)
		return false;
	nameservers->edition = edition;
	return true;
}

void nameservers_free(struct nameservers *nameservers)
{
	free(nameservers->file);
	free(nameservers);
}
