/* The fast path (xdp/), where the configuration asks for it: what ties it to the control thread. */
#ifndef CIDLB_START_FAST_PATH_H
#define CIDLB_START_FAST_PATH_H

struct control;
struct fast_links;
struct fast_path;

/* While cidlb is root, a configuration runs, and the workers have no thread. `left`: links of the cidlb before. They
 * are taken over, or ended. 0, also if there is none to be had, which is logged; or -ENOMEM. */
int fast_path_new(struct fast_path **out, struct control *control, struct fast_links *left);

/* The links of the program, which end with `path` unless somebody else has them by then. `path` may be NULL. */
void fast_path_links(const struct fast_path *path, struct fast_links *out);

/* Takes the program from the interfaces. The workers have no thread any more. NULL is fine. */
void fast_path_free(struct fast_path *path);

#endif
