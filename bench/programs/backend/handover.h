/* The sessions of a server in a file, for the next one: sessions_file.h. Of each session its keys and numbers, its
 * peer's address, and the CoAP state, so that observations go on and a repeated request gets the answer that it had. */
#ifndef CIDLB_BENCH_BACKEND_HANDOVER_H
#define CIDLB_BENCH_BACKEND_HANDOVER_H

#include <stdio.h>

#include "bench/programs/backend/server.h"

/* Once, at the end: the sessions that are saved have ended and can send nothing. Says on `log` what became of them, and
 * counts it in the report. Returns 0 or -errno: there is no file, and the sessions are lost. */
int handover_save(struct server *server, const struct server_options *options, const char *file, FILE *log);

/* Before the first send. All of the sessions, or none. Returns 0, or what keeps the server without them, which `log`
 * says too:
 *   -ENOENT   there is no file, or another process has just taken it
 *   -EBADMSG  damaged
 *   -ESTALE   a copy, maybe loaded elsewhere
 *   -EACCES   not ours alone
 *   -EINVAL   of other --psk or length of CIDs
 * A file that is refused is set aside. */
int handover_load(struct server *server, const struct server_options *options, const char *file, FILE *log);

#endif
