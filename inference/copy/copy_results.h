// Results of task: generate.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "copy/copy_record.h"
#include "metrics/texts/diversity.h"
#include "resume/record.h"

namespace sartor::inference {

// Sums up texts that pass by in the order of their rows.
class CopyResults {
 public:
  void add(const CopyRecord& record);

  // {"rows": ..., "texts": ..., "ends": {...}, "verdicts": {...}, "masked": {...}, ...}. distinct_1 and distinct_2 are
  // those of the first 100,000 written texts, self_bleu is the mean over rows with several written texts.
  Record json();

 private:
  void end_row();

  using Counts = std::map<std::string, int64_t, std::less<>>;

  int64_t rows_ = 0, texts_ = 0, passed_ = 0, replaced_ = 0, dropped_ = 0, tokens_ = 0, masked_prompts_ = 0;
  double log_probability_ = 0;
  Counts ends_, verdicts_;
  privacy::MaskCounts masked_, in_texts_;  // in prompts; in written texts, where nothing is masked
  text_metrics::DistinctNgrams ngrams_ = {text_metrics::Tokenizer::zh, 2};
  std::vector<std::string> row_texts_;  // written texts of the current row
  double self_bleu_ = 0;                // sum over rows
  int64_t compared_rows_ = 0;
};

}  // namespace sartor::inference
