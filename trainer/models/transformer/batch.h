// A batch of token sequences without padding, laid end to end.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sartor::transformer {

// What a model takes in, and how its positions count.
struct InputSpec {
  int64_t vocabulary = 0;        // ids are 0 .. vocabulary - 1
  int64_t token_types = 0;       // types are 0 .. token_types - 1; 0: the model knows none
  int64_t longest_sequence = 0;  // tokens
  // Where positions count from padding, as RoBERTa's do: a token's place among those that are no padding, on from
  // padding + 1, and `padding` for padding itself. Otherwise they count from 0, whatever the tokens.
  std::optional<int64_t> padding = {};
};

// B sequences of T tokens in all. Sequence b has the tokens offsets[b] .. offsets[b + 1] - 1.
struct Packed {
  // int64, on the model's device; types are not defined for a model that knows none
  at::Tensor input_ids_T, position_ids_T, token_type_ids_T;
  std::vector<int64_t> offsets;  // (B + 1)
  int64_t longest = 0;           // tokens of the longest sequence
  // Where the tokens stand in the padded batch (B, padded_length) that this came from or would make.
  at::Tensor places_T;
  int64_t padded_length = 0;

  int64_t batch() const { return std::ssize(offsets) - 1; }
  int64_t tokens() const { return offsets.back(); }
};

// Lays sequences end to end. `token_types` is empty (all 0) or has a sequence for each. Throws std::invalid_argument
// on an empty sequence or one longer than the model's positions, and on ids that the model has not.
Packed pack(const InputSpec& model, std::span<const std::vector<int32_t>> sequences,
            std::span<const std::vector<int32_t>> token_types = {}, at::Device device = at::kCPU);

// Rows of tokens one behind the other, as tokenizers give them: row r has the elements offsets[r] .. offsets[r + 1]
// - 1.
struct TokenRows {
  std::span<const int64_t> offsets;
  std::span<const int32_t> ids;
  std::span<const uint8_t> types;
};

// The same of some of the rows, in the order of `rows`.
Packed pack(const InputSpec& model, const TokenRows& tokens, std::span<const int64_t> rows,
            at::Device device = at::kCPU);

// Takes the padding out of input_ids_BL (B, L) of int64, where attention_mask_BL is 0; a mask or types that are not
// defined are all ones and all zeros. The mask may have any form, as long as each row keeps a token; a token's position
// is its column. Throws like the above.
Packed pack(const InputSpec& model, const at::Tensor& input_ids_BL, const at::Tensor& attention_mask_BL = {},
            const at::Tensor& token_type_ids_BL = {});

// (T, H) back to (B, padded_length, H), 0 where there is padding. Gradients pass.
at::Tensor unpack(const at::Tensor& hidden_TH, const Packed& packed);

// The rows of hidden_TH at which the sequences begin, (B, H). Gradients pass.
at::Tensor first_tokens(const at::Tensor& hidden_TH, const Packed& packed);

// Rows of sequences that make batches of at most `token_budget` tokens, padding not counted, or one longer sequence
// alone. Longest first, equal lengths in order of their rows: memory peaks in the first batch, and a kernel that pads
// meets equal lengths.
std::vector<std::vector<int64_t>> token_budget_batches(std::span<const int64_t> lengths, int64_t token_budget);

}  // namespace sartor::transformer
