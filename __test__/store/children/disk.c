// A disk that misbehaves for the files of one folder, preloaded into a process (LD_PRELOAD). The first byte of the file SHIM_CONTROL says
// how: '-' not at all, 'h' each call hangs until the byte is another one, 'q' writes fail with EDQUOT, 'f' with ENOSPC, 'b' with EFBIG.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static volatile const char *control;
static const char *folder;

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("SHIM_CONTROL");
  folder = getenv("SHIM_FOLDER");
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void *map = fd < 0 ? MAP_FAILED : mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
  if (fd >= 0) close(fd);
  if (map != MAP_FAILED && folder) control = map;
}

static int is_inside(const char *path) {
  return control && path && !strncmp(path, folder, strlen(folder));
}

static int is_ours(int fd) {
  if (!control) return 0;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlinkat(AT_FDCWD, link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return is_inside(path);
}

static void hang(void) {
  const struct timespec pause = {0, 5000000};
  while (*control == 'h') nanosleep(&pause, NULL);
}

// Hangs, then says whether a write is to fail.
static int fails(void) {
  hang();
  char mode = *control;
  if (mode == 'q') errno = EDQUOT;
  if (mode == 'f') errno = ENOSPC;
  if (mode == 'b') errno = EFBIG;
  return mode == 'q' || mode == 'f' || mode == 'b';
}

#define REAL(name, ...) \
  static __typeof__(name) *real; \
  if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
  return real(__VA_ARGS__)

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) { if (is_ours(fd) && fails()) return -1; REAL(pwrite64, fd, bytes, count, at); }
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { if (is_ours(fd) && fails()) return -1; REAL(pwrite, fd, bytes, count, at); }
ssize_t write(int fd, const void *bytes, size_t count) { if (is_ours(fd) && fails()) return -1; REAL(write, fd, bytes, count); }
int ftruncate64(int fd, off64_t size) { if (is_ours(fd) && fails()) return -1; REAL(ftruncate64, fd, size); }
int posix_fallocate64(int fd, off64_t at, off64_t count) { if (is_ours(fd) && fails()) return errno; REAL(posix_fallocate64, fd, at, count); }
int fsync(int fd) { if (is_ours(fd)) hang(); REAL(fsync, fd); }
int fdatasync(int fd) { if (is_ours(fd)) hang(); REAL(fdatasync, fd); }
ssize_t pread64(int fd, void *bytes, size_t count, off64_t at) { if (is_ours(fd)) hang(); REAL(pread64, fd, bytes, count, at); }
ssize_t pread(int fd, void *bytes, size_t count, off_t at) { if (is_ours(fd)) hang(); REAL(pread, fd, bytes, count, at); }
ssize_t readlink(const char *path, char *bytes, size_t count) { if (is_inside(path)) hang(); REAL(readlink, path, bytes, count); }
int stat64(const char *path, struct stat64 *out) { if (is_inside(path)) hang(); REAL(stat64, path, out); }
int stat(const char *path, struct stat *out) { if (is_inside(path)) hang(); REAL(stat, path, out); }
int lstat64(const char *path, struct stat64 *out) { if (is_inside(path)) hang(); REAL(lstat64, path, out); }
int lstat(const char *path, struct stat *out) { if (is_inside(path)) hang(); REAL(lstat, path, out); }
int statx(int at, const char *restrict path, int flags, unsigned mask, struct statx *restrict out) { if (is_inside(path)) hang(); REAL(statx, at, path, flags, mask, out); }
int access(const char *path, int mode) { if (is_inside(path)) hang(); REAL(access, path, mode); }

static int opens(const char *name, const char *path, int flags, mode_t mode) {
  if (is_inside(path)) {
    hang();
    if ((flags & O_CREAT) && access(path, F_OK) && fails()) return -1;
  }
  int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
  return real(path, flags, mode);
}

#define OPEN(name) int name(const char *path, int flags, ...) { \
  va_list list; va_start(list, flags); mode_t mode = va_arg(list, int); va_end(list); \
  return opens(#name, path, flags, mode); \
}
OPEN(open64)
OPEN(open)
