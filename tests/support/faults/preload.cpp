// A library for LD_PRELOAD that injects disk faults. It counts the calls that change files below one folder (write,
// sync, rename, truncate, create and remove functions) and injects a fault at a given call:
//
//   SARTOR_FAULT_FOLDER  absolute path; calls on other files are not counted
//   SARTOR_FAULT_AT      number of the call, from 1; if unset, calls are only counted
//   SARTOR_FAULT_KIND    kill (default)  SIGKILL at the call
//                        full            the disk is full (ENOSPC) from the call on
//                        terminate       SIGTERM before the call, which then proceeds
//                        interrupt       SIGINT before the call, which then proceeds
//                        grow            appends a line to SARTOR_FAULT_FILE before the call, which then proceeds
//   SARTOR_FAULT_WHEN    for kill: before (default) or after the call
//   SARTOR_FAULT_COUNT   file that receives the number of calls when the program exits normally
//
// Does not see writes of stdio (fwrite), writes to mapped memory and io_uring.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace {

enum class Need { space, none };  // whether the call needs disk space: removing a file does not

const char* setting(const char* name) {
  const char* value = getenv(name);
  return value ? value : "";
}

// Read at each call, because calls may come before the constructors of this library have run.
bool below_folder(const char* path) {
  const char* folder = setting("SARTOR_FAULT_FOLDER");
  const size_t length = strlen(folder);
  return length > 0 && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

// Path of a descriptor. Returns false if it is not a file.
bool descriptor_path(int descriptor, char (&path)[PATH_MAX]) {
  char link[32];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  path[length < 0 ? 0 : length] = '\0';
  return length > 0 && path[0] == '/';
}

bool watched(int descriptor) {
  char path[PATH_MAX];
  return descriptor_path(descriptor, path) && below_folder(path);
}

bool watched(int folder, const char* name) {
  if (name[0] == '/') return below_folder(name);
  char path[PATH_MAX], whole[2 * PATH_MAX];
  if (folder != AT_FDCWD ? !descriptor_path(folder, path) : !getcwd(path, sizeof path)) return false;
  snprintf(whole, sizeof whole, "%s/%s", path, name);
  return below_folder(whole);
}

// Sends a signal to the process, one of whose threads waits for it, and gives that thread time to handle it.
void interrupt(int signal) {
  kill(getpid(), signal);
  usleep(20'000);
}

void grow(const char* path) {
  const int file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
  if (file < 0 || write(file, "grown\n", 6) != 6) abort();
  close(file);
}

std::atomic<long> calls = 0;

// Counts the call if its file is watched, injects the fault, and runs `call`, the real function.
template <class Call> auto strike(bool is_watched, Need need, const Call& call) -> decltype(call()) {
  if (!is_watched) return call();
  const long number = ++calls, at = atol(setting("SARTOR_FAULT_AT"));
  if (strcmp(setting("SARTOR_FAULT_KIND"), "full") == 0) {
    if (at == 0 || number < at || need == Need::none) return call();
    errno = ENOSPC;
    return -1;
  }
  if (number != at) return call();
  if (strcmp(setting("SARTOR_FAULT_KIND"), "grow") == 0) return grow(setting("SARTOR_FAULT_FILE")), call();
  for (const auto& [kind, signal] : {std::pair{"terminate", SIGTERM}, {"interrupt", SIGINT}}) {
    if (strcmp(setting("SARTOR_FAULT_KIND"), kind) == 0) return interrupt(signal), call();
  }
  if (strcmp(setting("SARTOR_FAULT_WHEN"), "after") == 0) call();
  raise(SIGKILL);
  return -1;
}

struct CountAtExit {
  ~CountAtExit() {
    const char* path = setting("SARTOR_FAULT_COUNT");
    FILE* file = *path ? fopen(path, "w") : nullptr;
    if (!file) return;
    fprintf(file, "%ld\n", calls.load());
    fclose(file);
  }
} count_at_exit;

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))
#define REAL(name) reinterpret_cast<decltype(&name)>(dlsym(RTLD_NEXT, #name))

// NOLINTBEGIN: the names and signatures are libc's
EXPORT ssize_t write(int fd, const void* data, size_t size) {
  static const auto next = REAL(write);
  return strike(watched(fd), Need::space, [&] { return next(fd, data, size); });
}
EXPORT ssize_t writev(int fd, const iovec* parts, int count) {
  static const auto next = REAL(writev);
  return strike(watched(fd), Need::space, [&] { return next(fd, parts, count); });
}
EXPORT ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  static const auto next = REAL(pwrite);
  return strike(watched(fd), Need::space, [&] { return next(fd, data, size, offset); });
}
EXPORT ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  static const auto next = REAL(pwrite64);
  return strike(watched(fd), Need::space, [&] { return next(fd, data, size, offset); });
}
EXPORT int fsync(int fd) {
  static const auto next = REAL(fsync);
  return strike(watched(fd), Need::space, [&] { return next(fd); });
}
EXPORT int fdatasync(int fd) {
  static const auto next = REAL(fdatasync);
  return strike(watched(fd), Need::space, [&] { return next(fd); });
}
EXPORT int ftruncate(int fd, off_t size) noexcept {
  static const auto next = REAL(ftruncate);
  return strike(watched(fd), Need::none, [&] { return next(fd, size); });
}
EXPORT int ftruncate64(int fd, off64_t size) noexcept {
  static const auto next = REAL(ftruncate64);
  return strike(watched(fd), Need::none, [&] { return next(fd, size); });
}
EXPORT int truncate(const char* path, off_t size) noexcept {
  static const auto next = REAL(truncate);
  return strike(watched(AT_FDCWD, path), Need::none, [&] { return next(path, size); });
}
EXPORT int rename(const char* from, const char* to) noexcept {
  static const auto next = REAL(rename);
  const bool is_watched = watched(AT_FDCWD, from) || watched(AT_FDCWD, to);
  return strike(is_watched, Need::space, [&] { return next(from, to); });
}
EXPORT int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  static const auto next = REAL(renameat);
  const bool is_watched = watched(from_folder, from) || watched(to_folder, to);
  return strike(is_watched, Need::space, [&] { return next(from_folder, from, to_folder, to); });
}
EXPORT int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  static const auto next = REAL(renameat2);
  const bool is_watched = watched(from_folder, from) || watched(to_folder, to);
  return strike(is_watched, Need::space, [&] { return next(from_folder, from, to_folder, to, flags); });
}
EXPORT int mkdir(const char* path, mode_t mode) noexcept {
  static const auto next = REAL(mkdir);
  return strike(watched(AT_FDCWD, path), Need::space, [&] { return next(path, mode); });
}
EXPORT int mkdirat(int folder, const char* path, mode_t mode) noexcept {
  static const auto next = REAL(mkdirat);
  return strike(watched(folder, path), Need::space, [&] { return next(folder, path, mode); });
}
EXPORT int unlink(const char* path) noexcept {
  static const auto next = REAL(unlink);
  return strike(watched(AT_FDCWD, path), Need::none, [&] { return next(path); });
}
EXPORT int unlinkat(int folder, const char* path, int flags) noexcept {
  static const auto next = REAL(unlinkat);
  return strike(watched(folder, path), Need::none, [&] { return next(folder, path, flags); });
}
EXPORT int rmdir(const char* path) noexcept {
  static const auto next = REAL(rmdir);
  return strike(watched(AT_FDCWD, path), Need::none, [&] { return next(path); });
}
EXPORT int remove(
    const char* path) noexcept {  // libc's remove() calls unlink and rmdir internally, bypassing this library
  static const auto next = REAL(remove);
  return strike(watched(AT_FDCWD, path), Need::none, [&] { return next(path); });
}
// NOLINTEND
