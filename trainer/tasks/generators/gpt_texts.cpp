#include "tasks/generators/gpt_texts.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <memory>

#include "models/transformer/loss.h"
#include "models/transformer/ops/linear.h"
#include "optimization/score_batches.h"
#include "tasks/texts/batch_tensors.h"

namespace sartor {
namespace {

using datasets::StoredTexts;

constexpr int64_t chunk_bytes = 64 << 20;  // of logits

int64_t first_counted(const StoredTexts& part, int64_t row) { return std::max<int64_t>(1, part.second()[row]); }

// For each predicted token its log-probability, and 1 if no token has a higher one: (2, R) of fp32.
at::Tensor judge(const gpt::Gpt& model, const TextBatch& batch) {
  const auto x_RH = model.hidden(batch.input).index_select(0, batch.places_R);
  const auto& weight_VH = model.output_weight();
  const int64_t chunk = std::max<int64_t>(1, chunk_bytes / static_cast<int64_t>(sizeof(float)) / weight_VH.size(0));
  std::vector<at::Tensor> log_p, right;
  for (int64_t begin = 0; begin < x_RH.size(0); begin += chunk) {
    const int64_t count = std::min(chunk, x_RH.size(0) - begin);
    const auto logits =
        transformer::linear(x_RH.narrow(0, begin, count), weight_VH, {}, model.compute_type(), &model.output_casts());
    const auto all = at::log_softmax(logits, 1, at::kFloat);
    const auto targets = batch.targets_R.narrow(0, begin, count);
    log_p.push_back(all.gather(1, targets.unsqueeze(1)).squeeze(1));
    right.push_back(all.argmax(1).eq(targets).to(at::kFloat));
  }
  if (log_p.empty()) return at::empty({2, 0}, x_RH.options().dtype(at::kFloat));
  return at::cat({at::cat(log_p), at::cat(right)}).view({2, -1});
}

}  // namespace

int64_t counted_tokens(const StoredTexts& part, int64_t row) {
  return std::max<int64_t>(0, part.lengths()[row] - first_counted(part, row));
}

void fill(TextBatch& batch, const gpt::GptConfig& config, const StoredTexts& part, std::span<const int64_t> rows) {
  auto ids = part.ids(rows);
  std::vector<int64_t> places, targets, texts;
  std::vector<float> weights;
  int64_t begin = 0;
  for (size_t i = 0; i < rows.size(); i++) {
    auto& mine = ids[i];
    for (int64_t at = first_counted(part, rows[i]); at < std::ssize(mine); at++) {
      places.push_back(begin + at - 1);
      targets.push_back(mine[at]);
      texts.push_back(static_cast<int64_t>(i));
    }
    weights.resize(places.size(), part.weights().empty() ? 1.f : part.weights()[rows[i]]);
    // The last token predicts nothing. With dynamic scaling, though, the rotation depends on the text's length.
    if (mine.size() > 1 && config.rotary.type != gpt::RotaryType::dynamic) mine.pop_back();
    begin += std::ssize(mine);
  }
  transformer::require_labels(targets, config.vocab_size);
  batch.input = transformer::pack(gpt::input_spec(config), ids);
  batch.places_R = tensor_of(places);
  batch.targets_R = tensor_of(targets);
  batch.texts_R = tensor_of(texts);
  batch.weights_R = tensor_of(weights);
}

TextScores score_texts(gpt::Gpt& model, const StoredTexts& part, int64_t token_budget, Collective& ranks,
                       const Transfer& transfer) {
  const c10::InferenceMode inference;
  model.train(false);
  const int64_t rows = part.rows();
  const std::vector<int64_t> lengths(part.lengths().begin(), part.lengths().end());
  const auto batches = transformer::token_budget_batches(lengths, token_budget);
  std::vector<double> sums(2 * rows);  // log-probabilities, then right tokens
  const auto prepare = [&](int64_t i) {
    auto batch = std::make_unique<TextBatch>();
    fill(*batch, model.config(), part, batches[i]);
    batch->arrival = send(transfer, batch->input, {&batch->places_R, &batch->targets_R});
    return batch;
  };
  const auto compute = [&](const TextBatch& batch) { return judge(model, batch); };
  score_batches(std::ssize(batches), ranks, transfer, prepare, compute, [&](int64_t i, const at::Tensor& judged) {
    const float* log_p = judged.const_data_ptr<float>();
    const float* right = log_p + judged.size(1);
    for (const auto row : batches[i]) {
      for (int64_t count = counted_tokens(part, row); count > 0; count--) {
        sums[row] += *log_p++;
        sums[rows + row] += *right++;
      }
    }
  });
  sums = ranks.sum(std::move(sums));
  return {.log_probability = {sums.begin(), sums.begin() + rows}, .right = {sums.begin() + rows, sums.end()}};
}

}  // namespace sartor
