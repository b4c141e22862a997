#include "texts/text_evaluation.h"

#include <algorithm>

namespace sartor::inference {

using text_metrics::BleuCounts;
using text_metrics::ChrfCounts;

void TextMetricsConfig::check() const {
  require(!metrics.empty(), "metrics is empty, expected bleu, chrf, rouge, distinct or self_bleu");
  for (const auto metric : metrics) {
    require(std::ranges::count(metrics, metric) == 1, "metrics has {} twice", name_of(metric));
  }
}

bool TextMetricsConfig::has(TextMetric metric) const { return std::ranges::find(metrics, metric) != metrics.end(); }

bool TextMetricsConfig::compares() const {
  return has(TextMetric::bleu) || has(TextMetric::chrf) || has(TextMetric::rouge);
}

// Row: of BLEU the two lengths, then matches and totals; of chrF three numbers per order; of ROUGE three per type.
TextStatistics::TextStatistics(const TextMetricsConfig& config)
    : config_(config), bleu_(config.bleu), chrf_(config.chrf), rouge_(config.rouge) {
  if (config.has(TextMetric::bleu)) columns_ += 2 + 2 * config.bleu.max_order;
  chrf_begin_ = columns_;
  if (config.has(TextMetric::chrf)) columns_ += 3 * (config.chrf.char_order + config.chrf.word_order);
  rouge_begin_ = columns_;
  if (config.has(TextMetric::rouge)) columns_ += 3 * std::ssize(config.rouge.types);
}

void TextStatistics::count(std::string_view hypothesis, std::span<const std::string_view> references,
                           std::span<double> row) const {
  auto next = row.begin();
  const auto put = [&](auto value) { *next++ = static_cast<double>(value); };
  if (config_.has(TextMetric::bleu)) {
    const auto counts = bleu_.count(hypothesis, references);
    put(counts.hypothesis_length);
    put(counts.reference_length);
    std::ranges::for_each(counts.matches, put);
    std::ranges::for_each(counts.totals, put);
  }
  if (config_.has(TextMetric::chrf)) {
    for (const auto& order : chrf_.count(hypothesis, references).orders) {
      put(order.hypothesis);
      put(order.reference);
      put(order.matches);
    }
  }
  if (config_.has(TextMetric::rouge)) {
    for (const auto& score : rouge_.score(hypothesis, references)) {
      put(score.precision);
      put(score.recall);
      put(score.f1);
    }
  }
}

BleuCounts TextStatistics::read_bleu(std::span<const double> row) const {
  const int64_t orders = config_.bleu.max_order;
  const auto matches = row.subspan(2, orders), totals = row.subspan(2 + orders, orders);
  return {.hypothesis_length = static_cast<int64_t>(row[0]),
          .reference_length = static_cast<int64_t>(row[1]),
          .matches = {matches.begin(), matches.end()},
          .totals = {totals.begin(), totals.end()}};
}

ChrfCounts TextStatistics::read_chrf(std::span<const double> row) const {
  ChrfCounts counts;
  for (int64_t at = chrf_begin_; at < rouge_begin_; at += 3) {
    const auto number = [&](int64_t i) { return static_cast<int64_t>(row[at + i]); };
    counts.orders.push_back({number(0), number(1), number(2)});
  }
  return counts;
}

std::vector<Metric> TextStatistics::figures(std::span<const double> sums, double texts) const {
  std::vector<Metric> found;
  if (config_.has(TextMetric::bleu)) found.push_back({"bleu", bleu_.score(read_bleu(sums)).score});
  if (config_.has(TextMetric::chrf)) found.push_back({chrf_.name(), chrf_.score(read_chrf(sums))});
  for (int64_t at = rouge_begin_; at < columns_; at += 3) {
    const std::string name(name_of(config_.rouge.types[(at - rouge_begin_) / 3]));
    found.push_back({name, sums[at + 2] / texts});
    found.push_back({name + "_precision", sums[at] / texts});
    found.push_back({name + "_recall", sums[at + 1] / texts});
  }
  return found;
}

std::vector<Metric> TextStatistics::figures_of_text(std::span<const double> row) const {
  std::vector<Metric> found;
  if (config_.has(TextMetric::bleu)) found.push_back({"bleu", bleu_.score_of_text(read_bleu(row)).score});
  if (config_.has(TextMetric::chrf)) found.push_back({chrf_.name(), chrf_.score(read_chrf(row))});
  for (int64_t at = rouge_begin_; at < columns_; at += 3) {
    found.push_back({std::string(name_of(config_.rouge.types[(at - rouge_begin_) / 3])), row[at + 2]});
  }
  return found;
}

std::optional<BleuCounts> TextStatistics::bleu_counts(std::span<const double> sums) const {
  return config_.has(TextMetric::bleu) ? std::optional(read_bleu(sums)) : std::nullopt;
}

std::map<std::string, std::string> TextStatistics::signatures(std::optional<int64_t> references) const {
  std::map<std::string, std::string> found;
  if (config_.has(TextMetric::bleu)) found["bleu"] = bleu_.signature(references);
  if (config_.has(TextMetric::chrf)) found[chrf_.name()] = chrf_.signature(references);
  if (config_.has(TextMetric::rouge)) found["rouge"] = rouge_.signature();
  const bool diverse = config_.has(TextMetric::distinct) || config_.has(TextMetric::self_bleu);
  if (diverse) found["diversity"] = fmt::format("tok:{}", name_of(config_.diversity.tokenizer));
  return found;
}

TextDiversity::TextDiversity(const TextMetricsConfig& config)
    : config_(config), distinct_(config.diversity.tokenizer, config.diversity.max_n) {}

void TextDiversity::add(std::string_view id, std::string_view text) {
  if (config_.has(TextMetric::distinct)) distinct_.add(text);
  if (!config_.has(TextMetric::self_bleu)) return;
  auto found = texts_.find(id);
  if (found == texts_.end()) found = texts_.emplace(id, std::vector<std::string>()).first;
  found->second.emplace_back(text);
}

std::vector<Metric> TextDiversity::figures() const {
  std::vector<Metric> found;
  for (int64_t n = 1; config_.has(TextMetric::distinct) && n <= distinct_.max_n(); n++) {
    found.push_back({"distinct" + std::to_string(n), distinct_.value(n)});
  }
  if (!config_.has(TextMetric::self_bleu)) return found;
  double sum = 0, sets = 0;
  for (const auto& [id, texts] : texts_) {
    if (texts.size() < 2) continue;
    sum += text_metrics::self_bleu(texts, {.tokenizer = config_.diversity.tokenizer});
    sets++;
  }
  found.push_back({"self_bleu", sets > 0 ? sum / sets : 0});
  return found;
}

}  // namespace sartor::inference
