/* What a Redis or Valkey server says, read by hiredis within bounds.
 *
 * Of hiredis only the parser of replies is used (read.h), with libevent's own connections (redis_link.h). Its
 * asynchronous connections end this process by assert() when a server answers what nobody asked (seen with 0.14.1 and
 * 1.2.0), hold as much as a server likes to send before a reply is whole, and keep copies of the password.
 *
 * The server is a remote party. A reply has at most REDIS_REPLY_OCTETS, its arrays have REDIS_REPLY_ITEMS items in all,
 * and are REDIS_REPLY_DEPTH deep: what hiredis holds of it is some ten times REDIS_REPLY_OCTETS, at most.
 */
#ifndef CIDLB_LEARNED_REDIS_READER_H
#define CIDLB_LEARNED_REDIS_READER_H

#include <stdbool.h>
#include <stddef.h>

#include <hiredis/hiredis.h>

enum {
	REDIS_REPLY_OCTETS = 1 << 20,
	REDIS_REPLY_ITEMS = 1 << 16,
	REDIS_REPLY_DEPTH = 7, /* what hiredis 0.14 has room for */
};

/* The members are for redis_reader.c. */
struct redis_reader {
	redisReader *replies;
	redisReplyObjectFunctions makes, *usual; /* objects: within the bounds, and as hiredis does */
	size_t octets;                           /* since the last reply that was whole */
	size_t items;                            /* of the arrays of the reply that is being read */
	bool refused;                            /* it is beyond the bounds */
};

/* It must not be moved. 0 or -ENOMEM. */
int redis_reader_begin(struct redis_reader *reader);
void redis_reader_end(struct redis_reader *reader);

/* The next octets that came: not many of them, and all replies are taken before the next ones. 0 or -ENOMEM. */
int redis_reader_feed(struct redis_reader *reader, const void *octets, size_t len);

/* 1: *out is the next reply, for freeReplyObject(). 0: none is whole. -EBADMSG: it is none, or beyond the bounds;
 * -ENOMEM. Then nothing else is to be had of the reader. */
int redis_reader_take(struct redis_reader *reader, redisReply **out);

#endif
