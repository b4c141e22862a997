#include "copy/generate_config.h"

#include "copy/prompts.h"
#include "schema/config.h"
#include "storage/sha256.h"
#include "tables/presets.h"
#include "tables/table_writer.h"

namespace sartor::inference {
namespace {

void check_without_source(const GenerateConfig& config) {
  const auto refuse = [](bool given, std::string_view name) {
    require(!given, "{} is set, but there is no source: a single prompt has no columns and no output file", name);
  };
  require(config.prompt.has_value(), "neither source nor prompt is set");
  refuse(!config.output.empty(), "output");
  refuse(!config.keep.empty(), "keep");
  refuse(config.id.has_value(), "id");
  refuse(!config.slots.empty(), "slots");
  refuse(!config.lists.empty(), "lists");
  refuse(config.review.has_value(), "review");
  refuse(config.rejects.has_value(), "rejects");
}

}  // namespace

void ReviewConfig::check() const {
  require(path.ends_with(".csv"), "path is {}, expected a file name that ends in .csv", path);
}

void GenerateConfig::check() const {
  require(lists.empty() || id.has_value(), "lists needs id, the column with the ids of the source's rows");
  require(!system || chat != text::ChatChoice::none, "system is set, but chat is none");
  require(filters.refill.attempts == 1 || decoding.do_sample,
          "filters.refill.attempts is {}, which requires decoding.do_sample: otherwise the same text is written again",
          filters.refill.attempts);
  require(!max_length || decoding.max_new_tokens < *max_length,
          "decoding.max_new_tokens is {}, but max_length is {}: there is no room for a prompt", decoding.max_new_tokens,
          max_length.value_or(0));
  if (!source) return check_without_source(*this);
  require(!output.empty(), "output is missing, which source requires");
  datasets::check_table_name(output);
  if (!prompt) return;
  std::vector<std::string> names;
  for (const auto& list : lists) names.push_back(list.slot());
  PromptTemplate(*prompt, slots, names);
}

std::vector<std::filesystem::path> GenerateConfig::reads() const {
  std::vector<std::filesystem::path> paths = {model};
  const auto add = [&](const datasets::TableConfig& table) {
    const auto files = datasets::files_to_read(table);
    paths.insert(paths.end(), files.begin(), files.end());
  };
  if (source) add(*source);
  for (const auto& list : lists) add(list.table);
  return paths;
}

std::vector<Output> GenerateConfig::writes() const {
  if (!source) return {};
  auto outputs = JobConfig::writes();
  outputs.push_back({results_path()});
  if (review) outputs.push_back({review->path});
  return outputs;
}

std::string config_hash(const GenerateConfig& config) {
  auto hashed = config;
  const GenerateConfig defaults;
  static_cast<JobConfig&>(hashed) = defaults;
  hashed.model.clear();
  if (hashed.source) hashed.source->path.clear();
  for (auto& list : hashed.lists) list.table.path.clear();
  hashed.keep.clear();
  hashed.review.reset();
  hashed.limits = defaults.limits;
  hashed.window = defaults.window;
  return datasets::sha256(to_yaml(hashed)).substr(0, 16);
}

std::vector<std::string> may_change_in_generation() {
  auto fields = job_may_change();
  fields.insert(fields.end(), {"limits", "window", "review", "model", "source.path"});
  return fields;
}

}  // namespace sartor::inference
