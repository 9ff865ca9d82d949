/* The file of the socket of commands. */
#ifndef CIDLB_ADMIN_SOCKET_FILE_H
#define CIDLB_ADMIN_SOCKET_FILE_H

#include <sys/stat.h>
#include <sys/un.h>

#include "admin/socket.h"

/* Makes the directory if only that is missing, takes the place of a dead process' socket, and binds. Returns the
 * descriptor, and what the file is in *file. -errno as admin_socket_open(). `name` has path->name. */
int socket_file_make(const struct sockaddr_un *name, const struct admin_socket_path *path, struct stat *file);

/* Removes the file if it is still this one and the directory permits it. All zero: there is none. */
void socket_file_remove(const struct sockaddr_un *name, const struct stat *file);

#endif
