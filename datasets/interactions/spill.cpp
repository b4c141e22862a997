#include "interactions/spill.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace sartor::datasets {
namespace {

template <class Block, class Each> void for_each_column(Block& block, Each each) {
  each(block.users);
  each(block.items);
  each(block.values);
  each(block.times);
  each(block.places);
}

}  // namespace

Spill::Spill(const std::filesystem::path& folder)
    : folder_(folder.empty() ? "." : folder), file_(nullptr, std::fclose) {
  std::string name = (folder_ / ".ratings-XXXXXX").string();
  const int descriptor = mkostemp(name.data(), O_CLOEXEC);
  check(descriptor >= 0, "make");
  unlink(name.c_str());
  file_.reset(fdopen(descriptor, "w+"));
  check(file_ != nullptr, "open");
}

void Spill::check(bool done, const char* action) const {
  if (done) return;
  const std::error_code error(errno, std::generic_category());
  throw std::system_error(error, fmt::format("cannot {} a temporary file in {}", action, folder_.string()));
}

void Spill::write(const SpillBlock& block) {
  for_each_column(block, [&](const auto& column) {
    const size_t size = column.size();
    check(fwrite(&size, sizeof size, 1, file_.get()) == 1, "write");
    check(size == 0 || fwrite(column.data(), sizeof column[0], size, file_.get()) == size, "write");
  });
  written_++;
}

void Spill::rewind() {
  check(std::fflush(file_.get()) == 0, "write");
  std::rewind(file_.get());
  read_ = 0;
}

bool Spill::read(SpillBlock& block) {
  if (read_ == written_) return false;
  for_each_column(block, [&](auto& column) {
    size_t size = 0;
    check(fread(&size, sizeof size, 1, file_.get()) == 1, "read");
    column.resize(size);
    check(size == 0 || fread(column.data(), sizeof column[0], size, file_.get()) == size, "read");
  });
  read_++;
  return true;
}

}  // namespace sartor::datasets
