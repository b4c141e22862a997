#include "models/transformer/batch.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/require.h"

namespace sartor::transformer {
namespace {

// Replaces host tensors by tensors on a device, with one copy. Each begins at a multiple of 16 bytes.
void send_together(const std::vector<at::Tensor*>& tensors, at::Device device) {
  const auto room = [](const at::Tensor& x) { return (static_cast<int64_t>(x.nbytes()) + 15) / 16 * 16; };
  int64_t bytes = 0;
  for (const auto* tensor : tensors) bytes += room(*tensor);
  const auto host = at::empty({bytes}, at::kByte);
  for (int64_t begin = 0; const auto* tensor : tensors) {
    std::memcpy(host.data_ptr<uint8_t>() + begin, tensor->const_data_ptr(), tensor->nbytes());
    begin += room(*tensor);
  }
  const auto sent = host.to(device);
  for (int64_t begin = 0; auto* tensor : tensors) {
    const auto part = sent.narrow(0, begin, static_cast<int64_t>(tensor->nbytes())).view(tensor->scalar_type());
    begin += room(*tensor);
    *tensor = part;
  }
}

// Builds a batch token by token.
class Packing {
 public:
  Packing(const InputSpec& model, int64_t tokens) : model_(model) {
    for (auto* part : {&ids_, &positions_, &types_, &sequences_, &places_}) part->reserve(tokens);
  }

  // `column` is the token's position in its row, `place` its index in the flattened padded batch.
  void token(int64_t id, int64_t type, int64_t column, int64_t place) {
    const int64_t sequence = std::ssize(offsets_) - 1;
    require(0 <= id && id < model_.vocabulary, "sequence {}: token id {}, the vocabulary has {}", sequence, id,
            model_.vocabulary);
    require(type == 0 || model_.token_types > 0, "sequence {}: token type {}, the model has none", sequence, type);
    require(0 <= type && type < std::max<int64_t>(1, model_.token_types),
            "sequence {}: token type {}, the model has {}", sequence, type, model_.token_types);
    const bool is_padding = id == model_.padding;
    const int64_t counted = model_.padding ? counted_ : column;
    require(is_padding || counted < model_.longest_sequence, "sequence {}: longer than the model's {} positions",
            sequence, model_.longest_sequence);
    if (!is_padding) counted_++;
    const int64_t first = model_.padding ? *model_.padding + 1 : 0;
    positions_.push_back(is_padding ? id : first + counted);
    ids_.push_back(id);
    if (model_.token_types > 0) types_.push_back(type);
    sequences_.push_back(sequence);
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
    const auto tensor = [](const std::vector<int64_t>& values, int64_t size) {
      return at::from_blob(const_cast<int64_t*>(values.data()), {size}, at::kLong).clone();
    };
    const auto all = [&](const std::vector<int64_t>& values) { return tensor(values, std::ssize(values)); };
    Packed packed = {.input_ids_T = all(ids_),
                     .position_ids_T = all(positions_),
                     .token_type_ids_T = model_.token_types > 0 ? all(types_) : at::Tensor(),
                     .offsets = offsets_,
                     .longest = longest_,
                     .offsets_B1 = all(offsets_).to(at::kInt),
                     .first_rows_B = tensor(offsets_, std::ssize(offsets_) - 1),
                     .sequences_T = all(sequences_),
                     .places_T = all(places_),
                     .padded_length = padded_length};
    if (!device.is_cpu()) send_together(tensors_of(packed), device);
    return packed;
  }

 private:
  const InputSpec& model_;
  std::vector<int64_t> ids_, positions_, types_, sequences_, places_, offsets_ = {0};
  int64_t longest_ = 0, counted_ = 0;
};

}  // namespace

std::vector<at::Tensor*> tensors_of(Packed& packed) {
  std::vector<at::Tensor*> tensors;
  for (auto* tensor : {&packed.input_ids_T, &packed.position_ids_T, &packed.token_type_ids_T, &packed.offsets_B1,
                       &packed.first_rows_B, &packed.sequences_T, &packed.places_T}) {
    if (tensor->defined()) tensors.push_back(tensor);
  }
  return tensors;
}

Packed pack(const InputSpec& model, std::span<const std::vector<int32_t>> sequences,
            std::span<const std::vector<int32_t>> token_types, at::Device device) {
  require(token_types.empty() || token_types.size() == sequences.size(),
          "{} sequences, but {} sequences of token types", sequences.size(), token_types.size());
  int64_t longest = 0, tokens = 0;
  for (const auto& sequence : sequences) {
    longest = std::max(longest, std::ssize(sequence));
    tokens += std::ssize(sequence);
  }
  Packing packing(model, tokens);
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

Packed pack(const InputSpec& model, const TokenRows& tokens, std::span<const int64_t> rows, at::Device device) {
  const auto length_of = [&](int64_t row) { return tokens.offsets[row + 1] - tokens.offsets[row]; };
  int64_t longest = 0, total = 0;
  for (const auto row : rows) {
    longest = std::max(longest, length_of(row));
    total += length_of(row);
  }
  Packing packing(model, total);
  for (size_t b = 0; b < rows.size(); b++) {
    const int64_t begin = tokens.offsets[rows[b]];
    for (int64_t i = 0; i < length_of(rows[b]); i++) {
      packing.token(tokens.ids[begin + i], tokens.types[begin + i], i, static_cast<int64_t>(b) * longest + i);
    }
    packing.end_sequence();
  }
  return packing.finish(longest, device);
}

Packed pack(const InputSpec& model, const at::Tensor& input_ids_BL, const at::Tensor& attention_mask_BL,
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
  Packing packing(model, batch * length);
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

at::Tensor first_tokens(const at::Tensor& hidden_TH, const Packed& packed) {
  return hidden_TH.index_select(0, packed.first_rows_B);
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
