#include "generation/decoding/beam_strategy.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"

namespace sartor::inference {
namespace {

// y = x - log(sum of e^x), for one row.
void log_softmax_row(const float* x, int64_t size, float* y) {
  const float largest = *std::max_element(x, x + size);
  double sum = 0;
  for (int64_t i = 0; i < size; i++) sum += std::exp(x[i] - largest);
  const auto log_sum = static_cast<float>(std::log(sum));
  for (int64_t i = 0; i < size; i++) y[i] = x[i] - largest - log_sum;
}

cuda::Context& host_context(cuda::Context& context, std::optional<cuda::Context>& cpu) {
  return context.is_gpu() ? cpu.emplace(cuda::Context::cpu()) : context;
}

}  // namespace

BeamStrategy::BeamStrategy(const WriterParts& parts, const TokenSequences& banned)
    : parts_(parts),
      context_(host_context(parts.decoder.context(), cpu_)),
      processors_(context_, parts.config, banned, parts.end_ids) {}

void BeamStrategy::prepare(Request& request) {
  request.search =
      std::make_unique<BeamSearch>(BeamRules{&parts_.config, parts_.end_ids, &parts_.tokenizer, &parts_.stops});
}

void BeamStrategy::advance(cuda::Rows<float> logits) {
  histories_.clear();
  std::vector<std::pair<RequestPtr, int64_t>> requests;  // with the number of their rows
  for (const auto& item : parts_.scheduler.items()) {
    if (!item.has_logits) continue;
    if (requests.empty() || requests.back().first != item.request) requests.emplace_back(item.request, 0);
    requests.back().second++;
    histories_.push_back({item.request->sequences[item.sequence].ids, item.request->prompt});
  }
  const auto log_probabilities = log_softmax(logits);
  const auto processed = processors_.apply(log_probabilities, histories_);
  int64_t row = 0;
  for (const auto& [request, rows] : requests) {
    const auto rows_of = [&](cuda::Rows<const float> all) {
      return cuda::Rows<const float>{all.row(row), rows, all.columns};
    };
    advance(request, rows_of(log_probabilities), rows_of(processed));
    row += rows;
  }
}

cuda::Rows<float> BeamStrategy::log_softmax(cuda::Rows<float> logits) {
  const int64_t size = logits.rows * logits.columns;
  log_probabilities_.resize(std::max(log_probabilities_.size(), static_cast<size_t>(size)));
  const cuda::Rows<float> result{log_probabilities_.data(), logits.rows, logits.columns};
  if (cpu_) {
    parts_.decoder.context().backend().copy_out(result.data, logits.data, static_cast<size_t>(size) * sizeof(float));
    logits = result;
  }
  cuda::parallel_for(cuda::cpu(context_).threads, logits.rows, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) log_softmax_row(logits.row(r), logits.columns, result.row(r));
  });
  return result;
}

void BeamStrategy::advance(const RequestPtr& request, cuda::Rows<const float> log_probabilities,
                           cuda::Rows<const float> processed) {
  const auto beams = request->search->advance(log_probabilities, processed, request->sequences, request->prompt);
  if (beams.empty()) {
    finish(request);
  } else {
    take_beams(*request, beams);
  }
}

void BeamStrategy::take_beams(Request& request, std::span<const BeamSearch::Continuation> beams) {
  next_.resize(beams.size());
  for (size_t i = 0; i < beams.size(); i++) {
    next_[i] = request.sequences[beams[i].parent];
    next_[i].ids.push_back(beams[i].token);
    parts_.cache.share(next_[i]);
  }
  std::swap(request.sequences, next_);
  for (auto& sequence : next_) parts_.cache.release(sequence);
}

void BeamStrategy::finish(const RequestPtr& request) {
  parts_.scheduler.remove(*request);
  const auto& hypotheses = request->search->finished();
  const auto count = std::min<size_t>(hypotheses.size(), request->variants);
  for (size_t i = 0; i < count; i++) {
    Written result = written(*request, hypotheses[i]);
    result.variant = request->variant + static_cast<int32_t>(i);
    parts_.counts.written_tokens += std::ssize(result.ids);
    if (piece) piece(result.text);
    deliver(std::move(result));
  }
}

Written BeamStrategy::written(const Request& request, const BeamSearch::Hypothesis& hypothesis) const {
  TextBuilder text(parts_.tokenizer, parts_.stops);
  bool stopped = false;
  for (const int32_t id : hypothesis.ids) {
    if (stopped || std::ranges::binary_search(parts_.end_ids, id)) break;
    stopped = text.add(id);
  }
  if (!stopped) text.finish();
  return {.row = request.row,
          .ids = hypothesis.ids,
          .text = text.text(),
          .log_probability = hypothesis.log_probability,
          .score = hypothesis.score,
          .end = hypothesis.end};
}

}  // namespace sartor::inference
