// Kills the process, as a power cut would, just before its n-th call that changes a file or a folder. Loaded
// with LD_PRELOAD, so that SQLite's own calls are among them; `kill_at(n)` starts the count, from 1.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/types.h>
#include <unistd.h>

static long remaining = -1;

void kill_at(long n) { remaining = n; }
long kill_left(void) { return remaining; }

static void step(void) {
  if (remaining > 0 && --remaining == 0) kill(getpid(), SIGKILL);
}

#define BEFORE(result, name, parameters, arguments)                          \
  result name parameters {                                                   \
    static result(*next) parameters;                                         \
    if (!next) next = (result(*) parameters)dlsym(RTLD_NEXT, #name);         \
    step();                                                                  \
    return next arguments;                                                   \
  }

BEFORE(int, fsync, (int fd), (fd))
BEFORE(int, fdatasync, (int fd), (fd))
BEFORE(int, ftruncate, (int fd, off_t size), (fd, size))
BEFORE(int, ftruncate64, (int fd, off64_t size), (fd, size))
BEFORE(int, link, (const char *from, const char *to), (from, to))
BEFORE(int, mkdir, (const char *path, mode_t mode), (path, mode))
BEFORE(int, rename, (const char *from, const char *to), (from, to))
BEFORE(int, rmdir, (const char *path), (path))
BEFORE(int, unlink, (const char *path), (path))
BEFORE(int, unlinkat, (int folder, const char *path, int flags), (folder, path, flags))
BEFORE(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
BEFORE(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
BEFORE(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))

#define BEFORE_CREATING(name)                                                \
  int name(const char *path, int flags, ...) {                               \
    static int (*next)(const char *, int, ...);                              \
    if (!next) next = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name); \
    va_list rest;                                                            \
    va_start(rest, flags);                                                   \
    mode_t mode = va_arg(rest, mode_t);                                      \
    va_end(rest);                                                            \
    if (flags & O_CREAT) step();                                             \
    return next(path, flags, mode);                                          \
  }

BEFORE_CREATING(open)
BEFORE_CREATING(open64)
