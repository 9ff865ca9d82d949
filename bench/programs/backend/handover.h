/* The sessions of a server in a file, for the next one: sessions_file.h. Of each session its keys and numbers, its
 * peer's address, and the CoAP state, so that observations go on and a repeated request gets the answer that it had. */
#ifndef CIDLB_BENCH_BACKEND_HANDOVER_H
#define CIDLB_BENCH_BACKEND_HANDOVER_H

#include <stdio.h>

#include "bench/programs/backend/server.h"

/* To be called once, at the end: a session that is saved has ended and can send nothing. Says on `log` what became of
 * the sessions, and counts it in the report. Returns 0 or -errno. After a failure there is no file, and the sessions
 * are lost. */
int handover_save(struct server *server, const struct server_options *options, const char *file, FILE *log);

/* To be called before anything is sent. Loads all of the sessions, or none. Returns 0, or why the server begins without
 * them, which `log` says too:
 *   -ENOENT   there is no file, or another process has just taken it
 *   -EBADMSG  the file is damaged
 *   -ESTALE   the file is a copy, which may be loaded elsewhere
 *   -EACCES   others may read or write the file
 *   -EINVAL   it was written with another --psk or length of CIDs
 * A file that is refused is set aside. */
int handover_load(struct server *server, const struct server_options *options, const char *file, FILE *log);

#endif
