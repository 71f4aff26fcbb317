/* Preloaded before libc: fsync and fdatasync fail with EIO as long as the file named by STOA_BROKEN_SYNC exists. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int is_broken(void) {
  const char *name = getenv("STOA_BROKEN_SYNC");
  return name != NULL && access(name, F_OK) == 0;
}

static int call(const char *name, int fd) {
  if (is_broken()) {
    errno = EIO;
    return -1;
  }
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  return real(fd);
}

int fsync(int fd) { return call("fsync", fd); }
int fdatasync(int fd) { return call("fdatasync", fd); }
