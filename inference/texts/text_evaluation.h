// Figures of generated texts: BLEU, chrF and ROUGE against references, and diversity.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/metric.h"
#include "metrics/texts/bleu.h"
#include "metrics/texts/chrf.h"
#include "metrics/texts/diversity.h"
#include "metrics/texts/rouge.h"
#include "schema/fields.h"

namespace sartor::inference {

enum class TextMetric { bleu, chrf, rouge, distinct, self_bleu };

constexpr auto choices(TextMetric) {
  return std::to_array<Choice<TextMetric>>({{"bleu", TextMetric::bleu},
                                            {"chrf", TextMetric::chrf},
                                            {"rouge", TextMetric::rouge},
                                            {"distinct", TextMetric::distinct},
                                            {"self_bleu", TextMetric::self_bleu}});
}

// How to measure diversity.
struct DiversityConfig {
  text_metrics::Tokenizer tokenizer = text_metrics::Tokenizer::zh;
  int64_t max_n = 3;

  template <class Fields> void describe(Fields& field) {
    field("tokenizer", tokenizer, "Tokenizer of distinct and self_bleu; zh suits English as well.");
    field("max_n", max_n, between(1, 16), "distinct: longest n-grams.");
  }
};

struct TextMetricsConfig {
  std::vector<TextMetric> metrics = {TextMetric::bleu, TextMetric::chrf, TextMetric::rouge, TextMetric::distinct};
  text_metrics::BleuConfig bleu;
  text_metrics::ChrfConfig chrf;
  text_metrics::RougeConfig rouge;
  DiversityConfig diversity;

  template <class Fields> void describe(Fields& field) {
    field("metrics", metrics,
          "bleu, chrf and rouge compare with references. distinct: share of different n-grams. self_bleu: BLEU of each "
          "text with the others as references, among the texts of the same id, or among all without ids.");
    field("bleu", bleu, "BLEU, equal to sacrebleu's.");
    field("chrf", chrf, "chrF, equal to sacrebleu's.");
    field("rouge", rouge, "ROUGE, equal to that of the package rouge-score; means over the texts.");
    field("diversity", diversity, "distinct and self_bleu.");
  }
  void check() const;

  bool has(TextMetric metric) const;
  bool compares() const;  // whether references are needed
};

// Metrics of single texts as rows of numbers, which are summed up for a corpus.
class TextStatistics {
 public:
  explicit TextStatistics(const TextMetricsConfig& config);

  int64_t columns() const { return columns_; }

  // Writes columns() numbers. There is at least one reference.
  void count(std::string_view hypothesis, std::span<const std::string_view> references, std::span<double> row) const;

  // Corpus figures from the sum of the rows of that many texts, such as bleu, chrF2, rouge1, rouge1_precision.
  std::vector<Metric> figures(std::span<const double> sums, double texts) const;

  // The same figures of one text from its row, without precision and recall of ROUGE.
  std::vector<Metric> figures_of_text(std::span<const double> row) const;

  // Counts from which BLEU was computed; none without BLEU.
  std::optional<text_metrics::BleuCounts> bleu_counts(std::span<const double> sums) const;
  const text_metrics::Bleu& bleu() const { return bleu_; }

  // Signature of each metric by name. references: number per text if it is the same for all.
  std::map<std::string, std::string> signatures(std::optional<int64_t> references) const;

 private:
  text_metrics::BleuCounts read_bleu(std::span<const double> row) const;
  text_metrics::ChrfCounts read_chrf(std::span<const double> row) const;

  TextMetricsConfig config_;
  text_metrics::Bleu bleu_;
  text_metrics::Chrf chrf_;
  text_metrics::Rouge rouge_;
  int64_t chrf_begin_ = 0, rouge_begin_ = 0, columns_ = 0;  // of the parts of a row
};

// Diversity of many texts.
class TextDiversity {
 public:
  explicit TextDiversity(const TextMetricsConfig& config);

  void add(std::string_view id, std::string_view text);  // id: empty without ids
  std::vector<Metric> figures() const;                   // distinct1, distinct2, ..., self_bleu

 private:
  TextMetricsConfig config_;
  text_metrics::DistinctNgrams distinct_;
  std::map<std::string, std::vector<std::string>, std::less<>> texts_;  // by id; only for self_bleu
};

}  // namespace sartor::inference
