#include "jobs/job_parts.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "base/require.h"
#include "schema/config.h"
#include "schema/document.h"
#include "schema/log.h"
#include "storage/atomic_file.h"
#include "storage/descriptor.h"
#include "storage/sha256.h"

namespace sartor::inference {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view prefix = "part-";

fs::path beside(const fs::path& output, const std::string& before, const std::string& after) {
  return output.parent_path() / (before + output.filename().string() + after);
}

std::string text_of(const Json& json) {
  return json.dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

Json describe(const std::string& config, const std::vector<fs::path>& files, const std::string& launch) {
  Json json = {{"config", config}, {"launch", launch}, {"files", Json::array()}};
  for (const auto& file : files) {
    json["files"].push_back({{"path", file.string()}, {"sha256", datasets::sha256_file(file)}});
  }
  return json;
}

Json read_job(const fs::path& path) {
  const auto json = Json::parse(std::ifstream(path), nullptr, /*allow_exceptions=*/false);
  const auto is_file = [](const Json& file) {
    return file.is_object() && file.contains("sha256") && file["sha256"].is_string();
  };
  require(json.is_object() && json.contains("config") && json["config"].is_string() && json.contains("files") &&
              json["files"].is_array() && std::ranges::all_of(json["files"], is_file),
          "{} is broken: it does not say what the job is", path.string());
  return json;
}

bool below(std::string_view path, std::string_view section) {
  return path.starts_with(section) && (path.size() == section.size() || path[section.size()] == '.');
}

// Throws where a job that is resumed began with another config, but for the fields `may_change`, or other contents.
void check_same(const Json& before, const Json& now, const std::vector<std::string>& may_change) {
  const auto differing = differences(parse_document(before["config"].get<std::string>(), "job.json"),
                                     parse_document(now["config"].get<std::string>(), "the config"));
  for (const auto& [path, old_value, new_value] : differing) {
    const auto allowed = [&](const auto& section) { return below(path, section); };
    require(std::ranges::any_of(may_change, allowed), "{}: the job began with {}, --resume cannot continue with {}",
            path, old_value.empty() ? "nothing" : old_value, new_value.empty() ? "nothing" : new_value);
  }
  const auto &files = now["files"], &files_before = before["files"];
  require(files.size() == files_before.size(), "the job began with {} files, --resume cannot continue with {}",
          files_before.size(), files.size());
  for (size_t i = 0; i < files.size(); i++) {
    require(files[i]["sha256"] == files_before[i]["sha256"],
            "{} is not what it was when the job began: --resume cannot continue with it",
            files[i]["path"].get<std::string>());
  }
}

}  // namespace

JobParts::JobParts(JobRequest request)
    : request_(std::move(request)),
      folder_(beside(request_.output, "", ".parts")),
      aside_(beside(request_.output, ".", ".parts.partial")) {
  if (request_.ranks->first()) claim();
  complete_ = request_.ranks->from_first(complete_ ? "c" : "-") == "c";
}

bool JobParts::begun_by_this_launch() const {
  const auto job = folder_ / "job.json";
  return request_.launch.restarts > 0 && fs::exists(job) && read_job(job).value("launch", "") == request_.launch.id;
}

void JobParts::claim() {
  if (begun_by_this_launch()) {
    log_info("restarted by torchrun: {} goes on", request_.output.string());
    request_.resume = true;
    request_.overwrite = false;
  }
  folders_.emplace(std::vector{request_.output, request_.rejects});
  const bool begun = fs::exists(folder_);
  require(!fs::is_directory(request_.output), "{} is a folder, expected a file to write", request_.output.string());
  if (request_.resume) {
    require(begun || fs::exists(request_.output), "there is no job to resume: neither {} nor {} exists",
            request_.output.string(), folder_.string());
    complete_ = !begun;
    aside_is_ours_ = complete_ && fs::exists(aside_);  // of a process that was killed while it removed the parts
    if (begun || aside_is_ours_) locks_.emplace_back(begun ? folder_ : aside_, request_.output);
    return;
  }
  require(request_.overwrite || !begun,
          "{} exists, of a job that was stopped: --resume continues it, --overwrite starts anew", folder_.string());
  for (const auto& path : {request_.output, request_.rejects, request_.record}) {
    require(request_.overwrite || !fs::exists(path), "{} exists: --overwrite replaces it", path.string());
  }
  if (begun) locks_.emplace_back(folder_, request_.output);
  fs::create_directory(aside_);
  locks_.emplace_back(aside_, request_.output);
  aside_is_ours_ = true;
  for (const auto& entry : fs::directory_iterator(aside_)) {  // of a start that was killed
    if (entry.path().filename() != ".lock") fs::remove_all(entry.path());
  }
}

JobParts::~JobParts() {
  std::error_code ignored;
  if (aside_is_ours_) fs::remove_all(aside_, ignored);
}

void JobParts::begin(const std::string& config, const std::vector<std::string>& may_change,
                     const std::vector<fs::path>& files) {
  if (request_.ranks->first()) {
    const auto job = describe(config, files, request_.launch.id);
    request_.resume ? check_same(read_job(folder_ / "job.json"), job, may_change) : publish(text_of(job));
    for (const auto& path : {request_.output, request_.rejects, request_.record}) datasets::remove_partial(path);
  }
  list_done();
}

void JobParts::publish(const std::string& job) {
  datasets::write_file(aside_ / "job.json", job);
  fs::remove_all(folder_);
  datasets::rename_folder(aside_, folder_);
  aside_is_ours_ = false;
}

void JobParts::check_complete(const std::string& config, const std::vector<std::string>& may_change,
                              const std::vector<fs::path>& files) const {
  if (request_.ranks->first()) {
    const auto output = request_.output.string(), record = request_.record.string();
    require(fs::exists(request_.record),
            "{} exists, but not {}, which says what job wrote it: --resume cannot take it for this one's, --overwrite "
            "starts anew",
            output, record);
    const auto job = read_job(request_.record);
    check_same(job, describe(config, files, request_.launch.id), may_change);
    require(job.value("output_sha256", Json()) == datasets::sha256_file(request_.output),
            "{} is not what the job of {} wrote: --resume cannot take it for this one's, --overwrite starts anew",
            output, record);
  }
  request_.ranks->from_first("same");  // no rank says that all is done before the first has looked
}

// The first rank tells the others, which begin once it has.
void JobParts::list_done() {
  std::string numbers;
  if (request_.ranks->first()) {
    for (const auto& entry : fs::directory_iterator(folder_)) {
      const auto name = entry.path().filename().string();
      if (name.find(".partial-") != name.npos) {  // of a process that was killed
        fs::remove(entry.path());
      } else if (name.starts_with(prefix) && entry.path().extension() == request_.extension) {
        (numbers += name.substr(prefix.size())) += ' ';  // 000012.parquet
      }
    }
  }
  std::istringstream told(request_.ranks->from_first(numbers));
  for (std::string name; told >> name;) {
    int64_t number = -1;
    std::from_chars(name.data(), name.data() + name.size(), number);
    done_.push_back(number);
  }
  std::ranges::sort(done_);
}

bool JobParts::mine(int64_t part) const {
  const auto before = std::ranges::lower_bound(done_, part);
  if (before != done_.end() && *before == part) return false;
  return (part - (before - done_.begin())) % request_.ranks->size() == request_.ranks->rank();
}

fs::path JobParts::part(int64_t part) const {
  return folder_ / fmt::format("{}{:06}{}", prefix, part, request_.extension);
}

fs::path JobParts::rejects(int64_t part) const { return folder_ / fmt::format("{}{:06}.rejects.tsv", prefix, part); }

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
    fs::remove(request_.rejects);  // of a job that this one replaces
  }
  return rows;
}

void JobParts::write_record() const {
  auto job = read_job(folder_ / "job.json");
  job["output_sha256"] = datasets::sha256_file(request_.output);
  datasets::write_file(request_.record, text_of(job));
}

int64_t JobParts::finish(int64_t parts, const std::function<void(const std::vector<fs::path>&)>& join) {
  if (!request_.ranks->first()) return 0;
  std::vector<fs::path> paths;
  for (int64_t i = 0; i < parts; i++) {
    paths.push_back(part(i));
    if (!fs::exists(paths.back())) throw std::runtime_error(fmt::format("{} was not made", paths.back().string()));
  }
  const int64_t rejected = join_rejects(parts);
  join(paths);
  write_record();
  fs::remove_all(aside_);
  fs::rename(folder_, aside_);
  aside_is_ours_ = true;
  return rejected;
}

}  // namespace sartor::inference
