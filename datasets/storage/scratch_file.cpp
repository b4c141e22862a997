#include "storage/scratch_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

namespace sartor::datasets {

ScratchFile::ScratchFile(const std::filesystem::path& folder)
    : folder_(folder.empty() ? "." : folder), file_(nullptr, std::fclose) {
  std::string name = (folder_ / ".scratch-XXXXXX").string();
  const int descriptor = mkostemp(name.data(), O_CLOEXEC);
  check(descriptor >= 0, "create");
  unlink(name.c_str());
  file_.reset(fdopen(descriptor, "w+"));
  check(file_ != nullptr, "open");
}

int64_t ScratchFile::append(const void* bytes, size_t size) {
  if (reading_) seek(size_, "write");
  reading_ = false;
  check(size == 0 || std::fwrite(bytes, 1, size, file_.get()) == size, "write");
  const int64_t begin = size_;
  size_ += static_cast<int64_t>(size);
  position_ = size_;
  return begin;
}

void ScratchFile::read(int64_t offset, void* bytes, size_t size) {
  if (!reading_ || position_ != offset) seek(offset, "read");
  reading_ = true;
  check(size == 0 || std::fread(bytes, 1, size, file_.get()) == size, "read");
  position_ = offset + static_cast<int64_t>(size);
}

void ScratchFile::seek(int64_t offset, const char* action) {
  check(fseeko(file_.get(), offset, SEEK_SET) == 0, action);
}

void ScratchFile::check(bool done, const char* action) const {
  if (done) return;
  const std::error_code error(errno, std::generic_category());
  throw std::system_error(error, fmt::format("cannot {} a temporary file in {}", action, folder_.string()));
}

}  // namespace sartor::datasets
