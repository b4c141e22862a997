#include "tasks/data/tokenize.h"

#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "core/parallel_for.h"
#include "schema/config.h"
#include "schema/log.h"
#include "storage/watched_files.h"
#include "tables/presets.h"
#include "tasks/data/sources.h"
#include "text/tokenizers/tokenizer_files.h"

namespace sartor {
namespace {

using Json = nlohmann::ordered_json;

double ratio(int64_t part, int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(std::max<int64_t>(whole, 1));
}

// Config as YAML without the fields for generators, unless they are used, so that the bytes of other files do not
// depend on whether this program knows these fields.
std::string yaml_of(YamlNode node) {
  const auto drop = [](YamlNode& from, std::string_view key) {
    std::erase_if(from.children, [&](const YamlNode& child) {
      return child.key == key && child.children.empty() && child.kind != YamlNode::Kind::scalar;
    });
  };
  drop(node, "generation");
  auto* data = &node;
  for (auto& child : node.children) {
    if (child.key == "data") data = &child;
  }
  for (auto& child : data->children) {
    if (child.key != "sources") continue;
    for (auto& source : child.children) drop(source, "constants");
  }
  return to_yaml(node);
}

// The part of the config that determines the result, without paths. Hashed with the sources.
std::string treatment(const TokenizeConfig& config, const std::string& tokenizer_hash,
                      const std::optional<text::Generation>& generation) {
  auto data = config.data;
  for (auto& source : data.sources) source.table.path.clear();
  auto text = yaml_of(yaml_node(data)) + to_yaml(config.split) +
              fmt::format("{} {}\n{}\n{}", config.max_length, name_of(config.longer), name_of(config.duplicates),
                          tokenizer_hash);
  if (!generation) return text;
  const auto& chat = generation->chat;
  return text + fmt::format("\n{}{}\n{} {}\n{}", to_yaml(generation->config), name_of(chat.format),
                            chat.system.has_value(), chat.system.value_or(""), fmt::join(generation->end, " "));
}

// "1200 prompts": what the split is by.
std::string split_unit(const text::Generation& generation, const text::TextReport& report) {
  if (generation.content == datasets::Content::language_modeling) return "texts";
  const bool prompts = generation.config.split_by == text::SplitBy::prompt;
  return fmt::format("{} {}", report.groups, prompts ? "prompts" : "completions");
}

void log_generator(const TokenizeConfig& config, const text::Generation& generation, const text::TextReport& report,
                   int64_t rejected) {
  log_info("{}: {} rows; {} rejected, {} repeated{}", config.output, report.read + rejected, rejected, report.repeated,
           config.generation->best_of ? fmt::format(", {} not among the best of their prompts", report.outscored) : "");
  const bool preferences = generation.content == datasets::Content::preference;
  const int64_t rows = preferences ? 2 : 1;  // per text
  log_info(
      "train {}, validation {}, test {} {}, split by {}; {} tokens, {} of them predicted; {:.2f} bytes per predicted "
      "token; {} rows cut at {} tokens",
      report.train / rows, report.validation / rows, report.test / rows, preferences ? "pairs" : "rows",
      split_unit(generation, report), report.tokens, report.counted, ratio(report.bytes, report.counted), report.cut,
      config.max_length);
  if (report.opposed > 0) {
    log_warning("{} preferences contradict another one with the same prompt and texts; they were kept", report.opposed);
  }
  if (report.moved > 0) {
    log_warning(
        "{} rows are not in the part of their table, because an earlier row of the same prompt is in another one",
        report.moved);
  }
}

void log_classification(const TokenizeConfig& config, const text::TextReport& report, int64_t rejected) {
  log_info("{}: {} rows; {} rejected, {} repeated, {} dropped because equal texts have different labels", config.output,
           report.read + rejected, rejected, report.repeated, report.contradicting);
  log_info("train {}, validation {}, test {}; {:.1f} tokens per row, {:.2f}% unknown, {} rows of max_length {}",
           report.train, report.validation, report.test,
           ratio(report.tokens, report.train + report.validation + report.test),
           100 * ratio(report.unknown, report.tokens), report.full, config.max_length);
  if (report.empty > 0) log_warning("{} texts have no tokens and were skipped", report.empty);
}

}  // namespace

void tokenize(const TokenizeConfig& config, Runtime& runtime) {
  const text::Tokenizer tokenizer(text::read_tokenizer(config.tokenizer));
  const auto tokenizer_hash = hash_of(tokenizer.spec());
  std::optional<text::Generation> generation;
  if (config.generation) generation = resolve(config.data, *config.generation, config.tokenizer, tokenizer);
  std::vector<std::string> files;
  for (const auto& source : config.data.sources) {
    require_readable_twice(source.table, "for its SHA-256");
    for (const auto& file : datasets::table_files(source.table)) files.push_back(file);
  }

  const datasets::WatchedFiles watched(files);
  datasets::Rejects rejects(config.rejects_path(), config.data.unfit);
  text::TextSource source(config.data, rejects, config.generation ? &*config.generation : nullptr);
  const auto describe = [&](const text::TextReport& report) -> datasets::Provenance {
    const Json sources = describe_files(files);
    watched.check();
    const Json provenance = {{"sources", sources},
                             {"config", yaml_of(yaml_node(config))},
                             {"rows",
                              {{"read", report.read + rejects.total()},
                               {"rejected", rejects.total()},
                               {"repeated", report.repeated},
                               {"contradicting", report.contradicting}}},
                             {"reasons", rejects.counts()},
                             {"versions", versions()}};
    return {provenance.dump(2, ' ', false, Json::error_handler_t::replace),
            data_hash(sources, treatment(config, tokenizer_hash, generation))};
  };
  const auto report = write_texts(config.output, source, config.data, tokenizer,
                                  {.length = {config.max_length, config.longer},
                                   .duplicates = config.duplicates,
                                   .split = config.split,
                                   .generation = generation,
                                   .describe = describe,
                                   .run = cuda::tasks_on(runtime.threads)});
  rejects.finish();

  if (generation) {
    log_generator(config, *generation, report, rejects.total());
  } else {
    log_classification(config, report, rejects.total());
  }
  if (rejects.total() > 0) log_warning("rejected rows and reasons are in {}", config.rejects_path());
}

}  // namespace sartor
