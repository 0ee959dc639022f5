// Starts a program again and again from a process so small that its own memory does not show in the child's.
//
//   start COUNT INPUT PROGRAM [ARGUMENT]...     prints one line a start: milliseconds, peak resident KiB, exit status,
//                                               milliseconds of processor time
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

int main(int count, char **arguments) {
    if (count < 4) return 64;
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, arguments[2], O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    for (int left = atoi(arguments[1]); left > 0; left--) {
        double start = now();
        pid_t child;
        int status;
        struct rusage usage;
        if (posix_spawnp(&child, arguments[3], &files, NULL, arguments + 3, environ)) return 1;
        if (wait4(child, &status, 0, &usage) < 0) return 1;
        double took = now() - start;
        double processor = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
        printf("%.3f %ld %d %.3f\n", took, usage.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : -1, processor);
    }
}
