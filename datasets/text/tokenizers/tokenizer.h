// Conversion of texts to token ids and back, compatible with Hugging Face tokenizers 0.23.3.
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

// Rows of tokens, concatenated. Row r has the elements rows[r] .. rows[r + 1] - 1.
struct Encodings {
  std::vector<int64_t> rows = {0};
  std::vector<int32_t> ids;
  std::vector<uint8_t> type_ids;      // from the template; by default 1 for the second text of a pair, otherwise 0
  std::vector<uint8_t> special_mask;  // 1 for special tokens of the template
  std::vector<Span> offsets;          // empty unless requested
  int64_t cut = 0;                    // number of truncated rows

  int64_t size() const { return std::ssize(rows) - 1; }
  std::span<const int32_t> row(int64_t r) const { return {ids.data() + rows[r], ids.data() + rows[r + 1]}; }
};

// A rectangular batch, the input of models.
struct PaddedBatch {
  int64_t size = 0, length = 0;
  std::vector<int32_t> ids;             // (size, length), as the other vectors
  std::vector<uint8_t> attention_mask;  // 0 for padding
  std::vector<uint8_t> type_ids, special_mask;
};
// Pads all rows to padding.length (0: the longest row) rounded up to padding.multiple_of, or to the longest row if that
// is longer. Throws std::invalid_argument if length is negative or multiple_of is less than 1.
PaddedBatch pad(const Encodings& encodings, const Padding& padding);

struct EncodeOptions {
  bool special_tokens = true;  // add the special tokens of the template, such as [CLS] and [SEP]
  bool offsets = false;
  std::optional<Truncation> truncation;  // default: no truncation
};

// Runs task(0) .. task(tasks - 1) once each, in any order and on any threads, and returns when all are done. For
// example parallel_for of cuda/core.
using RunTasks = std::function<void(int64_t tasks, const std::function<void(int64_t)>& task)>;

// Thread-safe.
class Tokenizer {
 public:
  // Throws std::invalid_argument if the spec is inconsistent or unsupported by Hugging Face's library, or if added
  // tokens are empty or equal after normalization.
  explicit Tokenizer(TokenizerSpec spec);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;

  const TokenizerSpec& spec() const { return spec_; }
  int64_t vocabulary_size() const;  // highest id + 1
  std::optional<int32_t> id_of(std::string_view token) const;
  std::string_view token(int32_t id) const;  // empty for unknown ids

  // Accepts any bytes. Throws std::invalid_argument if truncation is impossible: max_length is below the number of
  // special tokens, only_first or only_second would remove a whole text, or only_second is used without a second text.
  Encodings encode(std::string_view text, const EncodeOptions& options = {}) const;
  Encodings encode(std::string_view text, std::string_view pair, const EncodeOptions& options = {}) const;

  // Encodes each text, or each pair of texts[i] and pairs[i] if `pairs` is not empty (same size). Tasks of about 128
  // KiB of text go to `run`, which does not affect the result; without it the calling thread does everything.
  Encodings encode(std::span<const std::string_view> texts, std::span<const std::string_view> pairs,
                   const EncodeOptions& options, const RunTasks& run = nullptr) const;

  // The text that decode() takes for an id; nullopt if it skips the id.
  std::optional<std::string_view> decoded_token(int32_t id, bool skip_special_tokens = true) const;

  // Unknown ids are skipped, as in Hugging Face's library.
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens = true) const;

 private:
  using Texts = std::span<const std::string_view>;
  class Encoder;

  Encodings encode_rows(Texts texts, Texts pairs, const EncodeOptions& options) const;
  Encodings encode_in_tasks(Texts texts, Texts pairs, const EncodeOptions& options, const RunTasks& run) const;

  TokenizerSpec spec_;
  std::unique_ptr<const TokenizerModel> model_;
  AddedTokenFinder added_, normalized_added_;  // match in the original and in the normalized text
  struct Known {
    int32_t id;
    std::string text;
    std::string decoded;   // the text, normalized for normalized added tokens
    bool special = false;  // removed by decode() with skip_special_tokens
  };
  const Known* known(int32_t id) const;

  std::vector<Known> known_;     // sorted by id
  std::vector<size_t> by_text_;  // indices in known_, sorted by text
};

}  // namespace sartor::text
