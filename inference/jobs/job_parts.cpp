#include "jobs/job_parts.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "base/numbers.h"
#include "base/require.h"
#include "jobs/stopping.h"
#include "storage/atomic_file.h"
#include "storage/descriptor.h"
#include "storage/sha256.h"

namespace sartor::inference {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view prefix = "part-";

void remove_all(const fs::path& folder) { fs::remove_all(folder); }

}  // namespace

JobParts::JobParts(JobRequest request) : request_(std::move(request)), name_(request_.output.string() + ".parts") {
  complete_ = on_first(*request_.ranks, [&] { return claim() ? "complete" : ""; }) == "complete";
}

std::vector<fs::path> JobParts::outputs() const {
  std::vector<fs::path> paths = {request_.output, request_.rejects, request_.record};
  paths.insert(paths.end(), request_.reports.begin(), request_.reports.end());
  return paths;
}

// Called on the first rank only. Returns whether the job is complete.
bool JobParts::claim() {
  claim_ = claim_of(request_.start, name_ / "job.json", request_.output);
  require(!fs::is_directory(request_.output), "{} is a folder, expected a file to write", request_.output.string());
  const bool begun = fs::exists(name_);
  if (claim_ == Claim::resume) {
    require(begun || fs::exists(request_.output), "there is no job to resume: neither {} nor {} exists",
            request_.output.string(), name_.string());
  } else if (claim_ == Claim::fresh) {
    require(!begun, "{} exists from a job that was stopped: --resume continues it, --overwrite starts over",
            name_.string());
    for (const auto& path : outputs()) require(!fs::exists(path), "{} exists: --overwrite replaces it", path.string());
  }
  outputs_.emplace(outputs());
  const bool complete = claim_ == Claim::resume && !begun;
  if (!complete) {
    folder_.emplace(name_, claim_, request_.output);
  } else if (fs::exists(ClaimedFolder::aside_of(name_))) {  // a process was killed while it removed the parts
    folder_.emplace(name_, Claim::fresh, request_.output);
  }
  return complete;
}

void JobParts::begin(const JobOrigin& origin) {
  std::istringstream told(on_first(*request_.ranks, [&] {
    start_or_continue(origin);
    return list_done();
  }));
  done_.assign(std::istream_iterator<int64_t>(told), {});
  std::ranges::sort(done_);
}

void JobParts::start_or_continue(const JobOrigin& origin) {
  if (claim_ == Claim::resume) {
    require_same_job(read_job_record(name_ / "job.json"), origin);
  } else {
    sartor::write_record(folder_->path() / "job.json", job_record(origin, request_.start.launch.id));
    folder_->publish(remove_all);
  }
  for (const auto& path : outputs()) datasets::remove_partial(path);
}

// Lists the numbers of finished parts, separated by spaces, and removes files left by killed processes.
std::string JobParts::list_done() const {
  std::string numbers;
  for (const auto& entry : fs::directory_iterator(name_)) {
    const auto name = entry.path().filename().string();
    if (name.find(".partial-") != name.npos) {
      fs::remove(entry.path());
    } else if (name.starts_with(prefix)) {
      const auto stem = entry.path().stem().string();  // part-000012
      const auto number = parse_number<int64_t>(std::string_view(stem).substr(prefix.size()));
      if (number && name == part(*number).filename()) numbers += fmt::format("{} ", *number);
    }
  }
  return numbers;
}

void JobParts::check_complete(const JobOrigin& origin) const {
  on_first(*request_.ranks, [&] {
    const auto output = request_.output.string(), record = request_.record.string();
    require(
        fs::exists(request_.record),
        "{} exists, but not {}, which identifies the job that wrote it: --resume cannot use this output, --overwrite "
        "starts over",
        output, record);
    const auto job = read_job_record(request_.record);
    require_same_job(job, origin);
    require(job.value("output_sha256", Record()) == datasets::sha256_file(request_.output),
            "{} is not the output of the job of {}: --resume cannot use it, --overwrite starts over", output, record);
    return "";
  });
}

int64_t JobParts::next() {
  const int64_t missing = unless_stopped(request_.output, [&] { return request_.ranks->next("parts"); });
  while (passed_ < std::ssize(done_) && done_[passed_] <= missing + passed_) passed_++;
  return missing + passed_;
}

fs::path JobParts::part(int64_t part) const {
  return name_ / fmt::format("{}{:06}{}", prefix, part, request_.extension);
}

fs::path JobParts::rejects(int64_t part) const { return name_ / fmt::format("{}{:06}.rejects.tsv", prefix, part); }

int64_t JobParts::join_rejects(int64_t parts) const {
  datasets::AtomicFile aside(request_.rejects);
  const datasets::Descriptor out(aside.temporary(), O_WRONLY | O_CREAT | O_TRUNC);
  int64_t rows = 0;
  for (int64_t i = 0; i < parts; i++) {
    std::ifstream file(rejects(i), std::ios::binary);
    if (!file) continue;
    const std::string lines{std::istreambuf_iterator<char>(file), {}};
    const std::string_view all(lines), body = all.substr(all.find('\n') + 1);
    datasets::write_all(out, rows == 0 ? all : body, request_.rejects);
    rows += std::ranges::count(body, '\n');
  }
  if (rows > 0) {
    aside.commit();
  } else {
    fs::remove(request_.rejects);  // may exist from a job that this one replaces
  }
  return rows;
}

void JobParts::write_record() const {
  auto job = read_job_record(name_ / "job.json");
  job["output_sha256"] = datasets::sha256_file(request_.output);
  sartor::write_record(request_.record, job);
}

int64_t JobParts::finish(int64_t parts, const std::function<void(const std::vector<fs::path>&)>& join) {
  if (!request_.ranks->first()) return 0;
  std::vector<fs::path> paths;
  for (int64_t i = 0; i < parts; i++) {
    paths.push_back(part(i));
    if (!fs::exists(paths.back())) throw std::runtime_error(fmt::format("{} was not written", paths.back().string()));
  }
  const int64_t rejected = join_rejects(parts);
  join(paths);
  write_record();
  folder_->retire();
  return rejected;
}

}  // namespace sartor::inference
