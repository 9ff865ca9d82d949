#include "shim/real.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static struct real_calls calls;
static atomic_bool loaded;

/* Looking up a name that exists allocates nothing (glibc 2.34 and later), so the caller may be an allocator. The first
 * call comes while there is one thread, at the latest from the constructor. */
static void load(void)
{
	static const char message[] = "libcidlb-shim: the C library lacks a call that the shim stands before; glibc "
				      "2.34 or later is needed\n";
	void *found;

#define X(name)                                                                                                        \
	found = dlsym(RTLD_NEXT, #name);                                                                               \
	if (!found)                                                                                                    \
		goto missing;                                                                                          \
	memcpy(&calls.name, &found, sizeof found);
	REAL_CALLS(X)
#undef X
	atomic_store_explicit(&loaded, true, memory_order_release);
	return;
missing:
	if (calls.write)
		calls.write(STDERR_FILENO, message, sizeof message - 1);
	abort();
}

const struct real_calls *real_calls(void)
{
	if (!atomic_load_explicit(&loaded, memory_order_acquire))
		load();
	return &calls;
}
