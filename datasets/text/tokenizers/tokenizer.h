// Texts into token ids and back, as Hugging Face's tokenizers 0.23.3 does it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizers/tokenizer_model.h"
#include "text/tokenizers/tokenizer_spec.h"

namespace sartor::text {

// Rows of tokens, one behind the other. Row r has the elements rows[r] .. rows[r + 1] - 1.
struct Encodings {
  std::vector<int64_t> rows = {0};
  std::vector<int32_t> ids;
  std::vector<uint8_t> type_ids;      // by the template: 0, and 1 for the second text of a pair
  std::vector<uint8_t> special_mask;  // 1 for tokens of the template
  std::vector<Span> offsets;          // only if they were asked for
  int64_t cut = 0;                    // rows that lost tokens to truncation

  int64_t size() const { return std::ssize(rows) - 1; }
  std::span<const int32_t> row(int64_t r) const { return {ids.data() + rows[r], ids.data() + rows[r + 1]}; }
};

// A rectangle of rows, as models take it.
struct PaddedBatch {
  int64_t size = 0, length = 0;
  std::vector<int32_t> ids;             // (size, length), as the others
  std::vector<uint8_t> attention_mask;  // 1 for what is no padding
  std::vector<uint8_t> type_ids, special_mask;
};
// Rows longer than padding.length stay as they are where they all have one length; otherwise the longest decides.
// Throws std::invalid_argument for a length below 0 or a multiple_of below 1.
PaddedBatch pad(const Encodings& encodings, const Padding& padding);

struct EncodeOptions {
  bool special_tokens = true;  // those of the template: [CLS] and [SEP]
  bool offsets = false;
  std::optional<Truncation> truncation;  // none: texts are taken whole
};

// Runs task(0) .. task(tasks - 1), each once, in any order, on as many threads as it likes, and returns when all are
// done. cuda/core's parallel_for, for one.
using RunTasks = std::function<void(int64_t tasks, const std::function<void(int64_t)>& task)>;

// Any number of threads may use one at a time.
class Tokenizer {
 public:
  // Throws std::invalid_argument for a spec that contradicts itself or that the reference would not run, and where two
  // added tokens are the same once normalized or nothing is left of one.
  explicit Tokenizer(TokenizerSpec spec);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;

  const TokenizerSpec& spec() const { return spec_; }
  int64_t vocabulary_size() const;  // the highest id, and 1
  std::optional<int32_t> id_of(std::string_view token) const;
  std::string_view token(int32_t id) const;  // empty for ids that are none

  // Any bytes are a text. Throws std::invalid_argument where a truncation cannot be done: max_length below the
  // template's tokens, only_first or only_second on a text that would have nothing left, only_second on a single text.
  Encodings encode(std::string_view text, const EncodeOptions& options = {}) const;
  Encodings encode(std::string_view text, std::string_view pair, const EncodeOptions& options = {}) const;

  // A row for each text, or, where `pairs` is not empty, for each text and its pair (as many). The same whatever `run`
  // does; without it the caller's thread does all. One task has about 128 KiB of text.
  Encodings encode(std::span<const std::string_view> texts, std::span<const std::string_view> pairs,
                   const EncodeOptions& options, const RunTasks& run = nullptr) const;

  // Ids that are none are left out, as in the reference.
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens = true) const;

 private:
  using Texts = std::span<const std::string_view>;
  class Encoder;

  Encodings encode_rows(Texts texts, Texts pairs, const EncodeOptions& options) const;
  Encodings encode_in_tasks(Texts texts, Texts pairs, const EncodeOptions& options, const RunTasks& run) const;

  TokenizerSpec spec_;
  std::unique_ptr<const TokenizerModel> model_;
  AddedTokenFinder added_, normalized_added_;  // looked for in the text as it is, and once it is normalized
  struct Known {
    int32_t id;
    std::string text;
    std::string decoded;   // the text, or what it is once normalized
    bool special = false;  // what decode() may leave out
  };
  const Known* known(int32_t id) const;

  std::vector<Known> known_;     // ascending ids
  std::vector<size_t> by_text_;  // of known_, in the order of their texts
};

}  // namespace sartor::text
