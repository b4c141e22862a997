#include "tasks/data/tokenize.h"

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

// The part of the config that determines the result, without paths. Hashed with the sources.
std::string treatment(const TokenizeConfig& config, const std::string& tokenizer_hash) {
  auto data = config.data;
  for (auto& source : data.sources) source.table.path.clear();
  return to_yaml(data) + to_yaml(config.split) +
         fmt::format("{} {}\n{}\n{}", config.max_length, name_of(config.longer), name_of(config.duplicates),
                     tokenizer_hash);
}

}  // namespace

void tokenize(const TokenizeConfig& config, Runtime& runtime) {
  const text::Tokenizer tokenizer(text::read_tokenizer(config.tokenizer));
  const auto tokenizer_hash = hash_of(tokenizer.spec());
  std::vector<std::string> files;
  for (const auto& source : config.data.sources) {
    require_readable_twice(source.table, "for its SHA-256");
    for (const auto& file : datasets::table_files(source.table)) files.push_back(file);
  }

  const datasets::WatchedFiles watched(files);
  datasets::Rejects rejects(config.rejects_path(), config.data.unfit);
  text::TextSource source(config.data, rejects);
  const auto describe = [&](const text::TextReport& report) -> datasets::Provenance {
    const Json sources = describe_files(files);
    watched.check();
    const Json provenance = {{"sources", sources},
                             {"config", to_yaml(config)},
                             {"rows",
                              {{"read", report.read + rejects.total()},
                               {"rejected", rejects.total()},
                               {"repeated", report.repeated},
                               {"contradicting", report.contradicting}}},
                             {"reasons", rejects.counts()},
                             {"versions", versions()}};
    return {provenance.dump(2, ' ', false, Json::error_handler_t::replace),
            data_hash(sources, treatment(config, tokenizer_hash))};
  };
  const auto report = write_texts(config.output, source, config.data, tokenizer,
                                  {.length = {config.max_length, config.longer},
                                   .duplicates = config.duplicates,
                                   .split = config.split,
                                   .describe = describe,
                                   .run = cuda::tasks_on(runtime.threads)});
  rejects.finish();

  log_info("{}: {} rows; {} rejected, {} repeated, {} dropped because equal texts have different labels", config.output,
           report.read + rejects.total(), rejects.total(), report.repeated, report.contradicting);
  const auto ratio = [](int64_t part, int64_t whole) {
    return static_cast<double>(part) / static_cast<double>(std::max<int64_t>(whole, 1));
  };
  log_info("train {}, validation {}, test {}; {:.1f} tokens per row, {:.2f}% unknown, {} rows of max_length {}",
           report.train, report.validation, report.test,
           ratio(report.tokens, report.train + report.validation + report.test),
           100 * ratio(report.unknown, report.tokens), report.full, config.max_length);
  if (report.empty > 0) log_warning("{} texts have no tokens and were skipped", report.empty);
  if (rejects.total() > 0) log_warning("rejected rows and reasons are in {}", config.rejects_path());
}

}  // namespace sartor
