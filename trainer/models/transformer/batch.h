// Batches of token sequences, packed without padding.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sartor::transformer {

// Vocabulary and positions of a model.
struct InputSpec {
  int64_t vocabulary = 0;        // token ids are 0 to vocabulary - 1
  int64_t token_types = 0;       // token types are 0 to token_types - 1; 0 if the model has none
  int64_t longest_sequence = 0;  // in tokens
  // Padding token of models whose positions depend on padding, such as RoBERTa: position ids of other tokens count from
  // padding + 1, skipping padding tokens, which have position `padding`. If absent, positions count from 0.
  std::optional<int64_t> padding = {};
};

// B sequences with T tokens in total. Sequence b has tokens offsets[b] to offsets[b + 1] - 1.
struct Packed {
  // int64, on the model's device. token_type_ids_T is undefined if the model has no token types.
  at::Tensor input_ids_T, position_ids_T, token_type_ids_T;
  std::vector<int64_t> offsets;  // (B + 1)
  int64_t longest = 0;           // length of the longest sequence
  at::Tensor offsets_B1;         // the offsets as int32, on the model's device
  at::Tensor first_rows_B;       // int64, offsets without the last one
  at::Tensor sequences_T;        // int64, index of each token's sequence
  // Index of each token in the flattened padded batch (B, padded_length), int64, where a padded batch is needed.
  at::Tensor places_T;
  int64_t padded_length = 0;

  int64_t batch() const { return std::ssize(offsets) - 1; }
  int64_t tokens() const { return offsets.back(); }
};

// The tensors of a batch that are defined, to be sent to a device together.
std::vector<at::Tensor*> tensors_of(Packed& packed);

// Packs sequences; the tensors are sent to `device` by one copy. `token_types` has the types for each sequence; all are
// 0 if it is empty. Throws std::invalid_argument if a sequence is empty or longer than the model's positions, or if ids
// or types are out of range.
Packed pack(const InputSpec& model, std::span<const std::vector<int32_t>> sequences,
            std::span<const std::vector<int32_t>> token_types = {}, at::Device device = at::kCPU);

// Concatenated rows of tokens, as returned by tokenizers: row r has elements offsets[r] to offsets[r + 1] - 1.
struct TokenRows {
  std::span<const int64_t> offsets;
  std::span<const int32_t> ids;
  std::span<const uint8_t> types;
};

// Packs the given rows, in the order of `rows`.
Packed pack(const InputSpec& model, const TokenRows& tokens, std::span<const int64_t> rows,
            at::Device device = at::kCPU);

// Packs a padded batch input_ids_BL (B, L) of int64, without the tokens whose attention_mask_BL is 0. An undefined mask
// is all ones; undefined types are all zeros. The mask may have any pattern that keeps at least one token per row;
// position ids are columns. Throws like the functions above.
Packed pack(const InputSpec& model, const at::Tensor& input_ids_BL, const at::Tensor& attention_mask_BL = {},
            const at::Tensor& token_type_ids_BL = {});

// Converts (T, H) to (B, padded_length, H), with 0 for padding. Differentiable.
at::Tensor unpack(const at::Tensor& hidden_TH, const Packed& packed);

// Hidden states of the first token of each sequence, (B, H). Differentiable.
at::Tensor first_tokens(const at::Tensor& hidden_TH, const Packed& packed);

// Divides sequences into batches of at most `token_budget` tokens, not counting padding; a longer sequence is a batch
// of its own. Sorted by decreasing length, ties by index, so that memory peaks in the first batch and lengths within a
// batch are similar.
std::vector<std::vector<int64_t>> token_budget_batches(std::span<const int64_t> lengths, int64_t token_budget);

}  // namespace sartor::transformer
