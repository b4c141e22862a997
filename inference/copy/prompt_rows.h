// Prompts of a table's rows, in windows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "copy/prompt_tokens.h"
#include "copy/prompts.h"
#include "privacy/masking.h"
#include "records/string_column.h"
#include "text/text_rows.h"

namespace sartor::inference {

// Makes prompts from the values of a row. Holds the gathered lists.
class PromptMaker {
 public:
  PromptMaker(PromptTemplate pattern, const std::vector<ListConfig>& lists, bool masks);

  struct Made {
    std::string prompt;
    privacy::MaskCounts masked;
    std::optional<Refusal> refusal;  // why there is no prompt
  };
  // value(i) is the value of pattern().columns()[i].
  Made make(const std::function<std::string_view(size_t)>& value, std::string_view id) const;

  const PromptTemplate& pattern() const { return pattern_; }
  // Text of a rejected row, masked if prompts are.
  std::string shown(const std::string& text) const;

 private:
  PromptTemplate pattern_;
  std::vector<GatheredList> lists_;
  bool masks_;
};

struct PromptRow {
  int64_t row = 0;  // see TextRecords::row()
  std::string text;
  privacy::MaskCounts masked;
  std::vector<int32_t> ids;
};

// Consecutive rows of one part, without rejected ones.
struct PromptWindow {
  int64_t part = 0;
  bool ends_part = false;
  std::vector<PromptRow> rows;
  datasets::StringColumn ids;                // empty without an id column
  std::vector<datasets::StringColumn> kept;  // one for each of the columns to keep
  std::vector<text::UnfitRow> rejected;      // in the order of the table

  int64_t size() const { return std::ssize(rows); }
};

// The prompts of the rows of a window. `window` has the columns to keep, `keep` of them, and then those of the
// template. Rejects rows without a prompt. Throws std::invalid_argument with file and row if the reason is fatal.
PromptWindow prompts_of(text::TextWindow window, size_t keep, const PromptMaker& maker, const PromptTokens& tokens,
                        const text::RunTasks& run);

}  // namespace sartor::inference
