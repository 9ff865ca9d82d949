#include "bench/programs/backend/handover.h"

#include <errno.h>
#include <string.h>

#include <mbedtls/platform_util.h>

#include "bench/lib/clock.h"
#include "bench/programs/backend/pack.h"
#include "bench/programs/backend/peer.h"
#include "bench/programs/backend/sessions_file.h"

/* The content: CID length 1 | SHA-256 of the PSK identity 32 | for each session, the least recently used first,
 *   length 2 and CID | server id in it 4 | found by its address 1 | address 16 | port 2 |
 *   random of the ClientHello 32 | address changes 8 |
 *   length 2 | session | responder
 */
enum {
	HEAD_OCTETS = 1 + 32,
	SESSION_OCTETS = 4096, /* several times what a PSK session takes */
	LENGTH_OCTETS = 2,
	ID_OCTETS = 4,
};

static int make_head(uint8_t out[static HEAD_OCTETS], const struct server_options *options)
{
	out[0] = options->cid.length;
	return mbedtls_sha256((const uint8_t *)options->psk_identity, strlen(options->psk_identity), out + 1, 0) ? -EIO
														 : 0;
}

/* A failure leaves the session as it was, unless session_save() lost it. */
static int save_peer(struct peer *peer, struct pack *out)
{
	struct server *server = peer->server;
	uint8_t saved[SESSION_OCTETS];
	size_t len;

	int err = session_save(peer->session, saved, sizeof saved, &len);
	if (!err) {
		pack_octets(out, peer->cid, server->cid.length);
		pack_number(out, peer->id, ID_OCTETS);
		pack_number(out, table_find_addr(&server->table, &peer->addr) == peer, 1);
		pack_octets(out, peer->addr.ip, sizeof peer->addr.ip);
		pack_number(out, peer->addr.port, 2);
		pack_octets(out, peer->hello_random, sizeof peer->hello_random);
		pack_number(out, peer->address_changes, 8);
		pack_number(out, len, LENGTH_OCTETS);
		pack_octets(out, saved, len);
		responder_save(&peer->responder, out, server->now_ms);
		err = out->full ? -ENOSPC : 0;
	}
	mbedtls_platform_zeroize(saved, sizeof saved);
	return err;
}

static int save_peers(struct server *server, struct sessions_writer *writer, uint64_t *saved)
{
	uint8_t octets[LENGTH_OCTETS + SESSION_OCTETS];
	struct peer *peer;
	int err = 0;

	TAILQ_FOREACH(peer, &server->by_use, by_use)
	{
		struct pack out = { .out = octets + LENGTH_OCTETS, .size = SESSION_OCTETS };
		struct pack length = { .out = octets, .size = LENGTH_OCTETS };
		if (!peer->established)
			continue;
		if (save_peer(peer, &out)) {
			server->report.sessions_unsaved++;
			continue;
		}
		pack_number(&length, out.len, LENGTH_OCTETS);
		err = sessions_writer_add(writer, octets, LENGTH_OCTETS + out.len);
		if (err)
			break;
		++*saved;
	}
	mbedtls_platform_zeroize(octets, sizeof octets);
	return err;
}

int handover_save(struct server *server, const struct server_options *options, const char *file, FILE *log)
{
	struct report *report = &server->report;
	struct sessions_writer writer;
	uint8_t head[HEAD_OCTETS];
	char kept_as[PATH_MAX];
	uint64_t saved = 0;

	server->now_ms = clock_ms();
	int err = sessions_writer_open(&writer, file);
	if (!err) {
		err = make_head(head, options);
		if (!err)
			err = sessions_writer_add(&writer, head, sizeof head);
		if (!err)
			err = save_peers(server, &writer, &saved);
		if (err)
			sessions_writer_drop(&writer);
		else
			err = sessions_writer_finish(&writer, file, kept_as);
	}
	if (err) {
		fprintf(log, "sessions %s: not saved: %s\n", file, strerror(-err));
		return err;
	}
	report->sessions_saved = saved;
	fprintf(log, "sessions %s: %llu saved, %llu that cannot be%s%s\n", file, (unsigned long long)saved,
		(unsigned long long)report->sessions_unsaved,
		strcmp(kept_as, file) ? "; it exists, so they are in " : "", strcmp(kept_as, file) ? kept_as : "");
	return 0;
}

/* A peer that has not been entered. */
static int load_peer(struct peer **out, struct server *server, struct unpack *in)
{
	uint8_t cid[LBCID_MAX_OCTETS], hello_random[HELLO_RANDOM_OCTETS];
	struct peer *peer;
	struct addr addr;

	unpack_octets(in, cid, server->cid.length);
	uint32_t id = (uint32_t)unpack_number(in, ID_OCTETS, UINT32_MAX);
	bool by_addr = unpack_number(in, 1, true);
	unpack_octets(in, addr.ip, sizeof addr.ip);
	addr.port = (uint16_t)unpack_number(in, 2, UINT16_MAX);
	unpack_octets(in, hello_random, sizeof hello_random);
	uint64_t changes = unpack_number(in, 8, UINT64_MAX);
	size_t len = unpack_number(in, LENGTH_OCTETS, UINT16_MAX);
	const uint8_t *saved = bytes_take(&in->in, len);
	if (in->bad || !saved)
		return -EBADMSG;
	int err = peer_load(&peer, server, cid, saved, len);
	if (err)
		return err;
	peer->id = id;
	peer->by_addr = by_addr;
	peer->addr = addr;
	peer->address_changes = changes;
	memcpy(peer->hello_random, hello_random, sizeof hello_random);
	responder_load(&peer->responder, in, server->now_ms);
	if (in->bad || in->in.left) {
		peer_free(peer);
		return -EBADMSG;
	}
	*out = peer;
	return 0;
}

static int load_peers(struct peers *out, struct server *server, struct bytes content)
{
	const uint8_t *at;

	while ((at = bytes_take(&content, LENGTH_OCTETS))) {
		struct unpack in = { .in.left = bytes_u16(at) };
		struct peer *peer;
		in.in.at = bytes_take(&content, in.in.left);
		if (!in.in.at)
			return -EBADMSG;
		int err = load_peer(&peer, server, &in);
		if (err)
			return err;
		TAILQ_INSERT_TAIL(out, peer, by_use);
	}
	return content.left ? -EBADMSG : 0;
}

static int load_content(struct peers *out, struct server *server, const struct server_options *options,
			struct sessions_reader *reader, const char **reason)
{
	struct bytes content = { reader->content, reader->content_len };
	uint8_t own[HEAD_OCTETS];

	int err = make_head(own, options);
	if (err)
		return err;
	const uint8_t *head = bytes_take(&content, sizeof own);
	*reason = "damaged: its content makes no sense";
	if (!head)
		return -EBADMSG;
	if (memcmp(head, own, sizeof own) != 0) {
		*reason = head[0] == own[0] ? "of another --psk identity" : "of CIDs of another length";
		return -EINVAL;
	}
	err = load_peers(out, server, content);
	if (err && err != -EBADMSG)
		*reason = strerror(-err);
	return err;
}

static void say_refused(FILE *log, struct sessions_reader *reader, const char *file, const char *reason)
{
	char kept_as[PATH_MAX];

	fprintf(log, "sessions %s: refused: %s; ", file, reason);
	if (sessions_reader_refuse(reader, file, kept_as) == 0)
		fprintf(log, "set aside as %s; ", kept_as);
	fputs("starting without sessions\n", log);
}

int handover_load(struct server *server, const struct server_options *options, const char *file, FILE *log)
{
	struct peers peers = TAILQ_HEAD_INITIALIZER(peers);
	struct sessions_reader reader;
	struct peer *peer;
	const char *reason;

	server->now_ms = clock_ms();
	int err = sessions_reader_take(&reader, file, &reason);
	if (!err)
		err = load_content(&peers, server, options, &reader, &reason);
	/* Nothing of it is found by an address or a CID, or can send, before the file is gone. */
	if (!err && (err = sessions_reader_remove(&reader)))
		reason = strerror(-err);
	if (err == -ENOENT)
		fprintf(log, "sessions %s: not there; starting without sessions\n", file);
	else if (err)
		say_refused(log, &reader, file, reason);
	while ((peer = TAILQ_FIRST(&peers))) {
		TAILQ_REMOVE(&peers, peer, by_use);
		if (err)
			peer_free(peer);
		else
			peer_resume(peer);
	}
	if (!err)
		fprintf(log, "sessions %s: %llu loaded\n", file, (unsigned long long)server->report.sessions_loaded);
	sessions_reader_end(&reader);
	return err;
}
