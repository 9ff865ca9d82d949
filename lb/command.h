/* The commands of admin.socket: one JSON object in, one out. Control thread.
 *
 *   {"command": "status"}                                     {"ok": true, "version": …}
 *   {"command": "drain", "name": "lwm2m/b"}                   {"ok": true, "backend": {…}}
 *   {"command": "weight", "name": "x", "weight": 50}          {"ok": false, "error": "no backend is called x; …"}
 *   {"command": "flows", "from": "10.1.2.3", "limit": 10}     {"ok": true, "matched": 1, "flows": [{…}]}
 *
 * status, backends, drain, ready, maint, weight, reload, flows. A name is a backend's, or POOL/BACKEND where several pools have it.
 */
#ifndef CIDLB_COMMAND_H
#define CIDLB_COMMAND_H

struct control;

/* The answer to one line, malloc'd, without a newline. NULL: out of memory. */
char *command_answer(void *control, const char *line);

#endif
