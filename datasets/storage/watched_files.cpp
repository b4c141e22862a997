#include "storage/watched_files.h"

#include <fmt/format.h>

#include <stdexcept>

namespace sartor::datasets {
namespace {

bool unchanged(const struct stat& before, const struct stat& now) {
  return before.st_dev == now.st_dev && before.st_ino == now.st_ino && before.st_size == now.st_size &&
         before.st_mtim.tv_sec == now.st_mtim.tv_sec && before.st_mtim.tv_nsec == now.st_mtim.tv_nsec;
}

}  // namespace

void throw_changed(const std::filesystem::path& file) {
  throw std::runtime_error(fmt::format("{} changed while it was read", file.string()));
}

void WatchedFiles::add(const std::filesystem::path& file) {
  struct stat now {};
  if (stat(file.c_str(), &now) == 0 && S_ISREG(now.st_mode)) files_.push_back({file, now});
}

void WatchedFiles::check() const {
  for (const auto& [path, before] : files_) {
    struct stat now {};
    if (stat(path.c_str(), &now) == 0 && unchanged(before, now)) continue;
    throw_changed(path);
  }
}

}  // namespace sartor::datasets
