// Token ids of texts for generators.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tables/rejects.h"
#include "text/generation.h"
#include "text/tokenized_rows.h"

namespace sartor::text {

// The special tokens that the tokenizer's template puts before a text, such as a beginning-of-text token.
std::vector<int32_t> tokens_before_text(const Tokenizer& tokenizer);

// The tokens of a text after `before`, unless they begin with these.
std::vector<int32_t> begun_with(std::span<const int32_t> before, std::span<const int32_t> ids);

// Tokenizes batches of texts. A plain text is a row, or several with longer: divide. A prompt and its completion are
// tokenized apart, as when a model writes: the row is both without anything between. A preference is two rows.
//
// Rows begin with the special tokens that the tokenizer's template puts before a text, unless they are there already
// or belong to the chat format; the template's tokens after a text are not used. They end with Generation::end, unless
// the text was cut. Prompts are never cut.
class GeneratorRows {
 public:
  // All arguments must outlive this object. Rows without room for a completion, or without a token to predict, go to
  // `rejects`.
  GeneratorRows(const Tokenizer& tokenizer, const Generation& generation, RowLength length, const RunTasks& run,
                datasets::ScratchFile& scratch, datasets::Rejects& rejects);

  // Removes rejected rows from the batch.
  void add(TextBatch& batch);

  TokenizedRows take() { return found_.take(); }

 private:
  using Ids = std::vector<int32_t>;
  using Texts = std::vector<std::string_view>;
  struct Refusal {
    std::string reason, text;
  };
  struct Row {
    Ids ids;
    Tokens counts;
  };

  struct Answer {
    const char* name;  // for messages
    std::string_view text;
    std::span<const int32_t> ids;
  };

  void add_plain_texts(TextBatch& batch, std::vector<bool>& kept);
  void add_completions(TextBatch& batch, std::vector<bool>& kept);
  bool end_text(const TextBatch& batch, int64_t i, const std::optional<Refusal>& refusal);

  Encodings encode(const Texts& texts, bool whole) const;
  Encodings encode_prompts(const std::vector<std::string>& prompts) const;
  Texts answers(const std::vector<std::string>& texts) const;
  void append_end(Ids& ids) const;

  std::optional<Refusal> add_plain(std::string_view text, std::span<const int32_t> ids);
  void add_divided(std::string_view text, const Ids& row, int64_t added);
  std::optional<Refusal> complete(std::string_view prompt, const Ids& prompt_ids, std::span<const Answer> answers,
                                  std::vector<Row>& rows) const;

  const Tokenizer& tokenizer_;
  const Generation& generation_;
  const RowLength length_;
  const RunTasks& run_;
  datasets::Rejects& rejects_;
  const Ids before_;  // special tokens before a text
  RowCollector found_;
};

}  // namespace sartor::text
