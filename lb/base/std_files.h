/* Standard input, output and error of a program that was started without them. */
#ifndef CIDLB_BASE_STD_FILES_H
#define CIDLB_BASE_STD_FILES_H

/* Opens /dev/null for each that is closed. Otherwise the next socket would be it, and get log lines. To be called first
 * of all, while nothing else is open. */
void std_files_open(void);

#endif
