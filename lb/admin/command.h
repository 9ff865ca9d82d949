/* The commands of admin.socket: one JSON object in, one out. Control thread.
 *
 *   {"command": "status"}                                     {"ok": true, "version": …}
 *   {"command": "drain", "name": "lwm2m/b"}                   {"ok": true, "backend": {…}}
 *   {"command": "weight", "name": "x", "weight": 50}          {"ok": false, "error": "no backend is called x; …"}
 *   {"command": "flows", "from": "10.1.2.3", "limit": 10}     {"ok": true, "matched": 1, "flows": [{…}]}
 *
 *   {"command": "trace", "cid": "0102…", "seconds": 60}       {"ok": true, …}, then a line per datagram,
 *                                                             and one at the end
 *
 * status, backends, drain, ready, maint, weight, reload, flows, trace. A name is a backend's, or POOL/BACKEND where
 * several pools have it.
 */
#ifndef CIDLB_ADMIN_COMMAND_H
#define CIDLB_ADMIN_COMMAND_H

struct control;
struct admin_client;

/* The answer to one line, malloc'd, without a newline. NULL: out of memory. client: who asks; NULL: nobody who can be
 * sent a trace. */
char *command_answer(void *control, struct admin_client *client, const char *line);

/* Ends a trace (NULL: none) and tells its client. Workers may still run. */
struct command_trace;
void command_trace_end(struct command_trace *trace);

#endif
