#include "learned/redis_reader.h"

#include <errno.h>

#if HIREDIS_MAJOR < 1
typedef int redis_count;
#else
typedef size_t redis_count;
#endif

/* hiredis makes room for an array as soon as it is told how many items are to come. */
static void *make_array(const redisReadTask *task, redis_count count)
{
	struct redis_reader *reader = task->privdata;
	unsigned depth = 1;

	if (!task->parent)
		reader->items = 0;
	for (const redisReadTask *up = task->parent; up; up = up->parent)
		depth++;
	if (depth > REDIS_REPLY_DEPTH || (size_t)count > REDIS_REPLY_ITEMS - reader->items) {
		reader->refused = true;
		return NULL;
	}
	reader->items += (size_t)count;
	return reader->usual->createArray(task, count);
}

int redis_reader_begin(struct redis_reader *reader)
{
	*reader = (struct redis_reader){ .replies = redisReaderCreate() };
	if (!reader->replies)
		return -ENOMEM;
	reader->usual = reader->replies->fn;
	reader->makes = *reader->usual;
	reader->makes.createArray = make_array;
	reader->replies->fn = &reader->makes;
	reader->replies->privdata = reader;
	return 0;
}

void redis_reader_end(struct redis_reader *reader)
{
	if (reader->replies)
		redisReaderFree(reader->replies);
	reader->replies = NULL;
}

int redis_reader_feed(struct redis_reader *reader, const void *octets, size_t len)
{
	reader->octets += len;
	return redisReaderFeed(reader->replies, octets, len) == REDIS_OK ? 0 : -ENOMEM;
}

int redis_reader_take(struct redis_reader *reader, redisReply **out)
{
	void *reply = NULL;

	if (redisReaderGetReply(reader->replies, &reply) != REDIS_OK)
		return reader->replies->err == REDIS_ERR_OOM && !reader->refused ? -ENOMEM : -EBADMSG;
	if (!reply)
		return reader->octets > REDIS_REPLY_OCTETS ? -EBADMSG : 0;
	reader->octets = 0;
	*out = reply;
	return 1;
}
