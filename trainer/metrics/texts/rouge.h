// ROUGE (Lin 2004) as the package rouge-score computes it, with a choice of tokenizers.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/texts/tokenizers.h"
#include "schema/fields.h"

namespace sartor::text_metrics {

enum class RougeType { rouge1, rouge2, rougeL, rougeLsum };

constexpr auto choices(RougeType) {
  return std::to_array<Choice<RougeType>>({{"rouge1", RougeType::rouge1},
                                           {"rouge2", RougeType::rouge2},
                                           {"rougeL", RougeType::rougeL},
                                           {"rougeLsum", RougeType::rougeLsum}});
}

struct RougeConfig {
  std::vector<RougeType> types = {RougeType::rouge1, RougeType::rouge2, RougeType::rougeL, RougeType::rougeLsum};
  Tokenizer tokenizer = Tokenizer::rouge;
  bool stemmer = false;

  template <class Fields> void describe(Fields& field) {
    field("types", types,
          "rouge1 and rouge2: n-grams; rougeL: longest common subsequence; rougeLsum: the same per line, for texts of "
          "several lines.");
    field(
        "tokenizer", tokenizer,
        "rouge: ASCII letters and digits, as the package rouge-score, which ignores all other characters; zh, char or "
        "another tokenizer of sacrebleu for texts with Chinese. Case does not matter.");
    field("stemmer", stemmer,
          "rouge: compare words of more than three letters without their endings (Porter, English).");
  }
  void check() const;
};

struct RougeScore {
  double precision = 0, recall = 0, f1 = 0;  // 0 to 1
};

class Rouge {
 public:
  explicit Rouge(RougeConfig config) : config_(std::move(config)) {}

  // Scores in the order of config.types, each against the reference with the largest f1. Invalid UTF-8 counts as
  // U+FFFD.
  std::vector<RougeScore> score(std::string_view hypothesis, std::span<const std::string_view> references) const;

  std::string signature() const;  // such as "tok:rouge|stemmer:no|version:0.1.2"

 private:
  RougeConfig config_;
};

// The version of rouge-score whose figures ours equal, for signatures.
inline constexpr std::string_view rouge_score_version = "0.1.2";

}  // namespace sartor::text_metrics
