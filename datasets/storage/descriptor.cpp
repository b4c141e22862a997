#include "storage/descriptor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace sartor::datasets {

void check_system(bool done, const char* action, const std::filesystem::path& path) {
  if (done) return;
  const std::error_code error(errno, std::generic_category());
  throw std::system_error(error, fmt::format("cannot {} {}", action, path.string()));
}

Descriptor::Descriptor(const std::filesystem::path& path, int flags)
    : number_(open(path.c_str(), flags | O_CLOEXEC, 0666)) {
  check_system(number_ >= 0, "open", path);
}

Descriptor::~Descriptor() {
  if (number_ >= 0) close(number_);
}

void write_all(const Descriptor& file, std::string_view text, const std::filesystem::path& path) {
  while (!text.empty()) {
    const ssize_t written = write(file.number(), text.data(), text.size());
    check_system(written >= 0 || errno == EINTR, "write", path);
    text.remove_prefix(std::max<ssize_t>(written, 0));
  }
}

}  // namespace sartor::datasets
