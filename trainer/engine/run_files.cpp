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

void require_claimable(const fs::path& folder, Claim claim) {
  const auto name = folder.has_filename() ? folder : folder.parent_path();
  const auto shown = name.string();
  const bool exists = fs::exists(name);
  require(exists || claim != Claim::resume, "there is no run {} to resume", shown);
  require(!exists || claim != Claim::fresh, "{} exists: --resume continues it, --overwrite moves it aside", shown);
  require(!exists || fs::exists(name / "run.yaml"), "{} is not a run folder: it has no run.yaml", shown);
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
