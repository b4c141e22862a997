#include "jobs/job_record.h"

#include <algorithm>

#include "base/require.h"
#include "schema/document.h"
#include "storage/sha256.h"

namespace sartor::inference {
namespace {

bool is_text(const Record& json, const char* name) { return json.contains(name) && json[name].is_string(); }

bool is_job(const Record& json) {
  return is_text(json, "config") && json.contains("files") && json["files"].is_array() &&
         std::ranges::all_of(json["files"], [](const Record& file) { return is_text(file, "sha256"); });
}

}  // namespace

Record job_record(const JobOrigin& origin, const std::string& launch) {
  Record record = {{"config", origin.config.yaml()}, {"launch", launch}, {"files", Record::array()}};
  for (const auto& file : origin.files) {
    record["files"].push_back({{"path", file.string()}, {"sha256", datasets::sha256_file(file)}});
  }
  return record;
}

Record read_job_record(const std::filesystem::path& path) {
  auto record = read_record(path);
  require(is_job(record), "{} is broken: it is not the record of a job", path.string());
  return record;
}

void require_same_job(const Record& before, const JobOrigin& now) {
  config_changed("job", parse_document(before["config"].get<std::string>(), "job.json"), now.config, now.may_change);
  const auto& files = before["files"];
  require(now.files.size() == files.size(), "the job began with {} files, --resume cannot continue with {}",
          files.size(), now.files.size());
  for (size_t i = 0; i < now.files.size(); i++) {
    require(files[i]["sha256"] == datasets::sha256_file(now.files[i]),
            "{} has changed since the job began: --resume cannot continue", now.files[i].string());
  }
}

}  // namespace sartor::inference
