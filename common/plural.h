/* Nouns behind numbers. */
#ifndef CIDLB_PLURAL_H
#define CIDLB_PLURAL_H

/* What a regular noun ends in behind this count: printf("%zu port%s", count, PLURAL(count)). */
#define PLURAL(count) ((count) == 1 ? "" : "s")

#endif
