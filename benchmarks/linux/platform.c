/* The platform of a benchmark as a Linux program: standard output, unbuffered. */
#include "bench.h"

#include <string.h>
#include <unistd.h>

void put_text(const char *text)
{
    size_t length = strlen(text);
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, text, length);
        if (written <= 0)
            return;
        text += written;
        length -= (size_t)written;
    }
}
