#include "engine/run_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <limits>
#include <string>
#include <system_error>

#include "base/require.h"
#include "storage/atomic_file.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;
using datasets::check_system;

}  // namespace

RunFolder::RunFolder(const fs::path& name)
    : name_(name.has_filename() ? name : name.parent_path()), parents_({name_}), path_(name_) {}

// The other constructor is done before this body begins, so that the destructor cleans up after an exception in it.
RunFolder::RunFolder(const fs::path& name, Claim claim) : RunFolder(name) {
  const auto shown = name_.string();
  const bool exists = fs::exists(name_);
  require(exists || claim != Claim::resume, "there is no run {} to resume", shown);
  require(!exists || claim != Claim::fresh, "{} exists: --resume continues it, --overwrite puts it aside", shown);
  require(!exists || fs::exists(name_ / "run.yaml"), "{} is no run: it has no run.yaml", shown);
  if (exists) locks_.emplace_back(name_, name_);
  if (claim == Claim::resume) return;

  const auto aside = name_.parent_path() / fmt::format(".{}.partial", name_.filename().string());
  fs::create_directories(aside);
  locks_.emplace_back(aside, name_);
  path_ = aside;
  for (const auto& entry : fs::directory_iterator(path_)) {  // of a start that was killed
    if (entry.path().filename() != ".lock") fs::remove_all(entry.path());
  }
}

RunFolder::~RunFolder() {
  std::error_code ignored;
  if (path_ != name_) fs::remove_all(path_, ignored);
}

void RunFolder::publish() {
  if (path_ == name_) return;
  if (locks_.size() == 2) put_aside(name_);
  datasets::rename_folder(path_, name_);
  path_ = name_;
  locks_.erase(locks_.begin(), locks_.end() - 1);
}

void put_aside(const fs::path& folder) {
  int number = 1;
  while (fs::exists(fmt::format("{}.{}", folder.string(), number))) number++;
  fs::rename(folder, fmt::format("{}.{}", folder.string(), number));
}

MetricsLog::MetricsLog(fs::path path, int64_t lines)
    : path_(std::move(path)), file_(path_, O_WRONLY | O_CREAT | O_APPEND), lines_(lines) {
  std::ifstream kept(path_);
  for (int64_t line = 0; line < lines; line++) {
    kept.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    require(!kept.eof(), "{} has {} lines, fewer than the {} when the checkpoint was made", path_.string(), line,
            lines);
    bytes_ += kept.gcount();
  }
  if (kept.peek() != EOF) check_system(ftruncate(file_.number(), bytes_) == 0, "truncate", path_);
}

void MetricsLog::append(std::string_view line) {
  try {
    datasets::write_all(file_, line, path_);
  } catch (...) {
    [[maybe_unused]] const int taken_back = ftruncate(file_.number(), bytes_);
    throw;
  }
  bytes_ += std::ssize(line);
  lines_++;
}

void MetricsLog::sync() { check_system(fsync(file_.number()) == 0, "sync", path_); }

}  // namespace sartor
