#include "models/transformer/batch.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>

#include "base/require.h"
#include "models/bert/families.h"

namespace sartor::transformer {
namespace {

// The parts of a batch as they are collected, one token after the other.
class Packing {
 public:
  Packing(const bert::BertConfig& config, int64_t tokens)
      : config_(config), from_padding_(config.family().counts_from_padding) {
    for (auto* part : {&ids_, &positions_, &types_, &places_}) part->reserve(tokens);
  }

  // `column` is the token's place in its row, `place` that in the padded batch.
  void token(int64_t id, int64_t type, int64_t column, int64_t place) {
    const int64_t sequence = std::ssize(offsets_) - 1;
    require(0 <= id && id < config_.vocab_size, "sequence {}: token id {}, the vocabulary has {}", sequence, id,
            config_.vocab_size);
    require(0 <= type && type < config_.type_vocab_size, "sequence {}: token type {}, the model has {}", sequence, type,
            config_.type_vocab_size);
    int64_t position = column;
    if (from_padding_) {  // counts what is no padding; padding tokens have a position of their own
      const bool padding = id == config_.pad_token_id;
      position = padding ? *config_.pad_token_id : config_.first_position() + counted_++;
    }
    require(position < config_.max_position_embeddings, "sequence {}: longer than the model's {} positions", sequence,
            config_.longest_sequence());
    ids_.push_back(id);
    types_.push_back(type);
    positions_.push_back(position);
    places_.push_back(place);
  }
  void end_sequence() {
    const auto tokens = std::ssize(ids_);
    require(tokens > offsets_.back(), "sequence {} has no token", std::ssize(offsets_) - 1);
    longest_ = std::max(longest_, tokens - offsets_.back());
    offsets_.push_back(tokens);
    counted_ = 0;
  }
  Packed finish(int64_t padded_length, at::Device device) {
    const auto tensor = [&](std::vector<int64_t>& values) {
      return at::from_blob(values.data(), {std::ssize(values)}, at::kLong).clone().to(device);
    };
    return {tensor(ids_), tensor(positions_), tensor(types_), std::move(offsets_),
            longest_,     tensor(places_),    padded_length};
  }

 private:
  const bert::BertConfig& config_;
  const bool from_padding_;
  std::vector<int64_t> ids_, positions_, types_, places_, offsets_ = {0};
  int64_t longest_ = 0, counted_ = 0;
};

}  // namespace

Packed pack(const bert::BertConfig& config, std::span<const std::vector<int32_t>> sequences,
            std::span<const std::vector<int32_t>> token_types, at::Device device) {
  require(token_types.empty() || token_types.size() == sequences.size(), "{} sequences, {} of token types",
          sequences.size(), token_types.size());
  int64_t longest = 0, tokens = 0;
  for (const auto& sequence : sequences) {
    longest = std::max(longest, std::ssize(sequence));
    tokens += std::ssize(sequence);
  }
  Packing packing(config, tokens);
  for (size_t b = 0; b < sequences.size(); b++) {
    const auto& ids = sequences[b];
    require(token_types.empty() || token_types[b].size() == ids.size(), "sequence {}: {} tokens, {} token types", b,
            ids.size(), token_types.empty() ? 0 : token_types[b].size());
    for (int64_t i = 0; i < std::ssize(ids); i++) {
      packing.token(ids[i], token_types.empty() ? 0 : token_types[b][i], i, static_cast<int64_t>(b) * longest + i);
    }
    packing.end_sequence();
  }
  return packing.finish(longest, device);
}

Packed pack(const bert::BertConfig& config, const TokenRows& tokens, std::span<const int64_t> rows, at::Device device) {
  const auto length_of = [&](int64_t row) { return tokens.offsets[row + 1] - tokens.offsets[row]; };
  int64_t longest = 0, total = 0;
  for (const auto row : rows) {
    longest = std::max(longest, length_of(row));
    total += length_of(row);
  }
  Packing packing(config, total);
  for (size_t b = 0; b < rows.size(); b++) {
    const int64_t begin = tokens.offsets[rows[b]];
    for (int64_t i = 0; i < length_of(rows[b]); i++) {
      packing.token(tokens.ids[begin + i], tokens.types[begin + i], i, static_cast<int64_t>(b) * longest + i);
    }
    packing.end_sequence();
  }
  return packing.finish(longest, device);
}

Packed pack(const bert::BertConfig& config, const at::Tensor& input_ids_BL, const at::Tensor& attention_mask_BL,
            const at::Tensor& token_type_ids_BL) {
  require(input_ids_BL.dim() == 2 && input_ids_BL.scalar_type() == at::kLong, "input_ids: expected (B, L) of int64");
  const auto on_host = [&](const at::Tensor& values) {
    if (!values.defined()) return values;
    require(values.sizes() == input_ids_BL.sizes(), "input_ids, attention_mask and token_type_ids differ in shape");
    return values.to(at::kCPU, at::kLong).contiguous();
  };
  const auto ids = on_host(input_ids_BL), mask = on_host(attention_mask_BL), types = on_host(token_type_ids_BL);
  const auto at = [](const at::Tensor& values, int64_t i, int64_t otherwise) {
    return values.defined() ? values.const_data_ptr<int64_t>()[i] : otherwise;
  };
  const int64_t batch = ids.size(0), length = ids.size(1);
  Packing packing(config, batch * length);
  for (int64_t b = 0; b < batch; b++) {
    for (int64_t i = 0; i < length; i++) {
      const int64_t place = b * length + i;
      if (at(mask, place, 1) != 0) packing.token(at(ids, place, 0), at(types, place, 0), i, place);
    }
    packing.end_sequence();
  }
  return packing.finish(length, input_ids_BL.device());
}

at::Tensor unpack(const at::Tensor& hidden_TH, const Packed& packed) {
  const int64_t hidden = hidden_TH.size(1);
  return at::zeros({packed.batch() * packed.padded_length, hidden}, hidden_TH.options())
      .index_copy(0, packed.places_T, hidden_TH)
      .view({packed.batch(), packed.padded_length, hidden});
}

std::vector<std::vector<int64_t>> token_budget_batches(std::span<const int64_t> lengths, int64_t token_budget) {
  std::vector<int64_t> rows(lengths.size());
  std::iota(rows.begin(), rows.end(), 0);
  std::ranges::stable_sort(rows, std::greater{}, [&](int64_t row) { return lengths[row]; });
  std::vector<std::vector<int64_t>> batches;
  int64_t tokens = 0;
  for (const int64_t row : rows) {
    if (batches.empty() || tokens + lengths[row] > token_budget) {
      batches.emplace_back();
      tokens = 0;
    }
    batches.back().push_back(row);
    tokens += lengths[row];
  }
  return batches;
}

}  // namespace sartor::transformer
