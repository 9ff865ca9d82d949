#include "learned/redis_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "base/clock.h"
#include "base/sockaddr.h"
#include "learned/redis_reader.h"

enum {
	STEADY_MS = 10000, /* ready for so long: the next failure is a first one */
	AT_ONCE_OCTETS = 16384,
};

enum state { CLOSED, CONNECTING, GREETING, READY };

struct redis_link {
	struct event_base *base;
	const struct redis_link_calls *calls;
	void *ctx;
	const struct conf_redis *server;
	struct bufferevent *link; /* NULL: there is none */
	struct redis_reader reader;
	struct event *retry;
	enum state state;
	unsigned greetings; /* replies of the greeting that are still to come */
	unsigned asked;     /* replies that are */
	unsigned retry_ms;
	uint64_t ready_ms; /* when it became ready */
	bool short_of_memory;
};

static void connect_now(struct redis_link *link);

const char *redis_error_text(const redisReply *error)
{
	static const struct {
		const char *word, *text;
	} known[] = {
		{ "WRONGPASS", "refuses the user or the password (WRONGPASS)" },
		{ "NOAUTH", "wants a password (NOAUTH)" },
		{ "NOPERM", "the user lacks a right: XADD, XRANGE, XREAD and PING are needed (NOPERM)" },
		{ "OOM", "is full (OOM)" },
		{ "LOADING", "is loading its data (LOADING)" },
		{ "READONLY", "is a replica, which takes nothing (READONLY)" },
		{ "MISCONF", "cannot save, and takes nothing (MISCONF)" },
		{ "MASTERDOWN", "is a replica without its primary (MASTERDOWN)" },
		{ "NOREPLICAS", "has too few replicas, and takes nothing (NOREPLICAS)" },
		{ "BUSY", "is busy with a script (BUSY)" },
		{ "WRONGTYPE",
		  "the key of a pool is not a stream: redis.prefix is used by something else (WRONGTYPE)" },
		{ "MOVED", "is a node of a cluster that has the keys elsewhere (MOVED)" },
		{ "CLUSTERDOWN", "its cluster is down (CLUSTERDOWN)" },
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		const size_t len = strlen(known[i].word);

		if (error->len >= len && memcmp(error->str, known[i].word, len) == 0 &&
		    (error->len == len || error->str[len] == ' '))
			return known[i].text;
	}
	return "answers with an error";
}

static void hang_up(struct redis_link *link)
{
	if (link->link)
		bufferevent_free(link->link);
	link->link = NULL;
	redis_reader_end(&link->reader);
	link->state = CLOSED;
	link->asked = 0;
	link->short_of_memory = false;
}

/* The wait of nodes that failed together must not end together: up to a quarter more. */
static void try_later(struct redis_link *link)
{
	unsigned ms;

	if (link->ready_ms > 0 && clock_ms() - link->ready_ms > STEADY_MS)
		link->retry_ms = 0;
	link->retry_ms = link->retry_ms ? link->retry_ms * 2 : REDIS_RETRY_MS;
	if (link->retry_ms > REDIS_RETRY_MAX_MS)
		link->retry_ms = REDIS_RETRY_MAX_MS;
	ms = link->retry_ms + (unsigned)(clock_us() % (link->retry_ms / 4));
	event_add(link->retry, &(const struct timeval){ ms / 1000, (suseconds_t)(ms % 1000) * 1000 });
}

static void fail(struct redis_link *link, const char *reason)
{
	hang_up(link);
	try_later(link);
	link->ready_ms = 0;
	link->calls->down(link->ctx, reason);
}

static void on_retry(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	connect_now(ctx);
}

struct redis_word redis_text(const char *text)
{
	return (struct redis_word){ .octets = text, .len = strlen(text) };
}

/* The password may be among them. */
static void forget(const void *command, size_t len, void *ctx)
{
	(void)ctx;
	explicit_bzero((void *)command, len);
	redisFreeCommand((char *)command);
}

void redis_link_ask(struct redis_link *link, const struct redis_word *words, size_t count)
{
	const char *octets[REDIS_WORDS];
	size_t lens[REDIS_WORDS];
	char *command;
	long long len;

	if (!link->link)
		return;
	link->asked++;
	for (size_t i = 0; i < count; i++) {
		octets[i] = words[i].octets;
		lens[i] = words[i].len;
	}
	len = redisFormatCommandArgv(&command, (int)count, octets, lens);
	if (len < 0) {
		link->short_of_memory = true;
	} else if (evbuffer_add_reference(bufferevent_get_output(link->link), command, (size_t)len, forget, NULL) < 0) {
		link->short_of_memory = true;
		forget(command, (size_t)len, NULL);
	}
}

static void greet(struct redis_link *link)
{
	const struct conf_redis *server = link->server;
	const struct redis_word ping = redis_text("PING");
	struct redis_word words[3] = { redis_text("AUTH") };
	size_t count = 1;

	link->state = GREETING;
	link->greetings = 1;
	if (server->password_len > 0) {
		if (server->user)
			words[count++] = redis_text(server->user);
		words[count++] = (struct redis_word){ server->password, server->password_len };
		redis_link_ask(link, words, count);
		link->greetings++;
	}
	redis_link_ask(link, &ping, 1);
}

/* NULL, or why the greeting has failed. */
static const char *greeted(struct redis_link *link, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR && reply->len >= 3 && memcmp(reply->str, "ERR", 3) == 0)
		return "has no password, or no such user, and refuses to be given one (ERR)";
	if (reply->type == REDIS_REPLY_ERROR)
		return redis_error_text(reply);
	if (reply->type != REDIS_REPLY_STATUS)
		return "answers what no Redis does";
	if (--link->greetings > 0)
		return NULL;
	link->state = READY;
	link->ready_ms = clock_ms();
	link->calls->ready(link->ctx);
	return NULL;
}

/* NULL, or why what has come is a failure. `owed`: replies that are still to come. */
static const char *take_replies(struct redis_link *link, unsigned *owed)
{
	const char *fault = NULL;
	redisReply *reply;
	int taken = 0;

	while (!fault && (taken = redis_reader_take(&link->reader, &reply)) > 0) {
		if (*owed == 0)
			fault = "answers what nobody asked";
		else
			fault = link->state == GREETING ? greeted(link, reply) : link->calls->reply(link->ctx, reply);
		freeReplyObject(reply);
		if (fault)
			break;
		--*owed;
		link->asked--;
	}
	if (taken == -ENOMEM)
		fault = "out of memory";
	else if (taken < 0)
		fault = "answers what no Redis does, or more than 1 MiB at once";
	return fault;
}

static void on_read(struct bufferevent *bev, void *ctx)
{
	struct redis_link *link = ctx;
	struct evbuffer *in = bufferevent_get_input(bev);
	unsigned owed = link->asked; /* what is asked from here on has no reply yet */
	const char *fault = NULL;
	uint8_t octets[AT_ONCE_OCTETS];
	int len;

	while (!fault && (len = evbuffer_remove(in, octets, sizeof octets)) > 0)
		fault = redis_reader_feed(&link->reader, octets, (size_t)len) < 0 ? "out of memory"
										  : take_replies(link, &owed);
	if (!fault && link->short_of_memory)
		fault = "out of memory";
	if (fault)
		fail(link, fault);
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
	struct redis_link *link = ctx;
	const int error = EVUTIL_SOCKET_ERROR();
	char reason[REDIS_REASON_OCTETS];

	(void)bev;
	if (what & BEV_EVENT_CONNECTED) {
		greet(link);
		return;
	}
	if (what & BEV_EVENT_TIMEOUT)
		snprintf(reason, sizeof reason, "does not %s",
			 link->state == CONNECTING ? "take connections" : "answer");
	else if (what & BEV_EVENT_EOF)
		snprintf(reason, sizeof reason, "has closed the connection");
	else
		snprintf(reason, sizeof reason, "%s", strerror(error));
	fail(link, reason);
}

static void connect_now(struct redis_link *link)
{
	static const struct timeval silence = { .tv_sec = REDIS_SILENCE_S };
	struct sockaddr_storage sa;
	const socklen_t len = sockaddr_write(&sa, &link->server->addr);

	link->state = CONNECTING;
	link->link = bufferevent_socket_new(link->base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!link->link || redis_reader_begin(&link->reader) < 0) {
		fail(link, "out of memory");
		return;
	}
	bufferevent_setcb(link->link, on_read, NULL, on_event, link);
	bufferevent_set_timeouts(link->link, &silence, &silence);
	if (bufferevent_enable(link->link, EV_READ | EV_WRITE) < 0 ||
	    bufferevent_socket_connect(link->link, (struct sockaddr *)&sa, (int)len) < 0)
		fail(link, strerror(EVUTIL_SOCKET_ERROR()));
}

struct redis_link *redis_link_new(struct event_base *base, const struct redis_link_calls *calls, void *ctx)
{
	struct redis_link *link = calloc(1, sizeof *link);

	if (!link)
		return NULL;
	link->base = base;
	link->calls = calls;
	link->ctx = ctx;
	link->retry = evtimer_new(base, on_retry, link);
	if (link->retry)
		return link;
	free(link);
	return NULL;
}

void redis_link_free(struct redis_link *link)
{
	if (!link)
		return;
	hang_up(link);
	event_free(link->retry);
	free(link);
}

void redis_link_open(struct redis_link *link, const struct conf_redis *server)
{
	redis_link_close(link);
	link->server = server;
	link->retry_ms = 0;
	connect_now(link);
}

void redis_link_close(struct redis_link *link)
{
	hang_up(link);
	(void)event_del(link->retry);
	link->server = NULL;
}
