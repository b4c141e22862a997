#include "texts/evaluate_texts.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "core/parallel_for.h"
#include "encodings/unicode.h"
#include "metrics/bootstrap.h"
#include "runtime/progress.h"
#include "runtime/signals.h"
#include "schema/log.h"
#include "storage/atomic_file.h"
#include "tables/table_files.h"
#include "tables/table_writer.h"

namespace sartor::inference {
namespace {

using Json = nlohmann::ordered_json;
using datasets::ColumnType;

// All texts, or those of a group.
struct Group {
  explicit Group(const TextMetricsConfig& config) : diversity(config) {}

  std::vector<double> sums;
  std::vector<int64_t> texts;  // their places in Evaluation::rows_, if these are kept
  double size = 0;
  TextDiversity diversity;
};

Json intervals_of(const std::vector<MetricInterval>& intervals, bool drawn) {
  Json json = Json::object();
  for (const auto& [name, value, low, high] : intervals) {
    json[name] = {{"value", value}};
    if (drawn) json[name].update({{"low", low}, {"high", high}});
  }
  return json;
}

class Evaluation {
 public:
  explicit Evaluation(const EvaluateTextsConfig& config)
      : config_(config), statistics_(config.measured), all_(config.measured) {}

  const TextStatistics& statistics() const { return statistics_; }

  // Adds texts with their rows of statistics.
  void add(const TextPairs& pairs, std::span<const double> rows) {
    for (int64_t i = 0; i < pairs.size(); i++) {
      const auto row = rows.subspan(i * statistics_.columns(), statistics_.columns());
      const auto id = pairs.ids.empty() ? std::string_view() : pairs.ids[i];
      const int64_t place = texts();
      add(all_, place, row, id, pairs.hypotheses[i]);
      if (config_.group) add(group(pairs.groups[i]), place, row, id, pairs.hypotheses[i]);
      if (config_.bootstrap.draws > 0) rows_.insert(rows_.end(), row.begin(), row.end());
      if (config_.measured.compares()) reference_counts_.insert(std::ssize(pairs.references[i]));
      chinese_ += has_chinese(pairs.hypotheses[i]);
    }
  }

  int64_t texts() const { return static_cast<int64_t>(all_.size); }
  int64_t chinese() const { return chinese_; }

  Json json() const {
    std::optional<int64_t> references;
    if (reference_counts_.size() == 1) references = *reference_counts_.begin();
    Json json = {{"signatures", statistics_.signatures(references)}, {"all", figures(all_)}};
    for (const auto& [name, group] : groups_) json["groups"][name] = figures(group);
    return json;
  }

 private:
  static bool has_chinese(std::string_view text) {
    for (const char *at = text.data(), *const end = at + text.size(); at < end;) {
      const char32_t code = text::unicode::next_character(at);
      if (code >= 0x4E00 && code < 0xA000) return true;
    }
    return false;
  }

  Group& group(std::string_view name) {
    auto found = groups_.find(name);
    if (found == groups_.end()) {
      require(groups_.size() < most_groups, "column {} has more than {} groups", *config_.group, most_groups);
      found = groups_.emplace(name, Group(config_.measured)).first;
    }
    return found->second;
  }

  void add(Group& group, int64_t place, std::span<const double> row, std::string_view id, std::string_view text) {
    group.sums.resize(row.size());
    for (size_t i = 0; i < row.size(); i++) group.sums[i] += row[i];
    if (config_.bootstrap.draws > 0) group.texts.push_back(place);
    group.size++;
    group.diversity.add(id, text);
  }

  std::vector<MetricInterval> intervals(const Group& group) const {
    const auto columns = static_cast<size_t>(statistics_.columns());
    if (group.texts.empty()) {  // without samples
      std::vector<MetricInterval> found;
      for (const auto& [name, value] : statistics_.figures(group.sums, group.size)) found.push_back({name, value});
      return found;
    }
    return bootstrap(std::ssize(group.texts),
                     [&](std::span<const int32_t> weights) {
                       std::vector<double> sums(columns);
                       for (size_t i = 0; i < weights.size(); i++) {
                         const double* row = rows_.data() + group.texts[i] * columns;
                         for (size_t c = 0; weights[i] > 0 && c < columns; c++) sums[c] += weights[i] * row[c];
                       }
                       return statistics_.figures(sums, group.size);
                     },
                     {config_.bootstrap.draws, config_.bootstrap.level, static_cast<uint64_t>(config_.bootstrap.seed)});
  }

  Json figures(const Group& group) const {
    Json json = {{"texts", static_cast<int64_t>(group.size)}};
    if (config_.measured.compares()) json.update(intervals_of(intervals(group), config_.bootstrap.draws > 0));
    if (const auto counts = statistics_.bleu_counts(group.sums)) {
      const auto bleu = statistics_.bleu().score(*counts);
      json["bleu"].update({{"precisions", bleu.precisions},
                           {"brevity_penalty", bleu.brevity_penalty},
                           {"hypothesis_length", counts->hypothesis_length},
                           {"reference_length", counts->reference_length}});
    }
    for (const auto& [name, value] : group.diversity.figures()) json[name] = {{"value", value}};
    return json;
  }

  static constexpr size_t most_groups = 10'000;

  const EvaluateTextsConfig& config_;
  const TextStatistics statistics_;
  Group all_;
  std::map<std::string, Group, std::less<>> groups_;
  std::vector<double> rows_;  // (texts, columns), for samples
  std::set<int64_t> reference_counts_;
  int64_t chinese_ = 0;
};

// Statistics of all pairs: (pairs, columns).
std::vector<double> count(const TextStatistics& statistics, const TextPairs& pairs, int threads) {
  const int64_t columns = statistics.columns();
  std::vector<double> rows(pairs.size() * columns);
  if (columns == 0) return rows;
  cuda::parallel_for(threads, pairs.size(), 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      statistics.count(pairs.hypotheses[i], pairs.references[i], std::span(rows).subspan(i * columns, columns));
    }
  });
  return rows;
}

// The table of each text's scores.
class RowTable {
 public:
  RowTable(const EvaluateTextsConfig& config, const TextStatistics& statistics)
      : statistics_(statistics), writer_(*config.rows, columns(config, statistics), /*overwrite=*/true) {}

  void append(const TextPairs& pairs, std::span<const double> rows) {
    std::vector<std::vector<double>> scores(scores_of(statistics_).size());
    for (int64_t i = 0; i < pairs.size(); i++) {
      const auto row = rows.subspan(i * statistics_.columns(), statistics_.columns());
      const auto figures = statistics_.figures_of_text(row);
      for (size_t c = 0; c < figures.size(); c++) scores[c].push_back(figures[c].value);
    }
    std::vector<datasets::ColumnValues> values = {pairs.rows};
    if (!pairs.ids.empty()) values.emplace_back(pairs.ids);
    if (!pairs.groups.empty()) values.emplace_back(pairs.groups);
    for (const auto& column : scores) values.emplace_back(column);
    if (pairs.size() > 0) writer_.append(values);
  }

  void finish() { writer_.finish(); }

 private:
  static std::vector<Metric> scores_of(const TextStatistics& statistics) {
    return statistics.figures_of_text(std::vector<double>(statistics.columns()));
  }

  static std::vector<datasets::ColumnSpec> columns(const EvaluateTextsConfig& config,
                                                   const TextStatistics& statistics) {
    std::vector<datasets::ColumnSpec> specs = {{"row", ColumnType::int64}};
    if (config.id) specs.push_back({"id", ColumnType::text});
    if (config.group) specs.push_back({"group", ColumnType::text});
    for (const auto& [name, value] : scores_of(statistics)) specs.push_back({name, ColumnType::float64});
    return specs;
  }

  const TextStatistics& statistics_;
  datasets::TableWriter writer_;
};

// Warns of tokenizers that do not divide Chinese.
void warn_of_chinese(const EvaluateTextsConfig& config, const Evaluation& evaluation) {
  using text_metrics::Tokenizer;
  if (evaluation.chinese() * 10 < evaluation.texts() || evaluation.chinese() == 0) return;
  const auto warn = [&](TextMetric metric, Tokenizer tokenizer, std::string_view what) {
    const bool divides = tokenizer == Tokenizer::zh || tokenizer == Tokenizer::characters;
    if (!config.measured.has(metric) || divides) return;
    log_warning("{} of {} texts have Chinese characters, which {}.tokenizer: {} {}; zh does", evaluation.chinese(),
                evaluation.texts(), name_of(metric), name_of(tokenizer), what);
  };
  warn(TextMetric::bleu, config.measured.bleu.tokenizer, "does not divide into words or characters");
  warn(TextMetric::rouge, config.measured.rouge.tokenizer, "ignores or does not divide into characters");
}

}  // namespace

void EvaluateTextsConfig::check() const {
  measured.check();
  const bool given = !references.empty() || reference_table;
  require(!measured.compares() || given, "bleu, chrf and rouge need references: set references or reference_table");
  require(measured.compares() || !given, "references are for bleu, chrf and rouge, which metrics does not have");
  require(references.empty() || !reference_table, "references and reference_table exclude each other");
  require(!reference_table || id, "reference_table requires id, the column of the source with its ids");
}

std::vector<std::filesystem::path> EvaluateTextsConfig::reads() const {
  auto paths = datasets::files_to_read(source);
  if (reference_table) std::ranges::move(datasets::files_to_read(reference_table->table), std::back_inserter(paths));
  return paths;
}

std::vector<Output> EvaluateTextsConfig::writes() const {
  std::vector<Output> outputs = {{output}, {rejects_path()}};
  if (rows) outputs.push_back({*rows});
  return outputs;
}

void evaluate_texts(const EvaluateTextsConfig& config, Runtime& runtime) {
  datasets::Rejects rejects(config.rejects_path());
  TextPairReader reader(
      {config.source, config.hypothesis, config.references, config.reference_table, config.id, config.group}, rejects);
  Evaluation evaluation(config);
  std::optional<RowTable> table;
  if (config.rows) table.emplace(config, evaluation.statistics());

  Progress progress("text", 0);
  for (TextPairs pairs; reader.next(pairs);) {
    const auto rows = count(evaluation.statistics(), pairs, runtime.threads);
    evaluation.add(pairs, rows);
    if (table) table->append(pairs, rows);
    progress.update(evaluation.texts());
    if (const int signal = stop_signal()) throw Stopped(signal, "stopped, nothing written");
  }
  if (evaluation.texts() == 0) rejects.refuse_all();

  Json json = {{"texts", evaluation.texts()}, {"rejected", rejects.total()}};
  if (config.reference_table) json["unused_references"] = reader.unused_ids();
  json.update(evaluation.json());
  if (table) table->finish();
  rejects.finish();
  datasets::write_file(config.output, json.dump(2) + "\n");
  warn_of_chinese(config, evaluation);
  log_info("{}: {} texts; {} rejected", config.output, evaluation.texts(), rejects.total());
  for (const auto& [name, figure] : json["all"].items()) {
    if (figure.is_object()) log_info("{}: {:.4f}", name, figure["value"].get<double>());
  }
  if (rejects.total() > 0) log_warning("{} says why rows were rejected", config.rejects_path());
}

}  // namespace sartor::inference
