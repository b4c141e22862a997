// Writes the texts of this rank's parts.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "copy/copy_table.h"
#include "copy/generate_config.h"
#include "copy/prompt_rows.h"
#include "copy/row_texts.h"
#include "jobs/part_writer.h"
#include "jobs/read_ahead.h"
#include "runtime/collective.h"
#include "runtime/progress.h"

namespace sartor::inference {

// double, because sums over ranks are of doubles
struct WriteCounts {
  double rows = 0, texts = 0, tokens = 0;  // also of texts that were replaced
};

// Prompts flow from windows to the writer without regard to parts, so that its batches stay full. Windows are written
// in their order, as soon as all texts of the first one are there.
class CopyShare {
 public:
  // All arguments must outlive this object.
  CopyShare(const GenerateConfig& config, const JobParts& parts, CopyTable& table, const Collective& ranks);

  WriteCounts write(TextWriter& writer, ReadAhead<PromptWindow>& ahead);

 private:
  struct Open {
    PromptWindow window;
    std::vector<RowTexts> texts = {};            // of the rows that the writer has
    std::vector<std::vector<Copy>> copies = {};  // of the rows
    int64_t complete = 0;                        // number of rows whose texts are all there
  };
  struct Place {
    Open* open;
    int64_t row;  // in the window
  };

  std::optional<Prompt> next(ReadAhead<PromptWindow>& ahead);
  std::optional<Prompt> done(Written written);
  void write_complete();
  void write(Open& open);
  void show();

  const GenerateConfig& config_;
  CopyTable& table_;
  const TextFilters filters_;
  PartWriter parts_;
  const bool several_;
  std::optional<Progress> progress_;
  WriteCounts counts_;
  std::deque<Open> open_;
  std::unordered_map<int64_t, Place> places_;  // of the rows that the writer has
};

}  // namespace sartor::inference
