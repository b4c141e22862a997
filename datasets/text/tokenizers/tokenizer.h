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

#include "text/tokenizers/tokenizer_spec.h"

namespace sartor::text {

// Characters begin .. end - 1 of a text, counted in code points; what is no UTF-8 counts as the U+FFFD that stand for
// it (unicode::replace_broken). Special tokens of the template have 0 .. 0.
struct Span {
  uint32_t begin = 0, end = 0;
  bool operator==(const Span&) const = default;
};

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

class TextModel;

// Any number of threads may use one at a time.
class Tokenizer {
 public:
  // Throws std::invalid_argument for a spec that contradicts itself or that the reference would not run.
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
  class Encoder;

  TokenizerSpec spec_;
  std::unique_ptr<const TextModel> model_;
  AddedTokenFinder added_;  // those that are looked for in the text as it is
  struct Known {
    int32_t id;
    std::string text;
    std::string decoded;   // the text, or what it is once normalised
    bool special = false;  // what decode() may leave out
  };
  const Known* known(int32_t id) const;

  std::vector<Known> known_;               // ascending ids
  std::vector<size_t> by_text_;            // of known_, in the order of their texts
  int64_t special_single_, special_pair_;  // tokens that the templates add
};

}  // namespace sartor::text
