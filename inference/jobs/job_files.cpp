#include "jobs/job_files.h"

#include <algorithm>

#include "tables/presets.h"

namespace sartor::inference {

namespace fs = std::filesystem;

std::vector<fs::path> model_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto kind = entry.path().extension();
    if (kind == ".json" || kind == ".txt" || kind == ".jinja" || kind == ".safetensors") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

std::vector<fs::path> source_files(const datasets::TableConfig& source) {
  datasets::require_readable_twice(source, "for its SHA-256");
  const auto files = datasets::table_files(source);
  return {files.begin(), files.end()};
}

}  // namespace sartor::inference
